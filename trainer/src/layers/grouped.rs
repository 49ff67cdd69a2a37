//! Convolution in groups: the channels of each group are brought together, convolved by a [`Conv`] of their own and put
//! back beside the others'. Copying costs one pass over memory, the products are as dense as those of one group.

use ndarray::ArrayD;

use super::{
    InputGradient,
    conv::{Conv, ConvBuffers},
    conv_shape::ConvShape,
    numbers, numbers_mut, reshape,
};
use crate::engine::{parameter::Weights, scalar::Scalar};

/// A kernel `[kernel, kernel, inputs / groups, outputs]`.
#[derive(Clone, Debug)]
pub struct Grouped<T> {
    /// The kernel.
    pub weight: Weights<T>,
    /// Its numbers.
    pub shape: ConvShape,
    parts: Vec<Part<T>>,
}

/// One group with its own channels, kept from forward to backward.
#[derive(Clone, Debug)]
struct Part<T> {
    conv: Conv<T>,
    x: ArrayD<T>,
    y: ArrayD<T>,
}

impl<T: Scalar> Grouped<T> {
    /// Wraps a kernel.
    pub fn new(weight: Vec<T>, shape: ConvShape) -> Self {
        let ConvShape { inputs, outputs, kernel, stride, padding, groups } = shape;
        let (inner, outer) = (inputs / groups, outputs / groups);
        let empty = || ArrayD::zeros(vec![0]);
        let part = |_| {
            let zeros = vec![T::zero(); kernel * kernel * inner * outer];
            Part { conv: Conv { padding, ..Conv::new(zeros, inner, outer, kernel, stride) }, x: empty(), y: empty() }
        };
        Self { weight: Weights::matrix(weight, shape.outputs), shape, parts: (0..groups).map(part).collect() }
    }

    /// `[batch, height, width, inputs]` to `[batch, ., ., outputs]`.
    pub fn forward(&mut self, x: &ArrayD<T>, y: &mut ArrayD<T>, buffers: &mut ConvBuffers<T>) {
        let &[batch, h, w, _] = x.shape() else { unreachable!("four axes, checked when the net was built") };
        reshape(y, &[batch, self.shape.size(h), self.shape.size(w), self.shape.outputs]);
        for (group, part) in self.parts.iter_mut().enumerate() {
            take(&self.weight.value, self.shape.outputs, group, part.conv.outputs, &mut part.conv.weight.value);
            reshape(&mut part.x, &[batch, h, w, part.conv.inputs]);
            take(numbers(x), self.shape.inputs, group, part.conv.inputs, numbers_mut(&mut part.x));
            part.conv.forward(&part.x, &mut part.y, buffers);
            put(numbers(&part.y), self.shape.outputs, group, part.conv.outputs, numbers_mut(y));
        }
    }

    /// As [`Convolution::backward`](super::convolution::Convolution::backward); the input is the last `forward`'s.
    pub fn backward(&mut self, dy: &ArrayD<T>, dx: &mut InputGradient<'_, T>, buffers: &mut ConvBuffers<T>) {
        let wanted = !matches!(dx, InputGradient::Unused);
        let &[batch, h, w, _] = self.parts[0].x.shape() else { unreachable!("four axes, set by forward") };
        let mut all = ArrayD::zeros(if wanted { vec![batch, h, w, self.shape.inputs] } else { vec![0] });
        let mut own = ArrayD::zeros(vec![0]);
        for (group, part) in self.parts.iter_mut().enumerate() {
            take(numbers(dy), self.shape.outputs, group, part.conv.outputs, numbers_mut(&mut part.y));
            let mut to = if wanted { InputGradient::Write(&mut own) } else { InputGradient::Unused };
            part.conv.backward(&part.x, &part.y, &mut to, buffers);
            let gradient = &part.conv.weight.gradient;
            put(gradient, self.shape.outputs, group, part.conv.outputs, &mut self.weight.gradient);
            if wanted {
                put(numbers(&own), self.shape.inputs, group, part.conv.inputs, numbers_mut(&mut all));
            }
        }
        dx.give(&mut all);
    }
}

/// The columns of group `group`, `own` of `width` in each row.
fn take<T: Copy>(all: &[T], width: usize, group: usize, own: usize, to: &mut [T]) {
    for (from, to) in all.chunks_exact(width).zip(to.chunks_exact_mut(own)) {
        to.copy_from_slice(&from[group * own..][..own]);
    }
}

/// The other way round.
fn put<T: Copy>(from: &[T], width: usize, group: usize, own: usize, all: &mut [T]) {
    for (to, from) in all.chunks_exact_mut(width).zip(from.chunks_exact(own)) {
        to[group * own..][..own].copy_from_slice(from);
    }
}
