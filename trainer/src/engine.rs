//! What all rooms compute with: scalars, matrix products, parameters, random numbers; and whether somebody wants it to stop.

pub mod interrupt;
pub mod matmul;
pub mod parameter;
pub mod pattern;
pub mod pieces;
pub mod random;
pub mod scalar;
pub mod simd;
