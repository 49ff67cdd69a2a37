//! Runs whose gradients flow, but whose loss does not fall as it should.

use super::{
    Doctor, Glance, WINDOW,
    glance::weighted,
    progress::Progress,
    statistics::{deviation, mean, median},
    text::number,
};
use crate::{
    doctor::verdict::{Illness, Prescription, Severity, Verdict},
    layers::kind::LayerKind,
};

/// Observations in a mean where there are no epochs to take it over.
const GROUP: usize = 8;

/// Means that oscillation is looked for in, at least.
const LEAST_GROUPS: usize = 6;

/// Usual share of their norm by which a step changes the weights (Stanford's CS231n notes).
const USUAL_UPDATE: f64 = 1e-3;

/// Layers with weights from which on a net that does not learn is given normalization.
const DEEP: usize = 4;

/// A loss of so many times that of a guess is not on a plateau, but on its way down, or astray.
const FAR_ABOVE: f64 = 1.1;

/// Observations before a run without a plan may be called slow.
const LEAST_UNPLANNED: usize = 30;

impl Doctor {
    /// Steps that renew the weights in a few strides, or a loss that rose and stays up.
    pub(super) fn rate_too_high(&self, progress: &Progress) -> Option<Verdict> {
        let long = self.since(|g| g.large_update(&self.limits));
        let swings = self.swings(progress).is_some();
        let began_long = median(self.seen.iter().take(WINDOW).filter_map(|g| g.update));
        let began_long = began_long.is_some_and(|update| update >= self.limits.large_update);
        let since_step = match long {
            Some(since) if progress.stuck() || swings => since,
            None if swings && began_long => self.seen.first()?.step,
            _ if progress.worse && !progress.surely_learned => {
                self.since(|g| g.loss.is_some_and(|l| l > progress.start))?
            }
            _ => return None,
        };
        let mut evidence = progress.text();
        if let Some(update) = median(self.seen.iter().rev().take(WINDOW).filter_map(|g| g.update)) {
            evidence +=
                &format!("; a step changes the weights by {} of their norm, about 0.001 is usual", number(update));
        }
        if let Some(rate) = self.latest().and_then(|o| o.rate) {
            evidence += &format!("; the learning rate is {}", number(rate));
        }
        let cures = vec![self.lower_rate(), Prescription::WarmUp, Prescription::AdaptiveOptimizer];
        Some(self.verdict(Illness::LearningRateTooHigh, since_step, evidence, cures))
    }

    /// A loss that swings by more than its noise.
    pub(super) fn oscillation(&self, progress: &Progress) -> Option<Verdict> {
        let Swings { count, of, size, since } = self.swings(progress)?;
        let evidence = format!(
            "the loss rose and fell again {count} times in {of} means or observations, by {} on average",
            number(size)
        );
        let lower = Prescription::LowerRate { factor: 0.3 };
        let cures = vec![lower, Prescription::LargerBatch { factor: 2 }, Prescription::AdaptiveOptimizer];
        Some(self.verdict(Illness::OscillatingLoss, since, evidence, cures))
    }

    /// Whether even the steepest fall that the noise allows for will not bring the loss below that of an answer that
    /// does not look at the input. A run without a plan is granted as many steps again.
    pub(super) fn in_vain(&self, progress: &Progress) -> bool {
        let Some(last) = self.seen.last() else { return false };
        let done = last.step.max(1) as f64;
        let left = self.seen.len() as f64 * self.planned.map_or(1.0, |planned| (planned as f64 - done).max(0.0) / done);
        let wanted = (1.0 - self.limits.learned) * progress.base;
        // From far above it comes down by factors: the first fall is the greatest by far, and no measure for the last.
        let expected = match progress.now > FAR_ABOVE * progress.base {
            true => progress.now * progress.factor.powf(left),
            false => progress.now - progress.steepest * left,
        };
        expected >= wanted
    }

    /// Slow without a reason that the gradients show.
    pub(super) fn slowness(&self, progress: &Progress) -> Option<Verdict> {
        let first = self.seen.first().filter(|_| progress.too_slow)?;
        let update = median(self.seen.iter().filter_map(|g| g.update));
        let short = update.is_some_and(|ratio| ratio < self.limits.small_update);
        let mut evidence = progress.text();
        if self.baseline.is_some() {
            evidence += &format!("; the best guess without looking at the input has {}", number(progress.base));
        }
        if let Some(update) = update {
            evidence += &format!("; a step changes the weights by {} of their norm", number(update));
        }
        // A short step grows to a tenth of the usual one at once, in powers of ten, and to the usual one if need be.
        let factor =
            update.filter(|u| *u > 0.0).map_or(10.0, |u| 10f64.powi((USUAL_UPDATE / 10.0 / u).log10().round() as i32));
        let raise = Prescription::RaiseRate { factor: factor.clamp(10.0, 1e4) };
        let mut cures = match short || (update.is_none() && progress.declining) {
            true => vec![raise, Prescription::AdaptiveOptimizer],
            false => vec![Prescription::StandardizeInputs, Prescription::AdaptiveOptimizer, raise],
        };
        let latest = self.latest()?;
        // Tokens have no mean to subtract.
        if latest.layers.iter().any(|l| l.kind == LayerKind::Embedding) {
            cures.retain(|cure| *cure != Prescription::StandardizeInputs);
        }
        let recurrent = latest.layers.iter().any(|l| l.kind.recurrent());
        if latest.layers.iter().any(|l| l.kind == LayerKind::Rnn) {
            cures.insert(0, Prescription::GatedCell);
        } else if !recurrent && !short && weighted(latest).count() >= DEEP {
            cures.insert(1, Prescription::AddNorm);
        }
        Some(self.verdict(Illness::SlowConvergence, first.step, evidence, cures))
    }

    /// A rate at which steps of the length that was too long would not be: a tenth, or as many tenths as it takes.
    pub(super) fn lower_rate(&self) -> Prescription {
        let long = self.seen.iter().filter_map(|g| g.update).filter(|u| *u >= self.limits.large_update);
        let tenths = median(long).map_or(1.0, |u| (u / self.limits.large_update).log10().ceil());
        Prescription::LowerRate { factor: 10f64.powi(-(tenths.clamp(1.0, 4.0) as i32)) }
    }

    /// Whether enough of the run is over to expect learning: many nets begin on a plateau.
    pub(super) fn patience_is_over(&self) -> bool {
        let last = self.seen.last().map_or(0, |g| g.step) as f64;
        match self.planned {
            Some(planned) => last >= self.limits.patience * planned as f64,
            None => self.seen.len() >= LEAST_UNPLANNED,
        }
    }

    fn verdict(
        &self,
        illness: Illness,
        since_step: u64,
        evidence: String,
        prescriptions: Vec<Prescription>,
    ) -> Verdict {
        Verdict { illness, severity: Severity::Ill, layers: Vec::new(), since_step, evidence, prescriptions }
    }

    /// Swings in the second half of the run, where a healthy one has settled; `None` if there are too few to call it
    /// oscillation.
    ///
    /// Of means, as AutoTrainer looks at epochs; of single observations only where the run has not learned and the
    /// swings are as high as the loss of a guess, because batches of few samples swing in health.
    fn swings(&self, progress: &Progress) -> Option<Swings> {
        self.slow_swings(progress).or_else(|| self.fast_swings(progress))
    }

    fn fast_swings(&self, progress: &Progress) -> Option<Swings> {
        let late = &self.seen[self.seen.len() / 2..];
        let losses: Vec<f64> = late.iter().filter_map(|g| g.loss).collect();
        let swings = falls(&losses, self.limits.fast_swing * progress.base);
        let enough = losses.len() >= 2 * WINDOW && swings.len() as f64 >= self.limits.swings * losses.len() as f64;
        (enough && !progress.surely_learned).then(|| Swings {
            count: swings.len(),
            of: losses.len(),
            size: mean(&swings),
            since: late[0].step,
        })
    }

    fn slow_swings(&self, progress: &Progress) -> Option<Swings> {
        let means = Group::all(&self.seen);
        let late = &means[means.len() / 2..];
        if late.len() < LEAST_GROUPS {
            return None;
        }
        // Of the mean of the squares: batches of few samples have rare, large losses, which most means do not see.
        let noise = mean(&late.iter().map(|g| g.error * g.error).collect::<Vec<_>>()).sqrt();
        let least = (self.limits.swing * progress.base).max(5.0 * noise);
        let losses: Vec<f64> = late.iter().map(|g| g.loss).collect();
        let swings = falls(&losses, least);
        let enough = self.limits.swings * late.len() as f64;
        // One way down is how a healthy run ends.
        if (swings.len() as f64) < enough.max(2.0) {
            return None;
        }
        let accuracies: Option<Vec<f64>> = late.iter().map(|g| g.accuracy).collect();
        if let Some(accuracies) = accuracies
            && (falls(&accuracies, self.limits.accuracy_swing).len() as f64) < enough
        {
            return None;
        }
        Some(Swings { count: swings.len(), of: late.len(), size: mean(&swings), since: late[0].step })
    }
}

/// What [`Doctor::swings`] found.
struct Swings {
    count: usize,
    of: usize,
    /// Mean height.
    size: f64,
    since: u64,
}

/// Heights of the falls, each between a rise and the next rise of at least `least`.
///
/// A turning point counts when the curve has moved by `least` away from it, so noise below that makes none; nor does a curve
/// that does not move, whatever `least` is.
fn falls(values: &[f64], least: f64) -> Vec<f64> {
    let Some(&first) = values.first() else { return Vec::new() };
    let (mut low, mut high, mut top) = (first, first, None);
    let mut found = Vec::new();
    for &value in values {
        match top {
            // Rising, or not yet anything: wait for a rise of `least` above the lowest.
            None => {
                low = value.min(low);
                if value > low && value - low >= least {
                    (top, high) = (Some(()), value);
                }
            }
            Some(()) => {
                high = value.max(high);
                if high > value && high - value >= least {
                    found.push(high - value);
                    (top, low) = (None, value);
                }
            }
        }
    }
    found
}

/// Means over an epoch, or over [`GROUP`] observations.
struct Group {
    step: u64,
    loss: f64,
    /// Standard error of `loss`.
    error: f64,
    accuracy: Option<f64>,
}

impl Group {
    /// By epochs if each has two observations at least and there are enough of them, else by numbers.
    fn all(seen: &[Glance]) -> Vec<Self> {
        let by_epoch: Vec<&[Glance]> = seen.chunk_by(|a, b| a.epoch == b.epoch).collect();
        let known = seen.iter().all(|g| g.epoch.is_some());
        let fit = known && by_epoch.len() >= LEAST_GROUPS && by_epoch.iter().all(|e| e.len() > 1);
        let groups = if fit { by_epoch } else { seen.chunks_exact(GROUP).collect() };
        groups.into_iter().filter_map(Self::of).collect()
    }

    fn of(group: &[Glance]) -> Option<Self> {
        let losses: Vec<f64> = group.iter().filter_map(|g| g.loss).collect();
        let accuracies: Option<Vec<f64>> = group.iter().map(|g| g.accuracy).collect();
        let error = deviation(&losses) / (losses.len() as f64).sqrt();
        (!losses.is_empty()).then(|| Self {
            step: group[0].step,
            loss: mean(&losses),
            error,
            accuracy: accuracies.map(|a| mean(&a)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::falls;

    #[test]
    fn a_fall_needs_a_rise_before_it() {
        assert_eq!(falls(&[3.0, 2.0, 1.0, 0.5], 0.4), [0.0; 0]);
        assert_eq!(falls(&[1.0, 2.0, 1.0, 2.0, 1.5, 1.0], 0.4), [1.0, 0.5]);
        assert_eq!(falls(&[1.0, 1.3, 1.0, 1.3], 0.4), [0.0; 0]);
        assert_eq!(falls(&[], 0.4), [0.0; 0]);
        assert_eq!(falls(&[0.0; 9], 0.0), [0.0; 0], "a loss of nothing stands still");
    }
}
