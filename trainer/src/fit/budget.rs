//! How far a run is, from 0 to 1, under a number of epochs or a budget of minutes.
//!
//! The learning rate follows this position, not the step number, so that a run with a time budget
//! ends its schedule when its time is over. Without a budget each step is 1/total and nothing depends
//! on the clock. With one, the rest of the way is divided anew, after the first steps and after each
//! epoch, by the steps that the remaining time allows at the speed seen so far (validation
//! included). All of it is saved in the checkpoint: given the same plan, a continued run is exact.

use serde::{Deserialize, Serialize};

use crate::config::bounds::{MILLISECONDS, SECONDS, STEPS};

/// Steps after which a budgeted run first knows its speed.
const FIRST_LOOK: u64 = 20;

/// Position in the schedule and where it came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Steps of the whole run if no budget ends it earlier.
    total: u64,
    /// If the time is limited.
    #[serde(rename = "budget")]
    seconds: Option<u32>,
    /// Steps done.
    step: u64,
    /// The latest division of the way: at step `from.0` the position was the fraction `from.1`
    /// (bits of an f64: JSON must not round it) and `left` steps were still to do.
    from: (u64, u64),
    left: u64,
    /// Milliseconds at that step.
    clock: u64,
}

impl Budget {
    /// A run of `total` steps, at most `minutes` long.
    pub fn new(total: u64, minutes: Option<f64>) -> Self {
        let seconds = minutes.map(|m| (m * 60.0).ceil().clamp(1.0, 1e9) as u32);
        Self { total, seconds, step: 0, from: (0, 0f64.to_bits()), left: total, clock: 0 }
    }

    /// Refuses what no run comes to, so that nothing here can overflow: for what a checkpoint holds.
    ///
    /// # Errors
    /// In words, the field and what it may be.
    pub fn check(&self) -> Result<(), String> {
        let Self { total, seconds, step, from: (since, position), left, clock } = *self;
        let position = f64::from_bits(position);
        let within = |field: &str, value: u64, most: u64| match value <= most {
            true => Ok(()),
            false => Err(format!("plan.{field} = {value}; allowed: 0 to {most}")),
        };
        within("total", total, STEPS)?;
        within("step", step, total)?;
        within("from.0", since, step)?;
        within("left", left, total - since)?;
        within("clock", clock, MILLISECONDS)?;
        within("budget", seconds.unwrap_or(0).into(), SECONDS)?;
        match (0.0..=1.0).contains(&position) {
            true => Ok(()),
            false => Err(format!("plan.from.1 is {position} in bits; allowed: 0 to 1")),
        }
    }

    /// From 0 (before the first step) to 1 (finished).
    pub fn position(&self) -> f64 {
        let (step, position) = (self.from.0, f64::from_bits(self.from.1));
        let share = (self.step - step) as f64 / self.left.max(1) as f64;
        position + (1.0 - position) * share.min(1.0)
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Steps still to do as planned now.
    pub fn left(&self) -> u64 {
        (self.from.0 + self.left).saturating_sub(self.step)
    }

    /// Steps of the whole run as planned now; `None` while it has a time budget and its pace is not known.
    pub fn planned(&self) -> Option<u64> {
        (self.seconds.is_none() || self.from.0 > 0).then(|| self.step.saturating_add(self.left()))
    }

    /// Whether the next step may be the last, where an epoch has `epoch` steps and `ends` with it or does not. A budget ends
    /// a run where the way is divided anew.
    pub fn may_end(&self, epoch: u64, ends: bool) -> bool {
        let near = self.from.0 == 0 || self.left() <= epoch.saturating_add(1);
        let divided = self.step + 1 == FIRST_LOOK || (ends && near);
        self.left() == 1 || (self.seconds.is_some() && divided)
    }

    /// Whether the run is over.
    pub fn finished(&self) -> bool {
        self.left() == 0
    }

    /// Counts one step. `elapsed` is the run's time in seconds over all its sessions.
    pub fn advance(&mut self, elapsed: f64) {
        self.step += 1;
        if self.step == FIRST_LOOK {
            self.divide(elapsed);
        }
    }

    /// Divides the rest of the way by the steps the remaining time allows; for the end of an epoch.
    pub fn divide(&mut self, elapsed: f64) {
        let Some(seconds) = self.seconds else { return };
        let steps = self.step - self.from.0;
        if steps == 0 || self.finished() {
            return;
        }
        // The slower of the latest stretch and the whole run: a budget overrun is worse than time left.
        let latest = (elapsed - self.clock as f64 / 1e3) / steps as f64;
        let pace = latest.max(elapsed / self.step as f64).max(1e-6);
        let affordable = ((f64::from(seconds) - elapsed).max(0.0) / pace) as u64;
        let position = self.position();
        self.from = (self.step, position.to_bits());
        self.left = affordable.min(self.total - self.step);
        self.clock = (elapsed * 1e3) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_budget_the_clock_does_not_matter() {
        let mut budget = Budget::new(100, None);
        for step in 1..=100 {
            assert!(!budget.finished());
            budget.advance(step as f64 * 1000.0);
            budget.divide(step as f64 * 1000.0);
            assert_eq!(budget.position(), step as f64 / 100.0);
        }
        assert!(budget.finished());
    }

    /// A machine that slows down to half its speed in the middle still ends the schedule in time.
    #[test]
    fn a_budget_is_kept_and_the_schedule_ends_with_it() {
        let mut budget = Budget::new(u64::MAX, Some(10.0));
        let (mut elapsed, mut last) = (0.0, 0.0);
        while !budget.finished() {
            elapsed += if elapsed < 300.0 { 0.1 } else { 0.2 };
            budget.advance(elapsed);
            if budget.step().is_multiple_of(100) {
                budget.divide(elapsed);
            }
            assert!(budget.position() >= last, "never backwards");
            last = budget.position();
        }
        assert!((580.0..=601.0).contains(&elapsed), "{elapsed}");
        assert!(budget.position() > 0.999, "{}", budget.position());
    }

    #[test]
    fn epochs_end_a_run_before_its_budget() {
        let mut budget = Budget::new(50, Some(10.0));
        let steps = (1..).take_while(|&s| {
            budget.advance(f64::from(s) * 0.1);
            !budget.finished()
        });
        assert_eq!(steps.count() + 1, 50);
    }

    #[test]
    fn it_survives_json_to_the_bit() {
        let mut budget = Budget::new(1000, Some(1.0));
        for step in 1..=37 {
            budget.advance(f64::from(step) * 0.31);
        }
        budget.divide(11.7);
        let read: Budget = serde_json::from_str(&serde_json::to_string(&budget).unwrap()).unwrap();
        assert_eq!(read, budget);
        assert_eq!(read.position().to_bits(), budget.position().to_bits());
    }
}
