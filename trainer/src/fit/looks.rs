//! When the doctor looks: often enough to tell in a short run, seldom enough to cost little in a long one.
//!
//! Which steps these are follows from the budget alone, which a checkpoint keeps: a run that is continued is looked at as one
//! that never stopped.

use crate::fit::budget::Budget;

/// Looks in any run that has so many steps: a verdict takes 8, and signs must last.
const LEAST: u64 = 30;

/// What a run is taken for whose length only its time budget decides, until the budget knows its pace.
const UNKNOWN: u64 = 60;

/// Steps from one look to the next in a run of `planned` steps, `most` at the most.
fn spacing(most: u64, planned: Option<u64>) -> u64 {
    (planned.unwrap_or(UNKNOWN) / LEAST).clamp(1, most.max(1))
}

/// Whether the next step of `budget` is to be looked at; the last always is. `epoch` has so many steps, and `ends` with this
/// one or does not.
pub(super) fn due(budget: &Budget, most: u64, epoch: u64, ends: bool) -> bool {
    budget.step().is_multiple_of(spacing(most, budget.planned())) || budget.may_end(epoch, ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps that are looked at in a run of `total`, `epoch` of them in an epoch, each of `pace` seconds.
    fn looks(total: u64, minutes: Option<f64>, epoch: u64, pace: f64) -> (Vec<u64>, u64) {
        let mut budget = Budget::new(total, minutes);
        let mut seen = Vec::new();
        while !budget.finished() {
            let ends = (budget.step() + 1).is_multiple_of(epoch);
            if due(&budget, 20, epoch, ends) {
                seen.push(budget.step());
            }
            let elapsed = (budget.step() + 1) as f64 * pace;
            budget.advance(elapsed);
            if ends {
                budget.divide(elapsed);
            }
        }
        (seen, budget.step())
    }

    #[test]
    fn every_run_that_has_the_steps_is_looked_at_30_times_and_at_its_end() {
        for total in [1, 7, 29, 30, 31, 59, 60, 61, 100, 299, 599, 600, 601, 10_000] {
            let (seen, steps) = looks(total, None, 16, 0.1);
            assert_eq!((seen[0], seen.last(), steps), (0, Some(&(total - 1)), total));
            assert!(seen.len() as u64 >= total.min(30), "{} looks in {total} steps", seen.len());
            // One in 20 where there are enough of them, and the last.
            assert!(seen.len() as u64 <= (total / 20 + 2).max(61), "{} looks in {total} steps", seen.len());
        }
    }

    #[test]
    fn a_run_that_its_time_ends_is_looked_at_as_often() {
        // Of 60, 120, 600 and 6000 steps, whatever its epochs are.
        for (pace, epoch) in [(1.0, 7), (0.5, 7), (0.1, 40), (0.1, 100), (0.01, 300)] {
            let (seen, steps) = looks(u64::MAX, Some(1.0), epoch, pace);
            assert!(seen.len() >= 30, "{} looks in {steps} steps", seen.len());
            assert_eq!(seen.last(), Some(&(steps - 1)), "of {steps} steps");
        }
    }
}
