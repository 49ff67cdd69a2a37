//! Accuracy and loss on samples as they are.

use std::collections::BTreeSet;

use crate::data::answers::Answers;
use crate::data::frequencies::Frequencies;
use crate::data::{Samples, Unit, batch, lengths};
use crate::error::TrainError;
use crate::loss::loss;
use crate::nets::{Batch, Net};

/// Samples prepared and evaluated together.
const CHUNK: usize = 64;

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

    /// Whether the accuracy is above that by more than one standard error of a share among so many witnesses.
    pub fn is_above_the_commonest(&self) -> bool {
        let always = self.always();
        self.accuracy() > always + (always * (1.0 - always) / self.witnesses.max(1) as f64).sqrt()
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
        commonest: Frequencies::of(samples, indices).commonest(),
    })
}
