//! Gated recurrent unit with the reset before the product (ONNX `linear_before_reset = 0`, Keras `reset_after=False`):
//! the textbook's, whose reset gate says how relevant the old state is to the candidate (Cho et al., EMNLP 2014).
//!
//! ```text
//! a = x W + b                      (three gates side by side: z, r, n)
//! z = sigmoid(a_z + h U_z)         r = sigmoid(a_r + h U_r)
//! s = r h                          n = tanh(a_n + s U_n)
//! h' = n + z (h - n)
//! ```
//!
//! Backward, from `d = dL/dh'`:
//!
//! ```text
//! dz = d (h - n) z (1 - z)         dn = d (1 - z) (1 - n^2)
//! ds = dn U_n^T                    dr = ds h r (1 - r)
//! dh = d z + ds r + [dz, dr] [U_z, U_r]^T                       dx = [dz, dr, dn] W^T
//! dW = x^T [dz, dr, dn]            dU = [h^T [dz, dr], s^T dn]  db: the sum of those rows
//! ```
//!
//! The candidate has to wait for the reset gate, so that every step takes two products one after the other.
//! [`gru`](super::gru) is the form with one.

use rand::Rng;

use super::recurrent::{Cell, CellWeights, Step, StepBack, Steps, add, add_back};
use crate::{
    engine::{
        matmul::{Matrix, MatrixMut, matmul},
        scalar::Scalar,
        simd::vectorized,
    },
    layers::{init::bias::GateBias, kind::LayerKind},
};

/// One unit. `kept` is `s`.
#[derive(Clone, Debug)]
pub struct GruResetBefore<T>(CellWeights<T>);

impl<T: Scalar> GruResetBefore<T> {
    /// Glorot `W`, orthogonal `U` (one orthogonal matrix a gate), biases zero but for those of `z`, the gate that keeps.
    pub fn new(inputs: usize, hidden: usize, bias: GateBias, rng: &mut impl Rng) -> Self {
        let mut weights = CellWeights::new(inputs, hidden, 3, false, rng);
        weights.bias.value[..hidden].copy_from_slice(&bias.fill(hidden, rng).keep);
        Self(weights)
    }
}

impl<T: Scalar> Cell<T> for GruResetBefore<T> {
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
        let product = &mut product[..rows * 2 * hidden];
        self.0.recur(h, rows, 0..2 * hidden, product);
        let states = h.chunks_exact(hidden).zip(kept.chunks_exact_mut(hidden));
        vectorized(
            #[inline(always)]
            || {
                for ((a, p), (h, s)) in gates.chunks_exact_mut(width).zip(product.chunks_exact(2 * hidden)).zip(states)
                {
                    for (a, &p) in a[..2 * hidden].iter_mut().zip(p) {
                        *a = (*a + p).sigmoid();
                    }
                    for ((s, &r), &h) in s.iter_mut().zip(&a[hidden..]).zip(h) {
                        *s = r * h;
                    }
                }
            },
        );
        let product = &mut product[..rows * hidden];
        self.0.recur(kept, rows, 2 * hidden..width, product);
        let states = h.chunks_exact(hidden).zip(next.chunks_exact_mut(hidden));
        vectorized(
            #[inline(always)]
            || {
                for ((a, p), (h, next)) in gates.chunks_exact_mut(width).zip(product.chunks_exact(hidden)).zip(states) {
                    let (z, n) = a.split_at_mut(2 * hidden);
                    for (n, &p) in n.iter_mut().zip(p) {
                        *n = (*n + p).fast_tanh();
                    }
                    for (((next, &z), &n), &h) in next.iter_mut().zip(&*z).zip(&*n).zip(h) {
                        *next = n + z * (h - n);
                    }
                }
            },
        );
    }

    fn step_back(&self, step: StepBack<'_, T>) {
        let (hidden, width) = (self.0.hidden, self.0.gates);
        let one = T::one();
        let StepBack { rows, gates, h, d, before, turned, product: ds, .. } = step;
        let states = h.chunks_exact(hidden).zip(d.chunks_exact_mut(hidden));
        vectorized(
            #[inline(always)]
            || {
                for (a, (h, d)) in gates.chunks_exact_mut(width).zip(states) {
                    let (z, n) = a.split_at_mut(2 * hidden);
                    for (((z, n), &h), d) in z.iter_mut().zip(n).zip(h).zip(d) {
                        let dz = *d * (h - *n) * *z * (one - *z);
                        *n = *d * (one - *z) * (one - *n * *n);
                        *d *= *z;
                        *z = dz;
                    }
                }
            },
        );
        let (turned_zr, turned_n) = turned.split_at(2 * hidden * hidden);
        let dn = Matrix::strided(&gates[2 * hidden..], rows, hidden, width);
        matmul(MatrixMut::new(ds, rows, hidden), dn, Matrix::new(turned_n, hidden, hidden), false);
        let states = h.chunks_exact(hidden).zip(d.chunks_exact_mut(hidden));
        vectorized(
            #[inline(always)]
            || {
                for ((a, ds), (h, d)) in gates.chunks_exact_mut(width).zip(ds.chunks_exact(hidden)).zip(states) {
                    for (((r, &ds), &h), d) in a[hidden..].iter_mut().zip(ds).zip(h).zip(d) {
                        *d += ds * *r;
                        *r = ds * h * *r * (one - *r);
                    }
                }
            },
        );
        if let Some(before) = before {
            add(before, d);
            add_back(before, Matrix::strided(gates, rows, 2 * hidden, width), turned_zr, rows, hidden);
        }
    }

    fn recurrent_gradient(&self, steps: Steps<'_, T>, du: &mut [T], _: &mut [T]) {
        let (hidden, width) = (self.0.hidden, self.0.gates);
        let Steps { rows, states, gates, kept } = steps;
        let states = Matrix::new(states, rows, hidden).t();
        let zr = Matrix::strided(gates, rows, 2 * hidden, width);
        matmul(MatrixMut::strided(du, hidden, 2 * hidden, width), states, zr, true);
        let s = Matrix::new(kept, rows, hidden).t();
        let n = Matrix::strided(&gates[2 * hidden..], rows, hidden, width);
        matmul(MatrixMut::strided(&mut du[2 * hidden..], hidden, hidden, width), s, n, true);
    }
}
