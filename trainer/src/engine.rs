//! What all layers compute with: numbers, matrices, random draws.

pub mod interrupt;
pub mod matmul;
pub mod parameter;
pub mod pattern;
pub mod pieces;
pub mod random;
pub mod scalar;
pub mod simd;
