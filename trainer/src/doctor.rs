//! The gradient doctor: what is measured in a training step, what follows from it, and how it is shown.
//!
//! `trainer/doctor.md` explains the verdicts, their thresholds and the log's format to its users.

pub mod diagnose;
pub mod diagnosis;
pub mod episode;
pub mod jacobians;
mod kept;
pub mod known;
pub(crate) mod live;
pub mod log;
pub mod measure;
pub mod record;
pub mod report;
pub mod strip;
pub mod thresholds;
pub mod verdict;
