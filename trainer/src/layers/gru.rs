//! Gated recurrent unit with the reset after the product (ONNX `linear_before_reset = 1`, PyTorch, cuDNN).
//!
//! ```text
//! g = x_t W + b,  q = h U + c                 (three gates side by side: z, r, n)
//! z = sigmoid(g_z + q_z)
//! r = sigmoid(g_r + q_r)
//! n = tanh(g_n + r q_n)
//! h' = n + z (h - n)
//! ```
//!
//! Backward, from `d = dL/dh'` (of step `t`, from above and from step `t + 1`):
//!
//! ```text
//! dz = d (h - n) z (1 - z)          dn = d (1 - z) (1 - n^2)
//! dr = dn q_n r (1 - r)             dq_n = dn r
//! dh = d z + [dz, dr, dq_n] U^T     dx = [dz, dr, dn] W^T
//! dW = x^T [dz, dr, dn]             dU = h^T [dz, dr, dq_n]        db, dc: the sums of those rows
//! ```
//!
//! Where `z` is near 1 the gradient passes through `d z` undiminished: the cure of the vanishing gradient. `U` starts
//! orthogonal, so that the other path neither shrinks nor grows.

use rand::Rng;
use tract_onnx::pb::AttributeProto;

use super::recurrent::{Cell, CellWeights, Step, StepBack, Steps, add, add_back, add_rows};
use crate::{
    engine::{
        matmul::{Matrix, MatrixMut, matmul},
        scalar::Scalar,
        simd::{each, vectorized},
    },
    layers::{init::bias::GateBias, kind::LayerKind, onnx::int},
};

/// One unit. `kept` is `q_n`, on the way back `dq_n`.
#[derive(Clone, Debug)]
pub struct Gru<T>(CellWeights<T>);

impl<T: Scalar> Gru<T> {
    /// Glorot `W`, orthogonal `U` (one orthogonal matrix a gate), biases zero but for those of `z`, the gate that keeps.
    pub fn new(inputs: usize, hidden: usize, bias: GateBias, rng: &mut impl Rng) -> Self {
        let mut weights = CellWeights::new(inputs, hidden, 3, true, rng);
        weights.bias.value[..hidden].copy_from_slice(&bias.fill(hidden, rng).keep);
        Self(weights)
    }
}

impl<T: Scalar> Cell<T> for Gru<T> {
    const KIND: LayerKind = LayerKind::Gru;
    const OPERATOR: &'static str = "GRU";
    const SIGMOIDS: usize = 2;

    fn weights(&self) -> &CellWeights<T> {
        &self.0
    }

    fn weights_mut(&mut self) -> &mut CellWeights<T> {
        &mut self.0
    }

    fn step(&self, step: Step<'_, T>) {
        let (hidden, width) = (self.0.hidden, self.0.gates);
        let Step { rows, gates, h, next, kept, product, .. } = step;
        self.0.recur(h, rows, 0..width, product);
        let gates = gates.chunks_exact_mut(width).zip(product.chunks_exact(width));
        let states = h.chunks_exact(hidden).zip(next.chunks_exact_mut(hidden));
        vectorized(
            #[inline(always)]
            || {
                for (((g, q), qn), (h, next)) in gates.zip(kept.chunks_exact_mut(hidden)).zip(states) {
                    step_forward(g, q, qn, h, next);
                }
            },
        );
    }

    fn step_back(&self, step: StepBack<'_, T>) {
        let (hidden, width) = (self.0.hidden, self.0.gates);
        let StepBack { rows, gates, h, kept, d, before, turned, .. } = step;
        let row = gates.chunks_exact_mut(width).zip(kept.chunks_exact_mut(hidden));
        let states = h.chunks_exact(hidden).zip(d.chunks_exact_mut(hidden));
        vectorized(
            #[inline(always)]
            || {
                for ((g, qn), (h, d)) in row.zip(states) {
                    step_backward(g, qn, h, d);
                }
            },
        );
        if let Some(before) = before {
            add(before, d);
            let (turned_zr, turned_n) = turned.split_at(2 * hidden * hidden);
            add_back(before, Matrix::strided(gates, rows, 2 * hidden, width), turned_zr, rows, hidden);
            add_back(before, Matrix::new(kept, rows, hidden), turned_n, rows, hidden);
        }
    }

    fn recurrent_gradient(&self, steps: Steps<'_, T>, du: &mut [T], dc: &mut [T]) {
        let (hidden, width) = (self.0.hidden, self.0.gates);
        let Steps { rows, states, gates, kept: dq } = steps;
        let states = Matrix::new(states, rows, hidden).t();
        let zr = Matrix::strided(gates, rows, 2 * hidden, width);
        matmul(MatrixMut::strided(du, hidden, 2 * hidden, width), states, zr, true);
        let n = Matrix::new(dq, rows, hidden);
        matmul(MatrixMut::strided(&mut du[2 * hidden..], hidden, hidden, width), states, n, true);
        let (dc_zr, dc_n) = dc.split_at_mut(2 * hidden);
        add_rows(dc_zr, gates, width);
        add_rows(dc_n, dq, hidden);
    }

    fn attributes(&self) -> Vec<AttributeProto> {
        vec![int("linear_before_reset", 1)]
    }
}

/// One sequence, one step: `g` becomes `z, r, n`, `qn` keeps `q_n`, `next` is the new state.
#[inline(always)]
fn step_forward<T: Scalar>(g: &mut [T], q: &[T], qn: &mut [T], h: &[T], next: &mut [T]) {
    let [z, r, n] = thirds_mut(g);
    let (q_z, q_rn) = q.split_at(h.len());
    let (q_r, q_n) = q_rn.split_at(h.len());
    each(
        [q_z, q_r, q_n, h],
        [z, r, n, qn, next],
        #[inline(always)]
        |[q_z, q_r, q_n, h]: [T; 4], [z, r, n, _, _]: [T; 5]| {
            let (z, r) = ((z + q_z).sigmoid(), (r + q_r).sigmoid());
            let n = (n + r * q_n).fast_tanh();
            [z, r, n, q_n, n + z * (h - n)]
        },
    );
}

/// One sequence, one step back: `g` becomes `dz, dr, dn`, `qn` becomes `dq_n`, `d` becomes `d z`.
#[inline(always)]
fn step_backward<T: Scalar>(g: &mut [T], qn: &mut [T], h: &[T], d: &mut [T]) {
    let one = T::one();
    let [z, r, n] = thirds_mut(g);
    each(
        [h],
        [z, r, n, qn, d],
        #[inline(always)]
        |[h]: [T; 1], [z, r, n, q_n, d]: [T; 5]| {
            let (dz, dn) = (d * (h - n) * z * (one - z), d * (one - z) * (one - n * n));
            let dr = dn * q_n * r * (one - r);
            [dz, dr, dn, dn * r, d * z]
        },
    );
}

/// The gates of one sequence.
#[inline(always)]
fn thirds_mut<T>(gates: &mut [T]) -> [&mut [T]; 3] {
    let hidden = gates.len() / 3;
    let (z, rn) = gates.split_at_mut(hidden);
    let (r, n) = rn.split_at_mut(hidden);
    [z, r, n]
}
