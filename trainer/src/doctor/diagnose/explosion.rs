//! Numbers that explode or are lost, and the root of it.

use super::{
    Doctor, WINDOW,
    progress::Progress,
    start::{init_for, initial_weights},
    statistics::median,
    text::number,
};
use crate::doctor::{
    diagnose::glance::{BlowUp, Glance, weighted},
    verdict::{Illness, Prescription, Severity, Verdict},
};

/// Observations that spikes are counted in.
const SPIKE_WINDOW: usize = 16;

/// Norms are clipped at 1 to 5 in the recipes of `trainer/results.md`.
const LARGEST_CLIP: f64 = 5.0;

impl Doctor {
    /// NaN, infinity, divergence or a gradient that stays exploded, named by its root.
    pub(super) fn explosion(&self, progress: Option<Progress>) -> Option<Verdict> {
        let sign = self.explosion_sign(progress)?;
        let seen = self.seen.last();
        let verdict = |illness, evidence: String, prescriptions| Verdict {
            illness,
            severity: if self.blow_up.is_some() { Severity::Fatal } else { Severity::Ill },
            layers: sign.layers.clone(),
            since_step: sign.since,
            evidence,
            prescriptions,
        };
        let first = self.first.as_ref()?;
        let update = self.update_while_calm();
        let long = update.is_some_and(|update| update >= self.limits.large_update);
        if let Some(start) = initial_weights(first, &self.limits).filter(|_| !long) {
            let evidence = format!("{}; {}", sign.evidence, start.evidence);
            return Some(Verdict { layers: start.layers, ..verdict(start.illness, evidence, start.prescriptions) });
        }
        let recurrent = first.layers.iter().any(|l| l.kind.recurrent());
        // Where a step's length is not known: the gradient of a net without recurrence explodes through its layers,
        // from the first observation on, or because of the rate. Nor do its weights swell by anything but long steps.
        let blamed = match update {
            _ if sign.swollen && !recurrent => true,
            Some(_) => long,
            None => sign.grew && !recurrent && self.seen.iter().any(|g| g.depth.is_some()),
        };
        let from_the_start = self.seen.first().is_some_and(|g| g.exploding(&self.limits));
        if blamed && !from_the_start {
            let mut evidence = sign.evidence.clone();
            if let Some(update) = update.filter(|_| long) {
                evidence += "; before that, while gradients were of usual size, a step changed the weights by ";
                evidence += &format!("{} of their norm", number(update));
            } else if !sign.swollen {
                evidence += "; at first no layer's gradient was of unusual size";
            }
            let lower = Prescription::LowerRate { factor: 0.1 };
            let cures = vec![lower, Prescription::WarmUp, Prescription::ClipGlobalNorm { limit: self.clipping() }];
            return Some(verdict(Illness::LearningRateTooHigh, evidence, cures));
        }
        if !sign.grew {
            let check = vec![Prescription::CheckData, Prescription::LowerRate { factor: 0.1 }];
            let calm =
                seen.and_then(|g| g.gradient_norm).map(|n| format!("; the gradient norm before was {}", number(n)));
            return Some(verdict(Illness::NonFinite, sign.evidence.clone() + &calm.unwrap_or_default(), check));
        }
        let mut cures = vec![Prescription::ClipGlobalNorm { limit: self.clipping() }];
        cures.push(Prescription::LowerRate { factor: 0.3 });
        cures.push(Prescription::Reinitialize { init: init_for(first) });
        cures.push(if recurrent { Prescription::GatedCell } else { Prescription::AddNorm });
        Some(verdict(Illness::Exploding, sign.evidence.clone(), cures))
    }

    fn explosion_sign(&self, progress: Option<Progress>) -> Option<Sign> {
        let exploding = self.since(|g| g.exploding(&self.limits));
        let stuck = progress.is_some_and(|p| p.stuck());
        let spikes = self.spike_sign().filter(|_| progress.is_some_and(|p| !p.surely_learned));
        if let Some(blow_up) = &self.blow_up {
            return Some(self.lost(blow_up, exploding.or(spikes.as_ref().map(|s| s.since))));
        }
        if let Some(progress) = progress.filter(|p| p.diverged) {
            let evidence = format!("the loss diverged: {}", progress.text());
            let since = self.since(|g| g.loss.is_some_and(|l| l > self.limits.worse * progress.start));
            let since = since.or(self.seen.last().map(|g| g.step))?;
            return Some(Sign { evidence, since, layers: Vec::new(), grew: true, swollen: false });
        }
        if let Some(since) = exploding.filter(|_| stuck) {
            return self.steady_sign(since);
        }
        // One exploded step can be enough: it leaves units saturated or dead, and no gradient to show.
        let first = self.seen.first().filter(|g| stuck && g.exploding(&self.limits));
        if let Some(first) = first {
            let norm = first.gradient_norm.map_or(String::new(), |n| format!(", its norm {} in all", number(n)));
            let evidence = format!("the gradient was exploded in the first observation{norm}");
            let layers = self.first.as_ref().and_then(|o| weighted(o).next()).map(|l| l.name.clone());
            let layers = layers.into_iter().collect();
            return Some(Sign { evidence, since: first.step, layers, grew: true, swollen: false });
        }
        spikes
    }

    /// A gradient that grows through the layers, or through time, in every step.
    fn steady_sign(&self, since: u64) -> Option<Sign> {
        let recent = || self.seen.iter().rev().take(WINDOW);
        let latest = self.latest()?;
        let layers: Vec<String> = weighted(latest).map(|l| l.name.clone()).collect();
        let depth = median(recent().filter_map(|g| g.depth.map(|d| d.ratio)))
            .filter(|ratio| *ratio > self.limits.exploding_ratio);
        let evidence = match depth {
            Some(ratio) => {
                format!(
                    "the gradient of layer {} is {} times that of layer {}",
                    layers.first()?,
                    number(ratio),
                    layers.last()?
                )
            }
            None => {
                let ratio = median(recent().filter_map(|g| g.time.map(|[most, _]| most)))?;
                format!("the gradient by the first state is {} times that by the last", number(ratio))
            }
        };
        Some(Sign { evidence, since, layers: layers.into_iter().take(1).collect(), grew: true, swollen: false })
    }

    fn spike_sign(&self) -> Option<Sign> {
        let spikes: Vec<&Glance> = self.seen.iter().rev().take(SPIKE_WINDOW).filter(|g| g.spike).collect();
        let (last, first) = (spikes.first()?, spikes.last()?);
        if (spikes.len() as f64) < self.limits.spikes {
            return None;
        }
        let largest = spikes.iter().filter_map(|g| g.gradient_norm).fold(0.0, f64::max);
        let evidence = format!(
            "{} of the last {SPIKE_WINDOW} observed gradients are spikes, the largest {} (usual: {}), the last at step {}",
            spikes.len(),
            number(largest),
            number(self.usual_norm()),
            last.step
        );
        Some(Sign { evidence, since: first.step, layers: Vec::new(), grew: true, swollen: false })
    }

    /// `since` is when explosion began before the numbers were lost, if it was seen.
    fn lost(&self, blow_up: &BlowUp, since: Option<u64>) -> Sign {
        let mut evidence = match &blow_up.place {
            Some((layer, what)) => {
                format!("the {} of layer {layer} are not finite at step {}", what.name(), blow_up.step)
            }
            None => format!("loss or gradient is not finite at step {}", blow_up.step),
        };
        if let Some(loss) = blow_up.loss {
            evidence += &format!(" (loss {})", number(loss));
        }
        let usual = self.usual_norm();
        let last = self.seen.iter().rev().take(3).filter_map(|g| g.gradient_norm).fold(0.0, f64::max);
        let losses = || self.seen.iter().filter_map(|g| g.loss);
        let start = losses().take(3).fold(0.0, f64::max);
        let risen = losses().next_back().is_some_and(|last| last > self.limits.diverged * start);
        let grown = last > self.limits.spike_start * usual && usual > 0.0;
        // Exploded within the time between two observations: the only trace is how far it got.
        let infinite = blow_up.loss.is_some_and(f64::is_infinite);
        if grown {
            evidence += &format!("; the gradient norm had grown to {} (usual: {})", number(last), number(usual));
        } else if risen {
            evidence += "; the loss had risen before";
        }
        let growth = blow_up.swollen.filter(|growth| *growth > self.limits.swollen);
        if let (Some(growth), Some(last)) = (growth, self.seen.last()) {
            let times =
                if growth.is_finite() { format!("{} times", number(growth)) } else { "beyond all bounds".into() };
            evidence += &format!("; weights had grown {times} since step {}", last.step);
        }
        let mut layers: Vec<String> = Vec::new();
        layers.extend(blow_up.place.as_ref().map(|(layer, _)| layer.clone()));
        let swollen = growth.is_some();
        let grew = grown || risen || infinite || swollen || since.is_some();
        Sign { evidence, since: since.unwrap_or(blow_up.step), layers, grew, swollen }
    }

    /// A limit for clipping: what was usual, or first, before it exploded; at most what recipes clip at.
    fn clipping(&self) -> f64 {
        let first = self.seen.first().and_then(|g| g.gradient_norm).filter(|n| *n > 0.0).unwrap_or(1.0);
        format!("{:.0e}", self.usual_norm().min(first).min(LARGEST_CLIP)).parse().unwrap_or(1.0)
    }

    /// Median of the gradient norms, rounded to one digit; 1 where none is known.
    fn usual_norm(&self) -> f64 {
        let usual = self.norms.median().filter(|n| *n > 0.0).unwrap_or(1.0);
        format!("{usual:.0e}").parse().unwrap_or(1.0)
    }

    /// Median update ratio of the observations before gradients grew tenfold: explosion itself makes any rate too
    /// high, so it is asked before it.
    pub(super) fn update_while_calm(&self) -> Option<f64> {
        let norms = self.seen.iter().filter_map(|g| g.gradient_norm);
        let calm = norms.take(3).fold(0.0, f64::max) * self.limits.spike_start;
        let before = self.seen.iter().take_while(|g| g.gradient_norm.is_none_or(|n| n <= calm));
        median(before.filter_map(|g| g.update))
    }
}

/// That something exploded or was lost.
struct Sign {
    evidence: String,
    since: u64,
    layers: Vec<String>,
    /// It grew before, or is not lost at all: an explosion. Otherwise numbers were lost out of the blue.
    grew: bool,
    /// The weights grew with it between two observations.
    swollen: bool,
}
