//! The learning rate over a training.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// Shape of the learning rate from the first step to the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Shape {
    /// The same at every step.
    Constant,
    /// Multiplied by `factor` after every `every` epochs. PyTorch's `StepLR`.
    Step {
        /// Epochs between two changes, at least 1.
        every: u32,
        /// 0 to 1; 0.1 is usual.
        factor: f32,
    },
    /// Half a cosine from the peak to zero (Loshchilov and Hutter, ICLR 2017, without restarts). PyTorch's
    /// `CosineAnnealingLR` with `T_max` the length of the run, Keras' `CosineDecay`.
    Cosine,
    /// Half a cosine up from `peak / 25` during the first `rise` of the steps, another down to `peak / 250,000` during
    /// the rest: PyTorch's `OneCycleLR` with its defaults (Smith and Topin, 2018).
    OneCycle {
        /// Share of the steps that rise, in 0..1; 0.3 is PyTorch's.
        rise: f32,
    },
}

/// The learning rate of each step, in relation to the highest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// How it changes.
    pub shape: Shape,
    /// Steps at the begin in which the rate of the shape is multiplied by `1 / (warm_up + 1)`,
    /// `2 / (warm_up + 1)`, ... (Goyal et al., 2017). PyTorch: a `ChainedScheduler` with
    /// `LinearLR(start_factor=1 / (warm_up + 1), total_iters=warm_up)`.
    pub warm_up: u64,
}

/// Where a run is before a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// Steps done.
    pub step: u64,
    /// Epochs done.
    pub epoch: u32,
    /// The position on the way: 0 is the first step, `last` where the way ends.
    pub at: u64,
    /// Whole way in the unit of `at`.
    pub last: u64,
}

impl Moment {
    /// Of a run that is at `position`, from 0 to 1, which under a time budget is not the share of its steps.
    pub fn new(step: u64, epoch: u32, position: f64) -> Self {
        /// Fine enough for any run; as a power of two it leaves the position's bits alone.
        const TICKS: u64 = 1 << 24;
        Self { step, epoch, at: (position * TICKS as f64) as u64, last: TICKS }
    }
}

impl Schedule {
    /// The learning rate at `now` if the highest is `peak`; after the end of the way it stays.
    pub fn rate(&self, peak: f32, now: Moment) -> f32 {
        // From `a` at 0 to `b` at 1 along half a cosine.
        let anneal = |a: f64, b: f64, t: f64| b + (a - b) * 0.5 * (1.0 + (PI * t.clamp(0.0, 1.0)).cos());
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 1.0 };
        let (high, at, last) = (f64::from(peak), now.at as f64, now.last as f64);
        let rate = match self.shape {
            Shape::Constant => peak,
            Shape::Step { every, factor } => {
                let times = now.epoch / every.max(1);
                (high * f64::from(factor).powf(f64::from(times))) as f32
            }
            Shape::Cosine => anneal(high, 0.0, share(at, last)) as f32,
            Shape::OneCycle { rise } => {
                let top = (f64::from(rise) * (last + 1.0) - 1.0).max(0.0);
                let rate = if at < top {
                    anneal(high / 25.0, high, share(at, top))
                } else {
                    anneal(high, high / 25.0 / 1e4, share(at - top, last - top))
                };
                rate as f32
            }
        };
        match now.step < self.warm_up {
            true => rate * (now.step + 1) as f32 / (self.warm_up + 1) as f32,
            false => rate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Moment, Schedule, Shape};

    /// Rate before step `step` of `last`, 10 steps an epoch, with peak 0.4.
    fn rate(shape: Shape, warm_up: u64, step: u64, last: u64) -> f32 {
        Schedule { shape, warm_up }.rate(0.4, Moment { step, epoch: step as u32 / 10, at: step, last })
    }

    #[track_caller]
    fn close(a: f32, b: f32) {
        assert!((a - b).abs() < 1e-6, "{a} against {b}");
    }

    #[test]
    fn every_shape_by_hand() {
        close(rate(Shape::Constant, 0, 7, 100), 0.4);
        let step = |at| rate(Shape::Step { every: 2, factor: 0.5 }, 0, at, 100);
        close(step(19), 0.4);
        close(step(20), 0.2);
        close(step(99), 0.4 / 16.0);
        close(rate(Shape::Cosine, 0, 0, 100), 0.4);
        close(rate(Shape::Cosine, 0, 50, 100), 0.2);
        close(rate(Shape::Cosine, 0, 100, 100), 0.0);
        close(rate(Shape::Cosine, 0, 1000, 100), 0.0);
        // Rising over steps 0..2, falling over 2..9.
        let cycle = |at| rate(Shape::OneCycle { rise: 0.3 }, 0, at, 9);
        close(cycle(0), 0.016);
        close(cycle(1), 0.208);
        close(cycle(2), 0.4);
        close(cycle(9), 1.6e-6);
        close(cycle(99), 1.6e-6);
    }

    #[test]
    fn warm_up_multiplies_any_shape() {
        for (step, part) in [(0, 0.25), (1, 0.5), (2, 0.75), (3, 1.0), (4, 1.0)] {
            close(rate(Shape::Constant, 3, step, 100), 0.4 * part);
            close(rate(Shape::Cosine, 3, step, 100), rate(Shape::Cosine, 0, step, 100) * part);
        }
    }

    #[test]
    fn positions_of_a_run_become_moments() {
        let moment = Moment::new(3, 1, 0.25);
        assert_eq!((moment.step, moment.epoch, 4 * moment.at), (3, 1, moment.last));
    }

    #[test]
    fn degenerate_lengths_stay_finite() {
        for last in 0..3 {
            for step in 0..4 {
                for shape in [Shape::Cosine, Shape::OneCycle { rise: 0.3 }, Shape::Step { every: 1, factor: 0.1 }] {
                    let got = rate(shape.clone(), last, step, last);
                    assert!((0.0..=0.4).contains(&got), "{shape:?} {last} {step}: {got}");
                }
            }
        }
    }
}
