//! Layers: forward and backward side by side, the derivation above them, no graph recorder in between.
//!
//! A layer's `backward` gets back what its `forward` was given; who owns those arrays is the net's business, so that
//! every activation and gradient is in plain sight.

pub mod add;
pub mod batch_norm;
pub mod conv;
pub mod dense;
pub mod gru;
pub mod pool;
