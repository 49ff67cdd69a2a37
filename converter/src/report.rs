//! What a conversion says about itself: a table on the terminal, an HTML page, JSON. All three show the same [`Report`].

mod html;
mod json;
mod terminal;

use escarp_runtime::{Dtype, Isa, Meaning};

use crate::{
    convert::Converted,
    history::Kind,
    measure::Scores,
    pack::{self, Parts},
    page::{self, percent, thousands},
    samples::Samples,
};

/// Everything the three forms show.
pub struct Report<'a> {
    /// The conversion.
    pub converted: &'a Converted,
    /// Bytes of the ONNX file.
    pub float_bytes: usize,
    /// Float and int8 on the test samples, or on the calibration samples if there is no test.
    pub scores: &'a Scores,
    /// The samples that were scored.
    pub samples: &'a dyn Samples,
    /// They are a test set, not the calibration samples.
    pub tested: bool,
    /// Which kernels computed the int8 scores.
    pub isa: Isa,
}

impl Report<'_> {
    /// The terminal's table.
    pub fn terminal(&self) -> String {
        terminal::render(self)
    }

    /// The JSON document.
    pub fn json(&self) -> String {
        json::render(self)
    }

    /// The page: one file, no references to others.
    pub fn html(&self) -> String {
        html::render(self)
    }

    fn label(&self, class: usize) -> String {
        self.converted.about.metadata.labels.get(class).cloned().unwrap_or_else(|| class.to_string())
    }

    /// Multiply-accumulates of one decision, all steps.
    fn macs(&self) -> u64 {
        self.converted.plan.graph.macs * self.converted.graph.steps as u64
    }

    /// Steps of the network from the worst signal-to-noise ratio to the best.
    fn worst_first(&self) -> Vec<usize> {
        let layers = &self.converted.layers;
        let mut order: Vec<usize> = (0..layers.len()).collect();
        order.sort_by(|&a, &b| layers[a].snr_db.total_cmp(&layers[b].snr_db));
        order
    }

    /// What the int8 file's bytes are.
    fn parts(&self) -> Parts {
        pack::parts(&self.converted.plan, self.converted.file.len())
    }

    /// [`Report::parts`] in words.
    fn packing(&self) -> String {
        let Parts { weights, filling, params, rest } = self.parts();
        let [weights, filling, params, rest] = [weights, filling, params, rest].map(thousands);
        format!(
            "weights {weights}, zeros that fill channels to eights {filling}, biases and scales {params}, \
             records and names {rest}"
        )
    }

    /// What was scored, in words.
    fn basis(&self) -> &'static str {
        if self.tested { "test samples" } else { "calibration samples only (no --test given)" }
    }

    /// What was done to the file's nodes, and to how many; what is no node's counts once.
    fn changes(&self) -> Vec<(Kind, usize)> {
        let graph = &self.converted.graph;
        let count = |kind: Kind| {
            let of = graph.changes.iter().filter(|change| change.kind == kind);
            (kind, of.map(|change| if kind == Kind::Table { change.nodes.len() } else { 1 }).sum::<usize>())
        };
        Kind::ALL.into_iter().map(count).filter(|&(_, count)| count > 0).collect()
    }

    /// How many nodes became how many steps.
    fn became(&self) -> String {
        let c = self.converted;
        format!("{} nodes of the file became {} steps.", c.graph.origins.len(), c.plan.graph.nodes.len())
    }

    /// Facts, then doubts.
    fn remarks(&self) -> Vec<String> {
        let c = self.converted;
        let doubts = c.warnings.iter().map(|w| format!("warning: {w}"));
        c.notes.iter().cloned().chain(doubts).collect()
    }
}

/// The share of the whole: `76.44 %`
fn right(part: usize, whole: usize) -> String {
    if whole == 0 { "-".into() } else { percent(100.0 * part as f64 / whole as f64, 2) }
}

/// A ratio of nothing lost to nothing there has no number.
fn decibels(snr: f64) -> String {
    if snr.is_finite() { format!("{snr:.1} dB") } else { "exact".into() }
}

/// A class of the style sheet for a signal-to-noise ratio.
fn graded(snr: f64) -> &'static str {
    match snr {
        snr if snr < 15.0 => "bad",
        snr if snr < 25.0 => "fair",
        _ => "good",
    }
}

/// How a number is kept.
fn dtype(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::I8 => "int8",
        Dtype::I16 => "int16",
        Dtype::I32 => "int32",
    }
}

/// What an output's values are.
fn meaning(meaning: Meaning) -> &'static str {
    match meaning {
        Meaning::Plain => "as ONNX gives them",
        Meaning::Softmax => "scores before the softmax",
        Meaning::Sigmoid => "scores before the sigmoid",
        Meaning::Probabilities => "probabilities",
        Meaning::State => "state",
    }
}

/// Exporters join names of all nodes they fused; the last part tells layers apart.
fn short(name: &str) -> String {
    page::short(name.rsplit(';').next().unwrap_or(name), 48)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!((right(1, 3), right(0, 0)), ("33.33 %".into(), "-".into()));
        assert_eq!((decibels(31.26), decibels(f64::INFINITY)), ("31.3 dB".into(), "exact".into()));
        assert_eq!(short("a;b;model/conv2d"), "model/conv2d");
    }
}
