//! What goes through a net at once, and what is said of it.

use ndarray::ArrayD;

/// Samples that go through a net together. `(&x).into()` is a batch of samples that count as a whole.
#[derive(Debug)]
pub struct Batch<'a, T = f32> {
    /// `[batch, height, width, channels]`, `[batch, frames, inputs]`, `[batch, inputs]`, or `[batch, frames]` of
    /// tokens.
    pub x: &'a ArrayD<T>,
    /// Frames of each sequence that count, at least one; all of them if `None`. What lies beyond is never read.
    pub lengths: Option<&'a [usize]>,
}

impl<T> Clone for Batch<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Batch<'_, T> {}

impl<'a, T> From<&'a ArrayD<T>> for Batch<'a, T> {
    fn from(x: &'a ArrayD<T>) -> Self {
        Self { x, lengths: None }
    }
}

/// What one batch says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepStats {
    /// Mean loss of the batch, with the penalty on activities; not finite when the net has diverged.
    pub loss: f64,
    /// The part of it that penalties are.
    pub penalty: f64,
    /// Samples classified rightly.
    pub correct: usize,
    /// Samples in the batch.
    pub samples: usize,
    /// Norm of all trainable gradients together, before any clipping; not finite if any of them is not.
    pub gradient_norm: f64,
}
