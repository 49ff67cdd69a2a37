//! The operators. One file each: reading it from ONNX, its f32 meaning, its quantization, its int8 meaning.

pub mod activation;
pub mod add;
pub mod affine;
pub mod conv;
pub mod gru;
pub mod linear;
pub mod pool;
pub mod reshape;

/// An operator of a [`crate::graph::Graph`].
#[derive(Clone, Debug)]
pub enum Op {
    /// Convolution, and with it every matrix product: a vector is a map of one pixel.
    Conv(conv::Conv),
    /// A scale and a shift for each channel, folded away before quantization.
    Affine(affine::Affine),
    /// Limits, folded away before quantization.
    Clamp(activation::Clamp),
    /// Element-wise sum.
    Add(add::Add),
    /// Windows' maximum or mean.
    Pool(pool::Pool),
    /// One step of a GRU.
    Gru(gru::Gru),
}
