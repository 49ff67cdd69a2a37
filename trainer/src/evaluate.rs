//! Accuracy and loss on samples as they are.

use rayon::prelude::*;

use crate::data::{Samples, batch};
use crate::error::TrainError;
use crate::nets::Net;

/// Samples that one thread evaluates together.
const CHUNK: usize = 50;

/// What a network makes of some samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Samples whose largest output is their class.
    pub correct: usize,
    /// Samples.
    pub total: usize,
    /// Mean cross-entropy.
    pub loss: f64,
}

impl Evaluation {
    /// 0 to 1.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.total.max(1) as f64
    }
}

/// Evaluates the chosen samples. The sum is taken in the order of the samples, so that threads do not
/// change it.
pub fn evaluate(net: &Net, samples: &dyn Samples, indices: &[u32]) -> Result<Evaluation, TrainError> {
    let parts = indices
        .par_chunks(CHUNK)
        .map(|indices| {
            let (inputs, classes) = batch(samples, indices, None);
            let logits = net.predict(&inputs)?;
            let outcomes = logits.outer_iter().zip(classes).map(|(logits, class)| {
                let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let sum: f64 = logits.iter().map(|&l| f64::from(l - top).exp()).sum();
                let first_largest = logits.iter().position(|&l| l == top);
                (usize::from(first_largest == Some(class)), f64::from(top - logits[class]) + sum.ln())
            });
            Ok(outcomes.collect::<Vec<_>>())
        })
        .collect::<Result<Vec<_>, TrainError>>()?;
    let (correct, loss) = parts.iter().flatten().fold((0, 0.0), |(c, l), o| (c + o.0, l + o.1));
    Ok(Evaluation { correct, total: indices.len(), loss: loss / indices.len().max(1) as f64 })
}
