//! What is known of a run besides its log. A prescription is never what the run already does.

use std::fmt::Debug;

use super::{record::Observation, verdict::Prescription};

/// How a run is trained, as far as somebody knows it; of other trainers' runs the doctor has the log alone.
pub trait Known: Debug + Send + Sync {
    /// Whether the run does already what is prescribed, or could not do it. `seen` is an observation of it.
    fn rules_out(&self, prescription: &Prescription, seen: &Observation) -> bool;
}
