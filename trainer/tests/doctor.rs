//! Diagnoses of logs whose illness is known: drawn ones, and ones that PyTorch recorded.

#[path = "doctor/command.rs"]
mod command;
#[path = "doctor/healthy.rs"]
mod healthy;
#[path = "doctor/ill.rs"]
mod ill;
#[path = "doctor/synthetic.rs"]
mod synthetic;

use escarp_trainer::doctor::{diagnose::Doctor, record::Observation, thresholds::Thresholds, verdict::Verdict};

/// Seeds that every law is drawn with.
const SEEDS: std::ops::Range<u64> = 0..10;

fn diagnose(log: &[Observation]) -> Vec<Verdict> {
    Doctor::of(Thresholds::default(), log).verdicts()
}
