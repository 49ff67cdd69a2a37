//! The operators. One file each: reading it from ONNX, its f32 meaning, its quantization, its int8 meaning.

use crate::shape::Shape;

pub mod activation;
pub mod add;
pub mod affine;
pub mod constants;
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

impl Op {
    /// Bytes that the weights will take in the file, their channels filled up to eights, for an output of that shape; of what
    /// is folded away, bytes of its numbers.
    pub fn packed(&self, shape: Shape) -> usize {
        let eights = |n: usize| n.next_multiple_of(8);
        match self {
            Op::Conv(c) => {
                let [kh, kw] = c.geometry.kernel;
                eights(shape[2]).saturating_mul(eights(c.inputs)).saturating_mul(kh * kw)
            }
            Op::Gru(g) => (3 * eights(g.hidden)).saturating_mul(eights(g.inputs) + eights(g.hidden)),
            Op::Affine(a) => 2 * size_of::<f32>() * a.scale.len(),
            Op::Clamp(_) | Op::Add(_) | Op::Pool(_) => 0,
        }
    }
}
