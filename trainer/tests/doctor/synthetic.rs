//! Logs of runs that never were: the laws of each illness, and noise from seeded random numbers.

use escarp_trainer::{
    doctor::record::{LayerHealth, Observation},
    engine::random::{Purpose, stream},
    layers::kind::{Activation, LayerKind},
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// `ln 10`: the loss of ten equal classes unlooked at.
pub const TEN_CLASSES: f64 = std::f64::consts::LN_10;

/// A position in the run, 0 to 1.
pub type Law = Box<dyn Fn(f64) -> f64>;

/// What a log is drawn from.
pub struct Synthetic {
    pub observations: usize,
    pub kinds: Vec<LayerKind>,
    pub activation: Option<Activation>,
    pub baseline: Option<f64>,
    /// Mean loss.
    pub loss: Law,
    /// Deviation of the loss of a batch, as a share of the loss.
    pub noise: f64,
    /// Gradient norm of the last layer.
    pub gradient: Law,
    /// Gradient norm of each layer over that of the one behind it.
    pub per_layer: f64,
    /// Update-to-weight ratio.
    pub update: Law,
    /// Share of dead units.
    pub dead: Law,
    /// Saturated share.
    pub saturated: Law,
    pub gain: Option<f64>,
    /// Of recurrent layers.
    pub time_ratio: Law,
    pub rate: Law,
    pub accuracy: bool,
    pub observations_in_epoch: usize,
    pub planned: bool,
}

/// A constant.
pub fn flat(value: f64) -> Law {
    Box::new(move |_| value)
}

/// From `from` down to `to`; most of it in the first `share` of the run.
pub fn falling(from: f64, to: f64, share: f64) -> Law {
    Box::new(move |t| to + (from - to) * (-3.0 * t / share).exp())
}

/// A healthy ReLU net of `layers` dense layers on ten classes.
pub fn healthy(layers: usize) -> Synthetic {
    Synthetic {
        observations: 120,
        kinds: vec![LayerKind::Dense; layers],
        activation: Some(Activation::Relu),
        baseline: Some(TEN_CLASSES),
        loss: falling(2.4, 0.15, 0.4),
        noise: 0.15,
        gradient: falling(1.0, 0.2, 0.5),
        per_layer: 1.05,
        update: falling(3e-3, 5e-4, 1.0),
        dead: flat(0.05),
        saturated: flat(0.0),
        gain: Some(1.41),
        time_ratio: flat(0.2),
        rate: flat(0.1),
        accuracy: true,
        observations_in_epoch: 10,
        planned: true,
    }
}

impl Synthetic {
    /// Draws the log.
    pub fn draw(&self, seed: u64) -> Vec<Observation> {
        let mut rng = stream(seed, Purpose::Gestures, 0, 0);
        (0..self.observations).map(|i| self.observation(i, &mut rng)).collect()
    }

    fn observation(&self, i: usize, rng: &mut ChaCha8Rng) -> Observation {
        let t = i as f64 / self.observations as f64;
        let normal = |rng: &mut ChaCha8Rng| -> f64 { StandardNormal.sample(rng) };
        // Losses and norms of batches are positive and skewed.
        let around = |value: f64, spread: f64, rng: &mut ChaCha8Rng| {
            value * (spread * normal(rng) - spread * spread / 2.0).exp()
        };
        let loss = around((self.loss)(t), self.noise, rng);
        let right = 1.0 - (loss / TEN_CLASSES).min(1.0) * 0.9;
        let batch = around((self.gradient)(t), 0.3, rng);
        let count = self.kinds.len();
        let layer = |(n, kind): (usize, &LayerKind), rng: &mut ChaCha8Rng| {
            let depth = (count - 1 - n) as i32;
            let gradient = around(batch * self.per_layer.powi(depth), 0.2, rng);
            let dead = ((self.dead)(t) + 0.02 * normal(rng)).clamp(0.0, 1.0);
            let recurrent = kind.recurrent();
            LayerHealth {
                name: format!("layer{n}"),
                kind: *kind,
                activation: self.activation.filter(|_| n + 1 < count || recurrent),
                weight_norm: Some(around(10.0, 0.01, rng)),
                weight_gain: self.gain,
                gradient_norm: Some(gradient),
                zero_gradients: Some(if gradient < 1e-11 { 0.9 } else { 0.01 }),
                update_ratio: Some(around((self.update)(t), 0.3, rng)),
                largest_weight: Some(1.0),
                activation_mean: Some(0.3),
                activation_std: Some(around(0.6, 0.05, rng)),
                activation_zeros: Some(0.5),
                activation_saturated: Some(((self.saturated)(t) + 0.02 * normal(rng)).clamp(0.0, 1.0)),
                dead_units: Some(dead),
                activation_gradient_norm: Some(gradient),
                time_gradient_ratio: recurrent.then(|| around((self.time_ratio)(t), 0.5, rng)),
                ..LayerHealth::default()
            }
        };
        let layers: Vec<LayerHealth> = self.kinds.iter().enumerate().map(|l| layer(l, rng)).collect();
        let norm = layers.iter().filter_map(|l| l.gradient_norm).map(|g| g * g).sum::<f64>().sqrt();
        let hits = (0..64).filter(|_| rng.random::<f64>() < right).count();
        Observation {
            step: 20 * i as u64,
            epoch: Some((i / self.observations_in_epoch) as u32 + 1),
            planned_steps: self.planned.then_some(20 * self.observations as u64),
            baseline_loss: self.baseline,
            loss: Some(loss),
            accuracy: self.accuracy.then_some(hits as f64 / 64.0),
            rate: Some((self.rate)(t)),
            gradient_norm: Some(norm),
            layers,
            ..Observation::default()
        }
    }
}
