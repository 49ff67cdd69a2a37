//! Convolution by what it connects: all channels ([`Conv`]), channels of a group ([`Grouped`]), each with itself
//! ([`Depthwise`]). Three ways to compute one definition with the kernel `[kernel, kernel, inputs / groups, outputs]`:
//! output `o` belongs to group `o / (outputs / groups)` and sees that group's inputs only.

use ndarray::ArrayD;

use super::{
    InputGradient,
    conv::{Conv, ConvBuffers},
    conv_shape::ConvShape,
    depthwise::Depthwise,
    grouped::Grouped,
};
use crate::engine::{parameter::Weights, scalar::Scalar};

/// A convolution without bias.
#[derive(Clone, Debug)]
pub enum Convolution<T> {
    /// One group.
    Whole(Conv<T>),
    /// Some groups.
    Grouped(Grouped<T>),
    /// As many groups as channels, in and out.
    Depthwise(Depthwise<T>),
}

impl<T: Scalar> Convolution<T> {
    /// Wraps a kernel of [`ConvShape::weights`] numbers.
    pub fn new(weight: Vec<T>, shape: ConvShape) -> Self {
        debug_assert_eq!(weight.len(), shape.weights());
        let ConvShape { inputs, outputs, kernel, stride, padding, groups } = shape;
        match groups {
            1 => Self::Whole(Conv { padding, ..Conv::new(weight, inputs, outputs, kernel, stride) }),
            _ if groups == inputs && groups == outputs => Self::Depthwise(Depthwise::new(weight, shape)),
            _ => Self::Grouped(Grouped::new(weight, shape)),
        }
    }

    /// Its numbers.
    pub fn shape(&self) -> ConvShape {
        match self {
            &Self::Whole(Conv { inputs, outputs, kernel, stride, padding, .. }) => {
                ConvShape { inputs, outputs, kernel, stride, padding, groups: 1 }
            }
            Self::Grouped(conv) => conv.shape,
            Self::Depthwise(conv) => conv.shape,
        }
    }

    /// The kernel.
    pub fn weight(&self) -> &Weights<T> {
        match self {
            Self::Whole(conv) => &conv.weight,
            Self::Grouped(conv) => &conv.weight,
            Self::Depthwise(conv) => &conv.weight,
        }
    }

    /// The kernel, to be moved.
    pub fn weight_mut(&mut self) -> &mut Weights<T> {
        match self {
            Self::Whole(conv) => &mut conv.weight,
            Self::Grouped(conv) => &mut conv.weight,
            Self::Depthwise(conv) => &mut conv.weight,
        }
    }

    /// `y = x * w`: `[batch, height, width, inputs]` to `[batch, ., ., outputs]`.
    pub fn forward(&mut self, x: &ArrayD<T>, y: &mut ArrayD<T>, buffers: &mut ConvBuffers<T>) {
        match self {
            Self::Whole(conv) => conv.forward(x, y, buffers),
            Self::Grouped(conv) => conv.forward(x, y, buffers),
            Self::Depthwise(conv) => conv.forward(x, y),
        }
    }

    /// From `dy` the kernel's gradient (replacing the last one) and, if wanted, the input's. Comes after a `forward`
    /// with the same `x`.
    pub fn backward(
        &mut self,
        x: &ArrayD<T>,
        dy: &ArrayD<T>,
        dx: &mut InputGradient<'_, T>,
        buffers: &mut ConvBuffers<T>,
    ) {
        match self {
            Self::Whole(conv) => conv.backward(x, dy, dx, buffers),
            Self::Grouped(conv) => conv.backward(dy, dx, buffers),
            Self::Depthwise(conv) => conv.backward(x, dy, dx),
        }
    }
}
