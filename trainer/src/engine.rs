//! What all rooms compute with: scalars, matrix products, parameters, random numbers; and whether somebody wants it to stop.

pub mod interrupt;
pub(crate) mod matmul;
pub mod parameter;
pub(crate) mod pattern;
pub(crate) mod pieces;
pub mod random;
pub mod scalar;
pub(crate) mod simd;
