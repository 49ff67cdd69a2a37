//! Recurrence without gates (Elman, Cognitive Science 14, 1990): the unit on which gradients vanish or explode.
//!
//! ```text
//! h' = tanh(x W + h U + b)
//! ```
//!
//! Backward, from `d = dL/dh'`:
//!
//! ```text
//! da = d (1 - h'^2)          dh = da U^T          dx = da W^T          dW = x^T da          dU = h^T da
//! ```
//!
//! Every step back multiplies by `U^T` and by `1 - h'^2`, which is at most 1: over many steps the gradient shrinks or
//! grows as a power of `U`'s singular values (Bengio et al., IEEE Transactions on Neural Networks 5, 1994).

use rand::Rng;

use super::recurrent::{Cell, CellWeights, Step, StepBack, add_back};
use crate::{
    engine::{matmul::Matrix, scalar::Scalar, simd::vectorized},
    layers::kind::LayerKind,
};

/// A plain recurrent unit; its one gate is its next state.
#[derive(Clone, Debug)]
pub struct Rnn<T>(CellWeights<T>);

impl<T: Scalar> Rnn<T> {
    /// Glorot `W`, orthogonal `U`, zero bias.
    pub fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        Self(CellWeights::new(inputs, hidden, 1, false, rng))
    }
}

impl<T: Scalar> Cell<T> for Rnn<T> {
    const KIND: LayerKind = LayerKind::Rnn;
    const OPERATOR: &'static str = "RNN";
    const SIGMOIDS: usize = 0;
    const KEEPS: bool = false;

    fn weights(&self) -> &CellWeights<T> {
        &self.0
    }

    fn weights_mut(&mut self) -> &mut CellWeights<T> {
        &mut self.0
    }

    fn step(&self, step: Step<'_, T>) {
        let Step { rows, gates, h, next, product, .. } = step;
        self.0.recur(h, rows, 0..self.0.gates, product);
        vectorized(
            #[inline(always)]
            || {
                for ((g, &p), next) in gates.iter_mut().zip(&*product).zip(next) {
                    *g = (*g + p).fast_tanh();
                    *next = *g;
                }
            },
        );
    }

    fn step_back(&self, step: StepBack<'_, T>) {
        let StepBack { rows, gates, d, before, turned, .. } = step;
        vectorized(
            #[inline(always)]
            || {
                for (g, &d) in gates.iter_mut().zip(&*d) {
                    *g = d * (T::one() - *g * *g);
                }
            },
        );
        if let Some(before) = before {
            add_back(before, Matrix::new(gates, rows, self.0.gates), turned, rows, self.0.hidden);
        }
    }
}
