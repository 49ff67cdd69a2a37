//! The gradient doctor: what is measured in a training step, and what follows from it.

pub mod log;
pub mod record;
