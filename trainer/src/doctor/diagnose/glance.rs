//! What one observation shows by itself.

use std::{cmp::Reverse, collections::HashMap};

use super::statistics::median;
use crate::{
    doctor::{
        record::{LayerHealth, NonFinite, Observation},
        thresholds::Thresholds,
    },
    layers::kind::{Activation, LayerKind},
};

/// The figures of one observation that verdicts are made of. Small: one is kept of every observation.
#[derive(Clone, Debug, Default)]
pub(super) struct Glance {
    pub step: u64,
    pub epoch: Option<u32>,
    pub loss: Option<f64>,
    pub accuracy: Option<f64>,
    pub gradient_norm: Option<f64>,
    pub depth: Option<Depth>,
    /// Largest of the recurrent layers' time ratios, and the smallest.
    pub time: Option<[f64; 2]>,
    /// Median over the layers of the update-to-weight ratio.
    pub update: Option<f64>,
    /// Largest share of dead units in a ReLU layer.
    pub dead: Option<f64>,
    /// Largest saturated share of a hidden layer.
    pub saturated: Option<f64>,
    /// The gradient norm is far above all before; filled in by the doctor, who knows them.
    pub spike: bool,
    /// The gradient was clipped, so that its size did no harm.
    pub clipped: bool,
}

/// The gradient's way from the last layer with weights to the first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth {
    /// Norm at the first layer over norm at the last.
    pub ratio: f64,
    pub first: f64,
    pub last: f64,
}

impl Glance {
    pub fn of(o: &Observation, limits: &Thresholds) -> Self {
        let finite = |x: Option<f64>| x.filter(|x| x.is_finite());
        let largest = |values: &mut dyn Iterator<Item = f64>| values.max_by(f64::total_cmp);
        let times = || o.layers.iter().filter(|l| l.kind.recurrent()).filter_map(|l| finite(l.time_gradient_ratio));
        let updates = weighted(o).filter_map(|l| finite(l.update_ratio));
        Self {
            step: o.step,
            epoch: o.epoch,
            loss: finite(o.loss),
            accuracy: finite(o.accuracy),
            gradient_norm: finite(o.gradient_norm),
            depth: Depth::of(o),
            time: largest(&mut times()).zip(times().min_by(f64::total_cmp)).map(|(most, least)| [most, least]),
            update: median(updates),
            dead: largest(&mut o.layers.iter().filter_map(dead)).filter(|share| {
                *share >= limits.dead_layer || o.batch.is_none_or(|b| f64::from(b) >= limits.dead_batch)
            }),
            saturated: largest(&mut hidden_saturated(o).map(|(_, share)| share)),
            spike: false,
            clipped: o.clipped,
        }
    }

    pub fn vanishing(&self, limits: &Thresholds) -> bool {
        self.depth.is_some_and(|d| d.ratio < limits.vanishing_ratio && d.first < limits.vanishing_first)
    }

    pub fn vanishing_in_time(&self, limits: &Thresholds) -> bool {
        self.time.is_some_and(|[_, least]| least < limits.vanishing_time_ratio)
    }

    pub fn exploding(&self, limits: &Thresholds) -> bool {
        self.depth.is_some_and(|d| d.explodes(limits))
            || self.time.is_some_and(|[most, _]| most > limits.exploding_ratio)
    }

    pub fn dying(&self, limits: &Thresholds) -> bool {
        self.dead.is_some_and(|share| share >= limits.dying)
    }

    pub fn wholly_dead(&self, limits: &Thresholds) -> bool {
        self.dead.is_some_and(|share| share >= limits.dead_layer)
    }

    pub fn saturated(&self, limits: &Thresholds) -> bool {
        self.saturated.is_some_and(|share| share >= limits.saturated)
    }

    pub fn large_update(&self, limits: &Thresholds) -> bool {
        self.update.is_some_and(|ratio| ratio >= limits.large_update)
    }
}

impl Depth {
    pub fn explodes(&self, limits: &Thresholds) -> bool {
        self.ratio > limits.exploding_ratio && self.first > limits.exploding_first
    }

    /// `None` for fewer than two layers, and where the last layer has no gradient at all: then nothing is on its
    /// way that could vanish.
    fn of(o: &Observation) -> Option<Self> {
        let norms: Vec<f64> = weighted(o).filter_map(|l| l.gradient_norm).collect();
        let (&first, &last) = (norms.first()?, norms.last()?);
        let fit = norms.len() > 1 && last > 0.0 && first.is_finite() && last.is_finite();
        fit.then(|| Self { ratio: first / last, first, last })
    }
}

/// Layers whose gradients and updates can be compared with each other: the scale of a normalization stands outside
/// the products of weights, rows of an embedding that do not occur have no gradient, and a sum has no weights.
pub(super) fn weighted(o: &Observation) -> impl DoubleEndedIterator<Item = &LayerHealth> {
    o.layers.iter().filter(|l| has_weights(l))
}

fn has_weights(layer: &LayerHealth) -> bool {
    !matches!(layer.kind, LayerKind::Norm | LayerKind::Embedding | LayerKind::Add)
}

/// Whether most layers have a normalization within them, behind or before them, which takes the scale of their weights
/// out of the signal. One in front of the whole net does nothing for the layers behind the first.
pub(super) fn normalized(o: &Observation) -> bool {
    let all: Vec<&LayerHealth> = o.layers.iter().filter(|l| l.kind != LayerKind::Add).collect();
    let norm = |i: usize| all.get(i).is_some_and(|l| l.kind == LayerKind::Norm);
    let beside = |i: usize| norm(i + 1) || i.checked_sub(1).is_some_and(norm);
    let layers = all.iter().enumerate().filter(|(_, l)| has_weights(l));
    let normalized = layers.clone().filter(|&(i, l)| l.normalized || beside(i)).count();
    2 * normalized > layers.count()
}

/// Share of dead units of a ReLU layer. Without it the share of zero gradients: exact only where ReLU is named,
/// because elsewhere a vanished gradient rounds to zero too.
pub(super) fn dead(layer: &LayerHealth) -> Option<f64> {
    match layer.activation {
        Some(Activation::Relu) => layer.dead_units.or(layer.zero_gradients),
        None => layer.dead_units,
        Some(_) => None,
    }
}

/// Layers with a saturated share, without the last: an output that is sure of itself is saturated and healthy.
pub(super) fn hidden_saturated(o: &Observation) -> impl Iterator<Item = (&LayerHealth, f64)> {
    let output = weighted(o).next_back().filter(|l| !l.kind.recurrent()).map(|l| l.name.as_str());
    let hidden = o.layers.iter().filter(move |l| Some(l.name.as_str()) != output);
    hidden.filter_map(|l| l.activation_saturated.map(|share| (l, share)))
}

/// Where numbers are not finite.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BlowUp {
    pub step: u64,
    /// The layer and what of it, if one is named.
    pub place: Option<(String, NonFinite)>,
    pub loss: Option<f64>,
    /// Largest growth of a layer's weights since `before`: their norm over their norm then.
    pub swollen: Option<f64>,
}

impl BlowUp {
    /// `before` is the latest observation in which all was finite.
    pub fn of(o: &Observation, before: Option<&Observation>) -> Option<Self> {
        let ill = |x: Option<f64>| x.is_some_and(|x| !x.is_finite());
        let what = |l: &LayerHealth| match l.non_finite {
            Some(what) => Some(what),
            None if ill(l.weight_norm) || ill(l.largest_weight) => Some(NonFinite::Weights),
            None if ill(l.activation_mean) || ill(l.activation_std) => Some(NonFinite::Activations),
            None if ill(l.gradient_norm) || ill(l.activation_gradient_norm) => Some(NonFinite::Gradients),
            None => None,
        };
        // Weights are ill before anything is computed with them, activations spread towards the output and
        // gradients towards the input: the earliest of each kind is where it began.
        let places = o.layers.iter().enumerate().filter_map(|(i, l)| what(l).map(|what| (i, l, what)));
        let place = places.min_by_key(|&(i, _, what)| match what {
            NonFinite::Weights => (0, i, Reverse(0)),
            NonFinite::Activations => (1, i, Reverse(0)),
            NonFinite::Gradients => (2, 0, Reverse(i)),
        });
        let place = place.map(|(_, layer, what)| (layer.name.clone(), what));
        let found = place.is_some() || ill(o.loss) || ill(o.gradient_norm) || ill(o.validation_loss);
        if !found {
            return None;
        }
        let mut norms = HashMap::new();
        for layer in before.into_iter().flat_map(|o| &o.layers) {
            norms.entry(layer.name.as_str()).or_insert(layer.weight_norm.filter(|n| *n > 0.0));
        }
        let norm_before = |name: &str| norms.get(name).copied().flatten();
        let growth = o.layers.iter().filter_map(|l| Some(l.weight_norm? / norm_before(&l.name)?));
        let swollen = growth.filter(|g| !g.is_nan()).max_by(f64::total_cmp);
        Some(Self { step: o.step, place, loss: o.loss, swollen })
    }
}
