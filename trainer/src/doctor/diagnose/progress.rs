//! Whether a run learns, by its losses.

use super::{
    Glance,
    statistics::{deviation, error, mean},
};
use crate::doctor::thresholds::Thresholds;

/// Losses without which nothing is said.
pub(super) const LEAST_LOSSES: usize = 8;

/// What the losses so far say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// Mean of the first losses.
    pub start: f64,
    /// Mean of the last losses.
    pub now: f64,
    /// Loss of the best answer that does not look at the input; without it the mean of the first losses.
    pub base: f64,
    /// The run is better than an answer that does not look at the input.
    pub learned: bool,
    /// The same asked so that doubt is no (see `learned_unsure`): enough to excuse an ill gradient.
    pub surely_learned: bool,
    /// More than a net can learn whose first layers stand still.
    pub learned_much: bool,
    /// Patience is over, and such a net has not learned more than that; filled in by the doctor, who sees its gradient.
    pub crippled: bool,
    /// The loss still falls, beyond its noise.
    pub declining: bool,
    /// At its steepest the rest of the run will not bring it below the baseline either; filled in by the doctor, who
    /// knows how much is left.
    pub in_vain: bool,
    /// The same when patience is over.
    pub too_slow: bool,
    /// The most that it may fall with each observation: the fall of late, and two standard errors of it.
    pub steepest: f64,
    /// The same as a factor from one observation to the next, at most 1.
    pub factor: f64,
    /// The late losses are above the first ones and above a guess, by a factor and beyond the noise.
    pub worse: bool,
    /// At least 3 of the last 8 losses are many times the first ones.
    pub diverged: bool,
}

impl Progress {
    /// `None` until there are enough losses to say anything.
    pub fn of(seen: &[Glance], baseline: Option<f64>, limits: &Thresholds) -> Option<Self> {
        let losses: Vec<f64> = seen.iter().filter_map(|g| g.loss).collect();
        let n = losses.len();
        if n < LEAST_LOSSES {
            return None;
        }
        let late = (n / 8).clamp(3, 32);
        let start = mean(&losses[..3]);
        let now = mean(&losses[n - late..]);
        let base = baseline.unwrap_or(start);
        let learned_by = |share: f64| now < (1.0 - share) * base;
        let (learned, surely_learned) = match (baseline, by_accuracy(seen, limits)) {
            (Some(_), _) => (learned_by(limits.learned), learned_by(limits.learned)),
            (None, Some(learned)) => (learned, learned),
            (None, None) => (learned_by(limits.learned), learned_by(limits.learned_unsure)),
        };
        // The first three alone tell little about the noise; the late ones are of batches of the same size.
        let spread = deviation(&losses[n - late..]).max(deviation(&losses[..3])) * comparison(late);
        let worse = now > limits.worse * start.max(base) + 3.0 * spread;
        let third = n / 3;
        let (before, after) = (&losses[third..n - third], &losses[n - third..]);
        let fall = mean(before) - mean(after);
        let noise = error(before).hypot(error(after));
        let declining = fall > (3.0 * noise).max(0.01 * mean(before).abs());
        let steepest = (fall + 2.0 * noise).max(0.0) / third as f64;
        let factor = (mean(after) / (mean(before) + 2.0 * noise)).clamp(0.0, 1.0).powf(1.0 / third as f64);
        let high = losses[n.saturating_sub(8)..].iter().filter(|&&l| l > limits.diverged * start.max(base)).count();
        Some(Self {
            start,
            now,
            base,
            learned,
            surely_learned,
            learned_much: surely_learned && (baseline.is_none() || learned_by(limits.learned_crippled)),
            crippled: false,
            declining,
            in_vain: false,
            too_slow: false,
            steepest,
            factor,
            worse,
            diverged: high >= 3,
        })
    }

    /// Neither learned nor on the way to it, or not by the whole net.
    pub fn stuck(&self) -> bool {
        self.too_slow || self.crippled || (!self.surely_learned && (!self.declining || self.in_vain))
    }

    /// `loss 2.300 at first, 2.290 of late`
    pub fn text(&self) -> String {
        format!("loss {:.3} at first, {:.3} of late", self.start, self.now)
    }
}

/// Whether the accuracy rose; `None` without accuracies.
fn by_accuracy(seen: &[Glance], limits: &Thresholds) -> Option<bool> {
    let values: Vec<f64> = seen.iter().filter_map(|g| g.accuracy).collect();
    let n = values.len();
    if n < LEAST_LOSSES {
        return None;
    }
    let late = (n / 8).clamp(3, 32);
    let (first, last) = (&values[..3], &values[n - late..]);
    let gain = mean(last) - mean(first);
    let noise = deviation(last).max(deviation(first)) * comparison(late);
    Some(mean(last) >= limits.satisfied || gain > limits.accuracy_gain.max(3.0 * noise))
}

/// Standard error of the difference between means of three and of `late` values, by that of one value.
fn comparison(late: usize) -> f64 {
    (1.0 / 3.0 + 1.0 / late as f64).sqrt()
}
