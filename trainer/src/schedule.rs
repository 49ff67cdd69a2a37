//! The learning rate over a training.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// Shape of the learning rate from the first step to the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// The same at every step.
    Constant {
        /// The learning rate.
        rate: f32,
    },
    /// Linear from zero to `peak` in `warm_up` steps, then half a cosine down to `last` at step `steps`.
    Cosine {
        /// Highest rate.
        peak: f32,
        /// Rate at the end.
        last: f32,
        /// Steps to the peak.
        warm_up: u64,
        /// Steps in all.
        steps: u64,
    },
    /// Half a cosine up from `peak / 25` during the first `rise` of the steps, another down to `peak / 250,000` during
    /// the rest: PyTorch's `OneCycleLR` with its defaults (Smith and Topin, 2018).
    OneCycle {
        /// Highest rate.
        peak: f32,
        /// Share of the steps that rise, in 0..1; 0.3 is usual.
        rise: f32,
        /// Steps in all.
        steps: u64,
    },
}

impl Schedule {
    /// The learning rate of step `step`, the first being 0; after the last step it stays.
    pub fn rate(&self, step: u64) -> f32 {
        // From `a` at 0 to `b` at 1 along half a cosine.
        let anneal = |a: f64, b: f64, t: f64| b + (a - b) * 0.5 * (1.0 + (PI * t.clamp(0.0, 1.0)).cos());
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 1.0 };
        let at = step as f64;
        match *self {
            Self::Constant { rate } => rate,
            Self::Cosine { peak, warm_up, .. } if step < warm_up => peak * (step + 1) as f32 / (warm_up + 1) as f32,
            Self::Cosine { peak, last, warm_up, steps } => {
                let t = share(at - warm_up as f64, steps.saturating_sub(warm_up + 1) as f64);
                anneal(peak.into(), last.into(), t) as f32
            }
            Self::OneCycle { peak, rise, steps } => {
                let peak = f64::from(peak);
                let end = steps.saturating_sub(1) as f64;
                let top = (f64::from(rise) * steps as f64 - 1.0).max(0.0);
                let rate = if at < top {
                    anneal(peak / 25.0, peak, share(at, top))
                } else {
                    anneal(peak, peak / 25.0 / 1e4, share(at - top, end - top))
                };
                rate as f32
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    fn close(a: f32, b: f32) {
        assert!((a - b).abs() < 1e-6, "{a} against {b}");
    }

    #[test]
    fn cosine_warms_up_and_ends_where_it_says() {
        let s = Schedule::Cosine { peak: 0.4, last: 0.01, warm_up: 3, steps: 104 };
        close(s.rate(0), 0.1);
        close(s.rate(2), 0.3);
        close(s.rate(3), 0.4);
        close(s.rate(53), 0.205);
        close(s.rate(103), 0.01);
        close(s.rate(1000), 0.01);
    }

    #[test]
    fn one_cycle_matches_its_definition() {
        let s = Schedule::OneCycle { peak: 0.1, rise: 0.3, steps: 10 };
        // Rising over steps 0..2, falling over 2..9.
        close(s.rate(0), 0.004);
        close(s.rate(1), 0.052);
        close(s.rate(2), 0.1);
        close(s.rate(9), 4e-7);
        close(s.rate(99), 4e-7);
    }

    #[test]
    fn degenerate_lengths_stay_finite() {
        for steps in 0..3 {
            for step in 0..4 {
                let rates = [
                    Schedule::Cosine { peak: 0.1, last: 0.0, warm_up: steps, steps }.rate(step),
                    Schedule::OneCycle { peak: 0.1, rise: 0.3, steps }.rate(step),
                ];
                assert!(rates.iter().all(|r| (0.0..=0.1).contains(r)), "{steps} {step}: {rates:?}");
            }
        }
    }
}
