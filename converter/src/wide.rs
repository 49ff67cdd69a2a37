//! Which activations get 16 bits, so that the int8 network is as near to the float network as was asked: those that cost it most for
//! what they take, and no more of them than it needs.

mod damage;
mod quality;

use std::collections::BTreeSet;

use escarp_runtime::Cpu;

use crate::{
    error::Error,
    graph::{Graph, Tensor},
    pack::{About, pack},
    plan::{Plan, plan},
    qgraph::QGraph,
    samples::{Samples, spread},
    shape::TensorId,
    widths::{Ties, Wide, widen},
};
use damage::parts;
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
    /// The node that makes its first tensor, or the input that it is.
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
    /// Those of them that weights of two terms make.
    pub fine: BTreeSet<TensorId>,
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
        Err(unmet(self.target, &quality, "in the end"))
    }
}

fn unmet(target: Target, quality: &Quality, with: &str) -> Error {
    Error::Target(format!(
        "{} reached {with}; what is left comes of inputs and steps that have 8 bits only: cut the network behind them (--outputs), or ask \
         for less",
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
    widen(graph, &Wide::None, &Wide::None);
    let (narrow, before) = made(graph)?;
    progress(&format!("8 bits: {}", target.of(&before)));
    let mut notes = vec![format!("all activations in 8 bits: {}, on {} samples", target.of(&before), picks.len())];
    if target.met(&before) {
        notes.push("no activation needs 16 bits".into());
        let (wide, fine) = (BTreeSet::new(), BTreeSet::new());
        return Ok(Choice { target, wide, fine, ranking: vec![], notes, reference });
    }
    let ties = Ties::new(graph);
    let (parts, layers) = parts(graph, &ties, &narrow.graph, samples, &picks, progress)?;
    let (all, each) = (parts.len(), layers.len());
    // What weights of two terms make is int16.
    let set = |graph: &mut Graph, wide: usize, fine: usize| {
        let fine: BTreeSet<TensorId> = layers.iter().take(fine).copied().collect();
        let first = parts.iter().take(wide).map(|part| part.first);
        widen(graph, &Wide::These(first.chain(fine.iter().copied()).collect()), &Wide::These(fine));
        parts.iter().filter(|part| graph.tensors[part.first].wide).count()
    };
    let mut trial = |wide: usize, fine: usize| -> Result<(Plan, Quality), Error> {
        let wide = set(graph, wide, fine);
        let made = made(graph)?;
        let terms = if fine == 0 { String::new() } else { format!(", weights of two terms in {fine} layers") };
        progress(&format!("16 bits in {wide} of {all} sets of activations{terms}: {}", target.of(&made.1)));
        Ok(made)
    };
    let (mut wide, mut fine, mut best) = (all, 0, trial(all, 0)?);
    if !target.met(&best.1) {
        best = trial(all, each)?;
        if !target.met(&best.1) {
            return Err(unmet(
                target,
                &best.1,
                &format!("with all {all} sets of activations in 16 bits and all weights of two terms"),
            ));
        }
        (fine, best) = fewest(target, each, best, |fine| trial(all, fine))?;
    }
    (wide, best) = fewest(target, wide, best, |wide| trial(wide, fine))?;
    // As it was for the best of them.
    set(graph, wide, fine);
    let chosen = |of: fn(&Tensor) -> bool| (0..graph.tensors.len()).filter(|&id| of(&graph.tensors[id])).collect();
    let (tensors, fine): (BTreeSet<TensorId>, BTreeSet<TensorId>) = (chosen(|t| t.wide), chosen(|t| t.wide && t.fine));
    let work = best.0.totals.work as f64 / narrow.totals.work.max(1) as f64;
    let (ram, before) = (best.0.arena_len, narrow.arena_len);
    let terms = match fine.len() {
        0 => String::new(),
        layers => format!(" and weights of two terms in {layers} of {each} layers"),
    };
    let ranking: Vec<Ranked> = parts.iter().map(|part| part.ranked(graph, tensors.contains(&part.first))).collect();
    let count = ranking.iter().filter(|r| r.wide).count();
    notes.push(format!(
        "16 bits in {count} of {all} sets of activations{terms}, those that cost most for what they take: {}; {ram} bytes of RAM in place \
         of {before}, {work:.2} times the work",
        target.of(&best.1)
    ));
    Ok(Choice { target, wide: tensors, fine, ranking, notes, reference })
}

/// The fewest of a ranking with which the target is met, as it is with all of them.
fn fewest<T>(
    target: Target,
    all: usize,
    with_all: (T, Quality),
    mut trial: impl FnMut(usize) -> Result<(T, Quality), Error>,
) -> Result<(usize, (T, Quality)), Error> {
    let (mut least, mut most, mut best) = (0, all, with_all);
    while most > least {
        let middle = least + (most - least) / 2;
        let made = trial(middle)?;
        if target.met(&made.1) {
            (most, best) = (middle, made);
        } else {
            least = middle + 1;
        }
    }
    Ok((most, best))
}
