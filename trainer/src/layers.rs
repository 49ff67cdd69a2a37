//! Layers: forward and backward side by side, the derivation above them, no graph recorder in between.
//!
//! A layer's `backward` gets back what its `forward` was given. The net owns every output and every gradient that
//! passes between layers, so that they are in plain sight; a layer keeps only what is its own affair (gates,
//! normalized values, batch statistics) from forward to backward.
//!
//! All values are row-major with the batch first and the channels last: `[batch, height, width, channels]`,
//! `[batch, frames, channels]`, `[batch, channels]`.

pub mod activation;
pub mod add;
pub mod batch_norm;
pub mod conv;
pub mod conv_norm;
pub mod conv_shape;
pub mod convolution;
pub mod dense;
pub mod depthwise;
pub mod dropout;
pub mod embedding;
pub mod flatten;
pub mod gate;
pub mod global_average_pool;
pub mod global_max_pool;
pub mod grouped;
pub mod gru;
pub mod gru_reset_before;
pub mod init;
pub mod kind;
pub mod lstm;
pub mod onnx;
pub mod recurrent;
pub mod rnn;
pub mod window_pool;

use std::fmt::Debug;

use ndarray::ArrayD;

use crate::{
    engine::{parameter::Parameter, scalar::Scalar},
    layers::{
        kind::{Activation, LayerKind},
        onnx::{Graph, Value},
    },
};
use conv::ConvBuffers;

/// Whether the net learns or answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics, noise, and everything that `backward` needs is kept.
    Train,
    /// Running statistics, no noise.
    Evaluate,
}

/// The stream of random numbers of a training step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noise {
    /// The run's seed.
    pub seed: u64,
    /// Steps done before.
    pub step: u64,
}

/// What all layers share in one pass through the net.
#[derive(Debug)]
pub struct Pass<'a, T> {
    /// Learning or answering.
    pub mode: Mode,
    /// Frames of each sequence of the batch that count; all of them if `None`.
    pub lengths: Option<&'a [usize]>,
    /// Where noise is drawn from.
    pub noise: Noise,
    /// Memory that convolutions borrow one after the other.
    pub conv: &'a mut ConvBuffers<T>,
}

/// Where a layer puts the gradient of one of its inputs.
#[derive(Debug)]
pub enum InputGradient<'a, T> {
    /// Nowhere: the input is the data, or all below it is frozen.
    Unused,
    /// Over whatever is there, which may have any shape.
    Write(&'a mut ArrayD<T>),
    /// On top of what is there: the input feeds another layer too.
    Add(&'a mut ArrayD<T>),
}

impl<T: Scalar> InputGradient<'_, T> {
    /// Hands over a gradient that is computed already; `dx` holds anything afterwards.
    pub fn give(&mut self, dx: &mut ArrayD<T>) {
        match self {
            Self::Unused => {}
            Self::Write(to) => std::mem::swap(*to, dx),
            Self::Add(to) => **to += &*dx,
        }
    }

    /// Like [`InputGradient::give`] where `dx` is still needed.
    pub fn copy(&mut self, dx: &ArrayD<T>) {
        match self {
            Self::Unused => {}
            Self::Write(to) => {
                reshape(to, dx.shape());
                numbers_mut(to).copy_from_slice(numbers(dx));
            }
            Self::Add(to) => **to += dx,
        }
    }
}

/// One step of a net.
pub trait Layer<T: Scalar>: Debug + Send + Sync {
    /// What it computes, if the doctor should watch it: layers with weights, and sums.
    fn kind(&self) -> Option<LayerKind> {
        None
    }

    /// Whether it normalizes what its weights give, so that their scale is taken out again.
    fn normalizes(&self) -> bool {
        false
    }

    /// What its output has gone through, if it ends in a nonlinearity.
    fn activation(&self) -> Option<Activation> {
        None
    }

    /// Of gates: share within [`SATURATED`](crate::layers::kind::SATURATED) of an end of their range, in the last
    /// `forward` in [`Mode::Train`]. Known until `backward`.
    fn saturation(&self) -> Option<f64> {
        None
    }

    /// Of recurrent layers: norm of the gradient by the state after the first step over that after the last. Known
    /// after `backward`.
    fn time_gradient_ratio(&self) -> Option<f64> {
        None
    }

    /// Of recurrent layers, for one sequence `x`, `[frames, inputs]`: for each direction and each of its steps the
    /// singular values, the largest first, of the Jacobian of its last state by the state after that step.
    fn state_jacobians(&self, _x: &ArrayD<T>) -> Option<Vec<Vec<Vec<f64>>>> {
        None
    }

    /// `y = f(inputs)`. `y` may have any shape before.
    fn forward(&mut self, inputs: &[&ArrayD<T>], y: &mut ArrayD<T>, pass: &mut Pass<'_, T>);

    /// From `dy`, the gradient of `y`, to the gradients of the inputs and, replacing the last ones, of its parameters.
    /// Comes after a `forward` in the same mode with the same `inputs` and its `y`. May leave anything in `dy`. In
    /// [`Mode::Evaluate`] it is the way back through the net that answers, for whoever asks how that reacts to its
    /// inputs: statistics stay, and what stands at the parameters is no gradient to train by.
    fn backward(
        &mut self,
        inputs: &[&ArrayD<T>],
        y: &ArrayD<T>,
        dy: &mut ArrayD<T>,
        dx: &mut [InputGradient<'_, T>],
        pass: &mut Pass<'_, T>,
    );

    /// Everything an optimizer moves, each with a name below `name`.
    fn parameters<'a>(&'a mut self, _name: &str, _all: &mut Vec<Parameter<'a, T>>) {}

    /// What training moves without an optimizer: statistics.
    fn buffers<'a>(&'a mut self, _name: &str, _all: &mut Vec<(String, &'a mut [T])>) {}

    /// Its ONNX nodes; returns the value that they give.
    fn export(&self, name: &str, inputs: &[Value], graph: &mut Graph) -> Value;
}

/// Makes `array` have shape `shape`; its content is unspecified afterwards.
pub fn reshape<T: Scalar>(array: &mut ArrayD<T>, shape: &[usize]) {
    if array.shape() != shape {
        *array = ArrayD::zeros(shape);
    }
}

/// The numbers of an array that the engine made itself, row-major.
pub fn numbers<T>(array: &ArrayD<T>) -> &[T] {
    array.as_slice().expect("engine arrays are row-major")
}

/// Mutable twin of [`numbers`].
pub fn numbers_mut<T>(array: &mut ArrayD<T>) -> &mut [T] {
    array.as_slice_mut().expect("engine arrays are row-major")
}

/// The single input of a layer that takes one.
fn only<'a, T>(inputs: &[&'a ArrayD<T>]) -> &'a ArrayD<T> {
    match inputs {
        [x] => x,
        _ => unreachable!("the net was built with one input here"),
    }
}
