//! Which activations get 16 bits, so that the int8 network is as near to the float network as was asked: those that cost it most for
//! what they take, and no more of them than it needs.

mod damage;
mod quality;

use std::collections::BTreeSet;

use escarp_runtime::Cpu;

use crate::{
    error::Error,
    graph::Graph,
    pack::{About, pack},
    plan::{Plan, plan},
    qgraph::QGraph,
    samples::{Samples, spread},
    shape::TensorId,
    widths::{Ties, Wide, widen},
};
use damage::{Part, parts};
pub use quality::{Quality, Reference};

/// How near to the float network the int8 network is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// Signal to noise of the worst output, in decibels.
    Snr(f64),
    /// Samples for which both choose the same class, in percent.
    Agree(f64),
}

impl Target {
    /// Whether an outcome will do.
    pub fn met(self, quality: &Quality) -> bool {
        match self {
            Target::Snr(decibels) => quality.snr_db >= decibels,
            Target::Agree(percent) => quality.agree >= percent,
        }
    }

    /// What was reached, of what was asked.
    fn of(self, quality: &Quality) -> String {
        match self {
            Target::Snr(asked) => format!("{:.2} dB of {asked} (output `{}`)", quality.snr_db, quality.worst),
            Target::Agree(asked) => format!("{:.2} % of {asked} the same top-1", quality.agree),
        }
    }
}

/// One set of tensors and what int8 does to it.
#[derive(Clone, Debug)]
pub struct Ranked {
    /// The node that makes its first tensor.
    pub layer: String,
    /// How many tensors go together.
    pub tensors: usize,
    /// Signal to noise of the worst output, in decibels, if these are int8 and all else is float.
    pub snr_db: f64,
    /// Multiply-accumulates of the steps that read or make them, which take three times as long in 16 bits.
    pub macs: u64,
    /// Bytes that they take more.
    pub bytes: u64,
    /// Whether they got 16 bits.
    pub wide: bool,
}

/// What was chosen, and why.
#[derive(Clone, Debug)]
pub struct Choice {
    /// What was asked.
    pub target: Target,
    /// The tensors that are int16.
    pub wide: BTreeSet<TensorId>,
    /// All sets that may be, those first that get 16 bits first.
    pub ranking: Vec<Ranked>,
    /// Lines for the report.
    pub notes: Vec<String>,
    /// Tells how near to float a file is, on the same samples.
    pub reference: Reference,
}

impl Choice {
    /// Checks the file that was made in the end.
    ///
    /// # Errors
    /// [`Error::Target`] with what it reached.
    pub fn check(&self, file: &[u8], samples: &dyn Samples, cpu: Cpu) -> Result<String, Error> {
        let quality = self.reference.quality(file, samples, cpu)?;
        if self.target.met(&quality) {
            return Ok(format!("reached {} on {} samples", self.target.of(&quality), self.reference.len()));
        }
        let parts = (self.ranking.iter().filter(|r| r.wide).count(), self.ranking.len());
        Err(unmet(self.target, &quality, parts))
    }
}

fn unmet(target: Target, quality: &Quality, (wide, all): (usize, usize)) -> Error {
    Error::Target(format!(
        "{} reached with {wide} of {all} sets of activations in 16 bits; what is left comes of weights, inputs and tables of 8 bits",
        target.of(quality)
    ))
}

/// How a graph is quantized, with those of its tensors in 16 bits that it says.
pub type Fit<'a> = &'a dyn Fn(&Graph) -> Result<QGraph, Error>;

/// Chooses. The samples are those of the calibration, and others where there are more: which ranges were made of tells little of how
/// often a class changes.
///
/// # Errors
/// [`Error::Target`] if the target cannot be met, or is agreement in classes of a network that has none, and what `fit` says.
pub fn choose(
    graph: &mut Graph,
    target: Target,
    fit: Fit,
    samples: &dyn Samples,
    cpu: Cpu,
    progress: fn(&str),
) -> Result<Choice, Error> {
    if matches!(target, Target::Agree(_)) && !graph.decides() {
        return Err(Error::Target("--agree compares classes, and this network has none: give --snr DB".into()));
    }
    let picks = spread(samples, quality::count(graph));
    let reference = Reference::new(graph, samples, &picks)?;
    let made = |graph: &Graph| -> Result<(Plan, Quality), Error> {
        let plan = plan(fit(graph)?)?;
        let file = pack(&plan, &About::default())?;
        let quality = reference.quality(&file, samples, cpu)?;
        Ok((plan, quality))
    };
    widen(graph, &Wide::None);
    let (narrow, before) = made(graph)?;
    progress(&format!("all activations in 8 bits: {}", target.of(&before)));
    let mut notes = vec![format!("all activations in 8 bits: {}, on {} samples", target.of(&before), picks.len())];
    if target.met(&before) {
        notes.push("no activation needs 16 bits".into());
        let ranking = vec![];
        return Ok(Choice { target, wide: BTreeSet::new(), ranking, notes, reference });
    }
    let ties = Ties::new(graph);
    let parts = parts(graph, &ties, &narrow.graph, samples, &picks, progress)?;
    let prefix = |count: usize| Wide::These(parts.iter().take(count).map(|part| part.first).collect());
    let mut trial = |count: usize| -> Result<(Plan, Quality), Error> {
        widen(graph, &prefix(count));
        let made = made(graph)?;
        progress(&format!("{count} of {} sets of activations in 16 bits: {}", parts.len(), target.of(&made.1)));
        Ok(made)
    };
    let (mut most, mut best) = (parts.len(), trial(parts.len())?);
    if !target.met(&best.1) {
        return Err(unmet(target, &best.1, (most, most)));
    }
    let mut least = 0;
    while most - least > 1 {
        let middle = least + (most - least) / 2;
        let made = trial(middle)?;
        if target.met(&made.1) {
            (most, best) = (middle, made);
        } else {
            least = middle;
        }
    }
    widen(graph, &prefix(most));
    let wide: BTreeSet<TensorId> = (0..graph.tensors.len()).filter(|&id| graph.tensors[id].wide).collect();
    let (work, ram) = (best.0.totals.work as f64 / narrow.totals.work.max(1) as f64, best.0.arena_len);
    notes.push(format!(
        "{most} of {} sets of activations in 16 bits, the ones that cost most for what they take: {}; {ram} bytes of RAM in place of {}, \
         {work:.2} times the work",
        parts.len(),
        target.of(&best.1),
        narrow.arena_len
    ));
    let ranked = |(place, part): (usize, &Part)| part.ranked(graph, place < most);
    let ranking = parts.iter().enumerate().map(ranked).collect();
    Ok(Choice { target, wide, ranking, notes, reference })
}
