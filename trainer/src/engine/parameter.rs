//! Trainable numbers and what the optimizer sees of them.

use crate::engine::scalar::Scalar;

/// Trainable numbers of one layer with the gradient of the loss.
#[derive(Clone, Debug)]
pub struct Weights<T> {
    /// The numbers, in the order their layer documents.
    pub value: Vec<T>,
    /// The gradient of the last step, element for element.
    pub gradient: Vec<T>,
    /// See [`Parameter::units`].
    pub units: usize,
    /// See [`Parameter::frozen`].
    pub frozen: bool,
}

impl<T: Scalar> Weights<T> {
    /// Wraps initial values of a vector.
    pub fn new(value: Vec<T>) -> Self {
        Self::matrix(value, 1)
    }

    /// Wraps initial values of a matrix or kernel whose last axis, the outputs, is `units` long.
    pub fn matrix(value: Vec<T>, units: usize) -> Self {
        let gradient = vec![T::zero(); value.len()];
        Self { value, gradient, units, frozen: false }
    }

    /// `len` times `value`.
    pub fn filled(len: usize, value: f64) -> Self {
        Self::new(vec![T::of(value); len])
    }

    /// The optimizer's view under the name `name`.
    pub fn parameter(&mut self, name: String, decay: bool) -> Parameter<'_, T> {
        let Self { value, gradient, units, frozen } = self;
        Parameter { name, value, gradient, decay, units: *units, frozen }
    }
}

/// One named tensor of a net, borrowed for an optimizer step, a checkpoint or a measurement.
#[derive(Debug)]
pub struct Parameter<'a, T = f32> {
    /// Path from the net's root: `stage2.block1.a.conv.weight`.
    pub name: String,
    /// The numbers.
    pub value: &'a mut [T],
    /// The gradient of the last step, element for element.
    pub gradient: &'a mut [T],
    /// Whether weight decay applies: to matrices and kernels, not to biases and batch normalization.
    pub decay: bool,
    /// Length of the last axis of a matrix or kernel: numbers `k` with the same `k % units` feed the same output.
    /// 1 for a vector, which is taken as a whole.
    pub units: usize,
    /// Whether training leaves the numbers as they are. Such a gradient may be stale: nobody needs it.
    pub frozen: &'a mut bool,
}

/// The norm of all gradients together, as clipping by global norm means it. Not finite if any gradient is not.
pub fn gradient_norm<T: Scalar>(parameters: &[Parameter<'_, T>]) -> f64 {
    let squares = |p: &Parameter<'_, T>| p.gradient.iter().map(|g| g.wide() * g.wide()).sum::<f64>();
    parameters.iter().map(squares).sum::<f64>().sqrt()
}

/// The first parameter, from the input on, whose gradient or value is NaN or infinite.
///
/// Gradients flow from the output: when all from some layer downwards are ill, the illness started above them, so
/// compare with the loss before blaming the first layer.
pub fn first_non_finite<T: Scalar>(parameters: &[Parameter<'_, T>]) -> Option<String> {
    let ill = |p: &&Parameter<'_, T>| p.gradient.iter().chain(p.value.iter()).any(|v| !v.is_finite());
    parameters.iter().find(ill).map(|p| p.name.clone())
}
