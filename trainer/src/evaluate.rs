//! Accuracy and loss on samples as they are.

use crate::data::answers::Answers;
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
}

impl Evaluation {
    /// 0 to 1.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.total.max(1) as f64
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
    Ok(Evaluation { correct, total, unit: samples.unit(), loss: sum / total.max(1) as f64 })
}
