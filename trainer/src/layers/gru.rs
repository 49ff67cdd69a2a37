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

use super::recurrent::{Cell, CellWeights, Step, StepBack, Trace, add_back};
use crate::doctor::record::LayerKind;
use crate::export::graph::int;
use crate::init::bias::GateBias;
use crate::matmul::{Matrix, MatrixMut, matmul};
use crate::scalar::Scalar;

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
        for (((g, q), qn), (h, next)) in gates.zip(kept.chunks_exact_mut(hidden)).zip(states) {
            step_forward(g, q, qn, h, next);
        }
    }

    fn step_back(&self, step: StepBack<'_, T>) {
        let (hidden, width) = (self.0.hidden, self.0.gates);
        let StepBack { rows, gates, h, kept, d, before, turned, .. } = step;
        let row = gates.chunks_exact_mut(width).zip(kept.chunks_exact_mut(hidden));
        for ((g, qn), (h, d)) in row.zip(h.chunks_exact(hidden).zip(d.chunks_exact_mut(hidden))) {
            step_backward(g, qn, h, d);
        }
        if let Some(before) = before {
            before.iter_mut().zip(&*d).for_each(|(b, &d)| *b += d);
            let (turned_zr, turned_n) = turned.split_at(2 * hidden * hidden);
            add_back(before, Matrix::strided(gates, rows, 2 * hidden, width), turned_zr, rows, hidden);
            add_back(before, Matrix::new(kept, rows, hidden), turned_n, rows, hidden);
        }
    }

    fn recurrent_gradient(&self, trace: &Trace<T>, du: &mut [T], dc: &mut [T]) {
        let (hidden, width) = (self.0.hidden, self.0.gates);
        let rows = trace.gates.len() / width;
        let dq = &trace.kept[trace.kept.len() - rows * hidden..];
        let states = Matrix::new(&trace.states, rows, hidden).t();
        let zr = Matrix::strided(&trace.gates, rows, 2 * hidden, width);
        matmul(MatrixMut::strided(du, hidden, 2 * hidden, width), states, zr, true);
        let n = Matrix::new(dq, rows, hidden);
        matmul(MatrixMut::strided(&mut du[2 * hidden..], hidden, hidden, width), states, n, true);
        for (g, dq) in trace.gates.chunks_exact(width).zip(dq.chunks_exact(hidden)) {
            dc.iter_mut().zip(g[..2 * hidden].iter().chain(dq)).for_each(|(c, &g)| *c += g);
        }
    }

    fn attributes(&self) -> Vec<AttributeProto> {
        vec![int("linear_before_reset", 1)]
    }
}

/// One sequence, one step: `g` becomes `z, r, n`, `qn` keeps `q_n`, `next` is the new state.
fn step_forward<T: Scalar>(g: &mut [T], q: &[T], qn: &mut [T], h: &[T], next: &mut [T]) {
    let hidden = h.len();
    qn.copy_from_slice(&q[2 * hidden..]);
    let (zr, n) = g.split_at_mut(2 * hidden);
    for (g, &q) in zr.iter_mut().zip(q) {
        *g = (*g + q).sigmoid();
    }
    let (z, r) = zr.split_at(hidden);
    for ((n, &r), &q) in n.iter_mut().zip(r).zip(&*qn) {
        *n = (*n + r * q).fast_tanh();
    }
    for (((next, &z), &n), &h) in next.iter_mut().zip(z).zip(&*n).zip(h) {
        *next = n + z * (h - n);
    }
}

/// One sequence, one step back: `g` becomes `dz, dr, dn`, `qn` becomes `dq_n`, `d` becomes `d z`.
fn step_backward<T: Scalar>(g: &mut [T], qn: &mut [T], h: &[T], d: &mut [T]) {
    let hidden = h.len();
    let one = T::one();
    let (z, rn) = g.split_at_mut(hidden);
    let (r, n) = rn.split_at_mut(hidden);
    let gates = z.iter_mut().zip(r.iter_mut()).zip(n.iter_mut());
    for (((z, r), n), ((q, &h), d)) in gates.zip(qn.iter_mut().zip(h).zip(d)) {
        let (dz, dn) = (*d * (h - *n) * *z * (one - *z), *d * (one - *z) * (one - *n * *n));
        let dr = dn * *q * *r * (one - *r);
        *d *= *z;
        *q = dn * *r;
        (*z, *r, *n) = (dz, dr, dn);
    }
}
