//! Units that let nothing through: saturated ones and dead ones.

use super::{
    Doctor,
    glance::{dead, hidden_saturated},
    progress::Progress,
    text::{list, number},
};
use crate::{
    doctor::{
        record::Observation,
        verdict::{Illness, Init, Prescription, Replacement, Severity, Verdict},
    },
    layers::kind::LayerKind,
};

impl Doctor {
    /// Sigmoids, tanhs or gates at the ends of their range in a run that does not learn.
    pub(super) fn saturation(&self, progress: &Progress) -> Option<Verdict> {
        let since = self.since(|g| g.saturated(&self.limits)).filter(|_| progress.stuck())?;
        let latest = self.latest()?;
        let ill: Vec<(&str, f64, LayerKind)> = hidden_saturated(latest)
            .filter(|(_, share)| *share >= self.limits.saturated)
            .map(|(l, share)| (l.name.as_str(), share, l.kind))
            .collect();
        if ill.is_empty() {
            return None; // the sign is going away
        }
        let layers = names(&ill);
        let worst = ill.iter().map(|l| l.1).fold(0.0, f64::max);
        let at_once = self.seen.first().is_some_and(|g| g.saturated(&self.limits));
        if !at_once && self.began_vanishing().is_some() {
            return None; // without a gradient for its weights, a layer drifts where the layers behind it push it
        }
        let evidence = format!(
            "up to {:.0} % of the outputs of {} are within 2.5 % of an end of their range, {}; {}",
            100.0 * worst,
            list(&layers),
            if at_once { "from the first observation on" } else { "which came in training" },
            progress.text()
        );
        if let Some(verdict) = self.spoilt_by_rate(since, &layers, &evidence).filter(|_| !at_once) {
            return Some(verdict);
        }
        let recurrent = ill.iter().any(|l| l.2.recurrent());
        let mut cures = match at_once {
            true => vec![Prescription::StandardizeInputs, Prescription::Reinitialize { init: Init::Glorot }],
            false => vec![Prescription::LowerRate { factor: 0.1 }, Prescription::Reinitialize { init: Init::Glorot }],
        };
        if !recurrent {
            cures.extend([Prescription::AddNorm, Prescription::ReplaceActivation { to: Replacement::Relu }]);
        }
        Some(verdict(Illness::Saturation, layers, since, evidence, cures))
    }

    /// ReLU layers most of whose units are zero whatever comes in. A layer that is wholly dead stops everything
    /// before it, so it needs no flat loss as proof, only a run that has not learned.
    pub(super) fn dying_relu(&self, progress: &Progress) -> Option<Verdict> {
        let since = match progress.surely_learned {
            true => None,
            false => self
                .since(|g| g.wholly_dead(&self.limits))
                .or_else(|| self.since(|g| g.dying(&self.limits)).filter(|_| progress.stuck())),
        }?;
        let latest = self.latest()?;
        let ill = dead_layers(latest, self.limits.dying);
        if ill.is_empty() {
            return None; // the sign is going away
        }
        let layers = names(&ill);
        let worst = ill.iter().map(|l| l.1).fold(0.0, f64::max);
        let at_once = self.seen.first().is_some_and(|g| g.dying(&self.limits));
        let dead_at_once = self.seen.first().is_some_and(|g| g.wholly_dead(&self.limits));
        if !dead_at_once && self.began_vanishing().is_some() {
            return None; // without a gradient for its weights, a layer dies of its biases
        }
        let evidence = format!(
            "up to {:.0} % of the units of {} are zero on whole batches, {}; {}",
            100.0 * worst,
            list(&layers),
            if at_once { "from the first observation on" } else { "though they were alive at first" },
            progress.text()
        );
        if let Some(verdict) = self.spoilt_by_rate(since, &layers, &evidence).filter(|_| !at_once) {
            return Some(verdict);
        }
        let (lower, init) = (Prescription::LowerRate { factor: 0.1 }, Prescription::Reinitialize { init: Init::He });
        let mut cures = if at_once { vec![init, lower] } else { vec![lower, init] };
        cures.extend([Prescription::ReplaceActivation { to: Replacement::LeakyRelu }, Prescription::AddNorm]);
        Some(verdict(Illness::DyingRelu, layers, since, evidence, cures))
    }

    /// Units that were well until steps came that renewed the weights: the rate is the root.
    fn spoilt_by_rate(&self, since: u64, layers: &[String], evidence: &str) -> Option<Verdict> {
        let before = self.seen.iter().take_while(|g| g.step < since).filter_map(|g| g.update);
        let longest = before.fold(0.0, f64::max);
        if longest < self.limits.large_update {
            return None;
        }
        let evidence =
            format!("{evidence}; before that a step changed the weights by {} of their norm", number(longest));
        let cures = vec![self.lower_rate(), Prescription::WarmUp, Prescription::AddNorm];
        Some(verdict(Illness::LearningRateTooHigh, layers.to_vec(), since, evidence, cures))
    }
}

fn dead_layers(o: &Observation, limit: f64) -> Vec<(&str, f64, LayerKind)> {
    let ill = o.layers.iter().filter_map(|l| dead(l).filter(|d| *d >= limit).map(|d| (l.name.as_str(), d, l.kind)));
    ill.collect()
}

fn names(layers: &[(&str, f64, LayerKind)]) -> Vec<String> {
    layers.iter().map(|l| l.0.to_owned()).collect()
}

fn verdict(
    illness: Illness,
    layers: Vec<String>,
    since_step: u64,
    evidence: String,
    prescriptions: Vec<Prescription>,
) -> Verdict {
    Verdict { illness, severity: Severity::Ill, layers, since_step, evidence, prescriptions }
}
