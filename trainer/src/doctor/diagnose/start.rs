//! Initial weights that are too large.

use super::{
    Doctor,
    glance::{Glance, hidden_saturated, normalized, weighted},
    needed,
    progress::Progress,
    text::{list, number},
};
use crate::{
    doctor::{
        known::Known,
        record::{LayerHealth, Observation},
        thresholds::Thresholds,
        verdict::{Illness, Init, Prescription, Severity, Verdict},
    },
    layers::kind::Activation,
};

/// Judges the first observation by itself.
///
/// Layers at the scale of He or Glorot keep the variance of a signal; a gain of `g` multiplies the deviation by up
/// to `g` in each layer and that of the gradient on its way back too. Without gains, the largest weights have to do.
/// Whatever the weights look like, what became of the first batch's signal tells too: one huge layer
/// is enough, and so are sums of many good ones that nothing normalizes.
pub fn initial_weights(first: &Observation, limits: &Thresholds) -> Option<Verdict> {
    if normalized(first) {
        return None; // normalization takes the scale of the weights out again
    }
    let layers: Vec<&LayerHealth> = weighted(first).collect();
    let large = |figure: fn(&LayerHealth) -> Option<f64>, limit: f64| {
        let known = layers.iter().filter(|l| figure(l).is_some()).count();
        let above: Vec<String> =
            layers.iter().filter(|l| figure(l).is_some_and(|x| x > limit)).map(|l| l.name.clone()).collect();
        (known > 0 && 2 * above.len() >= known, above, known)
    };
    let most = |figure: fn(&LayerHealth) -> Option<f64>| {
        layers.iter().filter_map(|l| figure(l)).fold(f64::NEG_INFINITY, f64::max)
    };
    let (gains_large, by_gain, gains) = large(|l| l.weight_gain, limits.large_gain);
    let (weights_large, by_weight, _) = large(|l| l.largest_weight, limits.large_weight);
    let growth = growth(&layers);
    let names = || layers.iter().map(|l| l.name.clone()).collect::<Vec<_>>();
    let (evidence, concerned) = if gains_large {
        let gain = number(most(|l| l.weight_gain));
        (format!("the weights of {} began with gains up to {gain}, where He's is 1.41", list(&by_gain)), by_gain)
    } else if gains == 0 && weights_large {
        let weight = number(most(|l| l.largest_weight));
        (format!("the largest weights of {} began at up to {weight}", list(&by_weight)), by_weight)
    } else if growth > limits.signal_growth {
        let times = number(growth);
        (format!("the signal's deviation began {times} times as large in the net as behind its first layer"), names())
    } else {
        return None;
    };
    Some(too_large(first, evidence, concerned, limits))
}

/// What a run is to be warned of before its first step: [`initial_weights`], or weights of usual size through which the
/// gradient grows all the same. In a run that goes on so, that is the illness itself.
pub fn warning(first: &Observation, limits: &Thresholds, known: Option<&dyn Known>) -> Option<Verdict> {
    let mut found = initial_weights(first, limits).or_else(|| {
        let depth = Glance::of(first, limits).depth.filter(|d| d.explodes(limits) && !normalized(first))?;
        let times = number(depth.ratio);
        let evidence = format!("the gradient of the first layer began {times} times as large as that of the last");
        Some(too_large(first, evidence, weighted(first).map(|l| l.name.clone()).collect(), limits))
    });
    found.iter_mut().for_each(|verdict| needed(&mut verdict.prescriptions, first, known));
    found
}

fn too_large(first: &Observation, mut evidence: String, layers: Vec<String>, limits: &Thresholds) -> Verdict {
    let saturated = hidden_saturated(first).map(|(_, share)| share).fold(0.0, f64::max);
    if saturated >= limits.saturated {
        evidence += &format!("; {:.0} % of a layer's outputs were saturated at once", 100.0 * saturated);
    }
    if let (Some(loss), Some(baseline)) = (first.loss, first.baseline_loss)
        && loss > 2.0 * baseline
    {
        evidence += &format!("; the first loss was {}, a guess without looking has {}", number(loss), number(baseline));
    }
    let init = init_for(first);
    Verdict {
        illness: Illness::InitialWeightsTooLarge,
        severity: Severity::Warning,
        layers,
        since_step: first.step,
        evidence,
        prescriptions: vec![Prescription::Reinitialize { init }, Prescription::AddNorm, Prescription::WarmUp],
    }
}

/// By how much the deviation of the output grows from the first layer on. Saturating outputs cannot show it.
fn growth(layers: &[&LayerHealth]) -> f64 {
    let mut stds = layers.iter().filter_map(|l| l.activation_std).filter(|s| *s > 0.0);
    let first = stds.next().unwrap_or(f64::INFINITY);
    stds.fold(0.0, f64::max) / first
}

/// The initial weights that fit a net's activations.
pub(super) fn init_for(observation: &Observation) -> Init {
    let saturating = observation.layers.iter().filter(|l| l.activation.is_some_and(Activation::saturates)).count();
    match () {
        () if observation.layers.iter().any(|l| l.kind.recurrent()) => Init::Orthogonal,
        () if 2 * saturating >= weighted(observation).count() => Init::Glorot,
        () => Init::He,
    }
}

impl Doctor {
    /// Large initial weights in a run that does not learn.
    pub(super) fn poor_start(&self, progress: &Progress) -> Option<Verdict> {
        if !progress.stuck() {
            return None;
        }
        let verdict = initial_weights(self.first.as_ref()?, &self.limits)?;
        let evidence = format!("{}; {}", verdict.evidence, progress.text());
        Some(Verdict { severity: Severity::Ill, evidence, ..verdict })
    }
}
