//! Numbers by which records name each other.

/// Index of a tensor record.
pub type TensorId = u16;

/// Where constants start, from the start of their section; their length follows from the step.
pub type ConstOffset = u32;
