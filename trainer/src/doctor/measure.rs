//! From a training step to its [`Observation`](super::record::Observation): a watcher on the way back through the net, then a
//! look at the parameters before and after the optimizer's step.
//!
//! ```text
//! let mut measure = Measure::default();
//! net.gradients_watched(x, targets, smoothing, Some(&mut measure));
//! measure.before(&net.parameters());
//! ... clip, optimizer step ...
//! let layers = measure.after(&net.parameters());
//! ```
//!
//! It costs a pass over every output and two over every parameter, which is why it looks at one step in many.

use ndarray::ArrayD;

use super::record::{Histogram, LayerHealth, NonFinite, ZERO_GRADIENT};
use crate::{
    engine::parameter::Parameter,
    layers::{
        Layer,
        kind::{Activation, LayerKind},
        numbers,
    },
    nets::Watch,
};

/// What one step shows, layer by layer.
#[derive(Debug, Default)]
pub struct Measure {
    /// Layers with weights, and sums that an activation follows, from the output to the input until [`Measure::before`]
    /// turns them.
    layers: Vec<LayerHealth>,
    /// The output of an activation whose layer comes next on the way back.
    activated: Option<Output>,
    /// Weights before the step, layer by layer in the order of the parameters.
    before: Vec<Vec<f32>>,
}

/// Statistics of an output after its activation.
#[derive(Clone, Copy, Debug, Default)]
struct Output {
    activation: Option<Activation>,
    mean: f64,
    deviation: f64,
    zeros: f64,
    dead: f64,
    saturated: Option<f64>,
    finite: bool,
}

impl Watch<f32> for Measure {
    fn node(&mut self, name: &str, layer: &dyn Layer<f32>, y: &ArrayD<f32>, dy: &ArrayD<f32>) {
        let activation = layer.activation();
        let Some(kind) = layer.kind() else {
            if activation.is_some() {
                self.activated = Some(output(y, activation, layer.saturation()));
            }
            return;
        };
        if kind == LayerKind::Add && activation.is_none() && self.activated.is_none() {
            return; // nothing in it that could die or saturate
        }
        let own = || output(y, activation, layer.saturation());
        let seen = self.activated.take().unwrap_or_else(own);
        let gradient = norm(numbers(dy));
        self.layers.push(LayerHealth {
            name: name.to_owned(),
            kind,
            activation: Some(seen.activation.unwrap_or(Activation::Linear)),
            normalized: layer.normalizes(),
            activation_mean: Some(seen.mean),
            activation_std: Some(seen.deviation),
            activation_zeros: Some(seen.zeros),
            activation_saturated: seen.saturated,
            dead_units: Some(seen.dead),
            activation_gradient_norm: Some(gradient),
            non_finite: match (seen.finite, gradient.is_finite()) {
                (false, _) => Some(NonFinite::Activations),
                (true, false) => Some(NonFinite::Gradients),
                (true, true) => None,
            },
            ..LayerHealth::default()
        });
    }

    fn gone_back(&mut self, name: &str, layer: &dyn Layer<f32>) {
        if let Some(health) = self.layers.last_mut().filter(|l| l.name == name) {
            health.time_gradient_ratio = layer.time_gradient_ratio();
        }
    }
}

impl Measure {
    /// Looks at the gradients, before they are clipped, and keeps the weights. `parameters` are those of the net whose
    /// step was watched; a layer none of whose weights is among them is frozen and cannot be ill. What a sum gives is
    /// up to the layers before it.
    pub fn before(&mut self, parameters: &[Parameter<'_>]) {
        self.layers.reverse(); // from the input to the output
        self.before.clear();
        self.layers.retain(|layer| layer.kind == LayerKind::Add || parameters.iter().any(|p| belongs(p, layer)));
        for layer in self.layers.iter_mut().filter(|layer| layer.kind != LayerKind::Add) {
            let mut sums = Sums::default();
            for p in parameters.iter().filter(|p| belongs(p, layer)) {
                sums.add(p);
                self.before.push(p.value.to_vec());
            }
            layer.weight_norm = Some(sums.weight_squares.sqrt());
            // Scales of a normalization are multiplied with nothing that is summed.
            layer.weight_gain = Some(sums.gain).filter(|_| layer.kind != LayerKind::Norm);
            layer.gradient_norm = Some(sums.gradient_squares.sqrt());
            layer.zero_gradients = Some(sums.zeros as f64 / sums.count.max(1) as f64);
            layer.largest_weight = Some(sums.largest);
            layer.gradient_histogram = Some(sums.histogram);
            if !sums.weight_squares.is_finite() {
                layer.non_finite = Some(NonFinite::Weights);
            } else if !sums.gradient_squares.is_finite() {
                layer.non_finite = layer.non_finite.or(Some(NonFinite::Gradients));
            }
        }
    }

    /// The layers' health before the step, when [`Measure::before`] has looked.
    pub fn layers(&self) -> &[LayerHealth] {
        &self.layers
    }

    /// The layers' health, with what the optimizer's step has changed.
    pub fn after(self, parameters: &[Parameter<'_>]) -> Vec<LayerHealth> {
        let Self { mut layers, before, .. } = self;
        let mut before = before.iter();
        for layer in &mut layers {
            let mut moved = 0.0;
            for p in parameters.iter().filter(|p| belongs(p, layer)) {
                let Some(old) = before.next() else { break };
                moved += p.value.iter().zip(old).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>();
            }
            layer.update_ratio = layer.weight_norm.filter(|n| *n > 0.0).map(|norm| moved.sqrt() / norm);
        }
        layers
    }
}

/// Whether a parameter is a weight of a layer, not a bias; of a normalization everything is. A residual block's sum has
/// the name that its layers' names begin with, and no weights.
fn belongs(parameter: &Parameter<'_>, layer: &LayerHealth) -> bool {
    if layer.kind == LayerKind::Add {
        return false;
    }
    let weight = parameter.decay || layer.kind == LayerKind::Norm;
    weight && parameter.name.strip_prefix(&layer.name).is_some_and(|rest| rest.starts_with('.'))
}

/// Sums over all weights of a layer.
#[derive(Default)]
struct Sums {
    count: usize,
    zeros: usize,
    weight_squares: f64,
    gradient_squares: f64,
    largest: f64,
    gain: f64,
    histogram: Histogram,
}

impl Sums {
    fn add(&mut self, p: &Parameter<'_>) {
        let squares: f64 = p.value.iter().map(|&w| f64::from(w).powi(2)).sum();
        self.count += p.value.len();
        self.weight_squares += squares;
        self.gradient_squares += p.gradient.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>();
        // A NaN is no zero.
        self.zeros += p.gradient.iter().filter(|g| f64::from(g.abs()) < ZERO_GRADIENT).count();
        let largest = p.value.iter().fold(0.0f32, |m, w| if w.abs() > m || w.is_nan() { w.abs() } else { m });
        self.largest = self.largest.max(f64::from(largest));
        // Root mean square of the weights times the root of the inputs that an output sums.
        let fan_in = p.value.len() / p.units.max(1);
        self.gain = self.gain.max((squares / p.units.max(1) as f64).sqrt() * f64::from(u8::from(fan_in > 0)));
        self.histogram.add(p.gradient);
    }
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

/// `y`, `[batch, ..., channels]`: a unit is dead if it is zero everywhere.
fn output(y: &ArrayD<f32>, activation: Option<Activation>, gates: Option<f64>) -> Output {
    let channels = y.shape().last().copied().unwrap_or(1).max(1);
    let values = numbers(y);
    let (mut sum, mut squares, mut zeros, mut saturated) = (0.0, 0.0, 0usize, 0usize);
    let mut alive = vec![false; channels];
    let ends = activation.and_then(Activation::saturates_beyond);
    for row in values.chunks_exact(channels) {
        // One row in single precision, the rows in double.
        let (mut s, mut q) = (0.0f32, 0.0f32);
        for (&v, alive) in row.iter().zip(&mut alive) {
            s += v;
            q += v * v;
            zeros += usize::from(v == 0.0);
            *alive |= v != 0.0;
        }
        if let Some((low, high)) = ends {
            saturated += row.iter().filter(|&&v| v < low || v > high).count();
        }
        sum += f64::from(s);
        squares += f64::from(q);
    }
    let n = values.len().max(1) as f64;
    let mean = sum / n;
    Output {
        activation,
        mean,
        deviation: (squares / n - mean * mean).max(0.0).sqrt(),
        zeros: zeros as f64 / n,
        dead: alive.iter().filter(|a| !**a).count() as f64 / channels as f64,
        saturated: gates.or(ends.map(|_| saturated as f64 / n)),
        finite: sum.is_finite() && squares.is_finite(),
    }
}
