//! Accuracy and loss on samples as they are.

use std::collections::BTreeSet;

use crate::{
    data::{Samples, answers::Answers, batch, frequencies::Frequencies, lengths},
    error::TrainError,
    nets::{Batch, Net, loss::loss},
    run::progress::Unit,
};

/// Samples prepared and evaluated together.
const CHUNK: usize = 64;

/// Fewer witnesses than this tell little, whatever they say.
const FEW: usize = 8;

/// What a network makes of some samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Samples, or frames, whose class the net tells: its largest output, or whether its one output is above zero.
    pub correct: usize,
    /// Samples, or frames that count.
    pub total: usize,
    /// Which of them.
    pub unit: Unit,
    /// Mean cross-entropy.
    pub loss: f64,
    /// Samples that were looked at, whatever the unit; of pieces of recordings, the recordings.
    pub witnesses: usize,
    /// Whether those are recordings, of which several samples may be.
    pub recordings: bool,
    /// The class that most of `total` are of, and how many.
    pub commonest: (usize, usize),
}

impl Evaluation {
    /// 0 to 1.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.total.max(1) as f64
    }

    /// The accuracy of always saying the commonest class, 0 to 1.
    pub fn always(&self) -> f64 {
        self.commonest.1 as f64 / self.total.max(1) as f64
    }

    /// The accuracy above which it is clearly better than that: more than one standard error of a share among so many
    /// witnesses.
    fn clearly_above(&self) -> f64 {
        let always = self.always();
        always + (always * (1.0 - always) / self.witnesses.max(1) as f64).sqrt()
    }

    /// Whether the accuracy is clearly above that of always saying the commonest class.
    pub fn is_above_the_commonest(&self) -> bool {
        self.accuracy() > self.clearly_above()
    }

    /// Whether the witnesses are too few to tell: there are next to none, or not even a net that is always right would be
    /// clearly above the commonest class.
    pub fn is_of_few(&self) -> bool {
        self.witnesses < FEW || self.clearly_above() >= 1.0
    }

    /// Whether the accuracy is above that of always saying the commonest class of `classes`, by however little; where all
    /// are of one, above that of guessing blindly.
    pub fn is_better_than_guessing(&self, classes: usize) -> bool {
        let always = self.always();
        self.accuracy() > if always < 1.0 { always } else { 1.0 / classes.max(1) as f64 }
    }
}

/// Evaluates the chosen samples.
pub fn evaluate(net: &mut Net, samples: &dyn Samples, indices: &[u32]) -> Result<Evaluation, TrainError> {
    let (mut correct, mut total, mut sum) = (0, 0, 0.0);
    for indices in indices.chunks(CHUNK) {
        let (inputs, classes) = batch(samples, indices, None);
        let answers = Answers::new(classes, net.arch().classes);
        let lengths = lengths(samples, indices);
        let outputs = net.predict(Batch { x: &inputs, lengths: lengths.as_deref() })?;
        let chunk = loss(outputs.view(), answers.targets(), 0.0);
        correct += chunk.correct;
        total += chunk.samples;
        sum += chunk.loss * chunk.samples as f64;
    }
    let recordings = |groups: &[u32]| indices.iter().map(|&i| groups[i as usize]).collect::<BTreeSet<u32>>().len();
    let witnesses = samples.groups().map_or(indices.len(), recordings);
    Ok(Evaluation {
        correct,
        total,
        unit: samples.unit(),
        loss: sum / total.max(1) as f64,
        witnesses,
        recordings: samples.groups().is_some(),
        commonest: Frequencies::of(samples, indices).commonest(),
    })
}
