//! A moving average of the weights, evaluated and exported in place of the latest ones.
//!
//! Steps at a high learning rate scatter around the bottom of a valley; their mean lies closer to it (Polyak and
//! Juditsky, 1992). After step `n`, the first being 0,
//!
//! ```text
//! a <- d a + (1 - d) w,   d = min(decay, (1 + n) / (10 + n)),   a = w at n = 0
//! ```
//!
//! The ramp keeps short runs from being averaged with their random start (TensorFlow's `ExponentialMovingAverage` with
//! `num_updates`). Batch-norm statistics are averaged alike: they belong to the averaged weights, not to the latest.
//! Keras: `use_ema`, `ema_momentum`; PyTorch: `AveragedModel` with `use_buffers=True`. Training itself does not see it.

use std::path::Path;

use crate::{error::TrainError, nets::Net, run::checkpoint::Checkpoint};

/// The average of every weight and statistic of a net.
#[derive(Clone, Debug, PartialEq)]
pub struct Average {
    decay: f32,
    /// Of the parameters, then of the buffers, in the order of the net.
    values: Vec<Vec<f32>>,
}

impl Average {
    /// Starts at the net's numbers. `decay` in 0..1; 0.999 is usual.
    pub fn new(decay: f32, net: &mut Net) -> Self {
        let mut values = Vec::new();
        visit(net, |_, now| values.push(now.to_vec()));
        Self { decay, values }
    }

    /// Takes the net in after a step; `steps` have been done before this one.
    pub fn update(&mut self, steps: u64, net: &mut Net) {
        visit(net, |i, now| blend(decay(self.decay, steps), &mut self.values[i], now));
    }

    /// Exchanges the net's numbers with the averages; twice leaves everything as it was.
    pub fn swap(&mut self, net: &mut Net) {
        visit(net, |i, now| now.swap_with_slice(&mut self.values[i]));
    }

    /// For a checkpoint.
    pub fn arrays(&self) -> impl Iterator<Item = (String, Vec<f32>)> {
        self.values.iter().enumerate().map(|(i, values)| (name(i), values.clone()))
    }

    /// Back from the checkpoint that was read from `path`.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] if it has no average or that of another net.
    pub fn restore<H>(&mut self, checkpoint: &Checkpoint<H>, path: &Path) -> Result<(), TrainError> {
        self.values.iter_mut().enumerate().try_for_each(|(i, values)| checkpoint.restore(path, &name(i), values))
    }
}

fn name(i: usize) -> String {
    format!("average/{i}")
}

fn visit(net: &mut Net, mut each: impl FnMut(usize, &mut [f32])) {
    let parameters = net.parameters();
    let count = parameters.len();
    parameters.into_iter().enumerate().for_each(|(i, p)| each(i, p.value));
    net.buffers().into_iter().enumerate().for_each(|(i, (_, values))| each(count + i, values));
}

fn decay(most: f32, steps: u64) -> f32 {
    let n = steps as f64;
    if steps == 0 { 0.0 } else { f64::from(most).min((1.0 + n) / (10.0 + n)) as f32 }
}

fn blend(decay: f32, average: &mut [f32], now: &[f32]) {
    for (a, &w) in average.iter_mut().zip(now) {
        // What stands still is its own average, to the bit: the sum would round.
        if *a != w {
            *a = decay * *a + (1.0 - decay) * w;
        }
    }
}
