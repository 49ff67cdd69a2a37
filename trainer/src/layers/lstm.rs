//! Long short-term memory (Hochreiter and Schmidhuber, Neural Computation 9, 1997) with a forget gate (Gers et al.,
//! Neural Computation 12, 2000), without peepholes.
//!
//! ```text
//! a = x W + h U + b              (four gates side by side: i, o, f, g, the order of ONNX)
//! i = sigmoid(a_i)               o = sigmoid(a_o)               f = sigmoid(a_f)               g = tanh(a_g)
//! c' = f c + i g
//! h' = o tanh(c')
//! ```
//!
//! Backward, from `d = dL/dh'` and `e = dL/dc'` that step `t + 1` has left:
//!
//! ```text
//! e += d o (1 - tanh(c')^2)
//! di = e g i (1 - i)             do = d tanh(c') o (1 - o)      df = e c f (1 - f)             dg = e i (1 - g^2)
//! dc = e f                       dh = [di, do, df, dg] U^T      dx = [di, do, df, dg] W^T
//! dW = x^T [di, do, df, dg]      dU = h^T [di, do, df, dg]      db: the sum of those rows
//! ```
//!
//! Along `c` the gradient is multiplied by `f` alone: where the forget gate is open it neither shrinks nor grows. A
//! bias of 1 opens it from the start.

use rand::Rng;

use super::recurrent::{Cell, CellWeights, Step, StepBack, add_back};
use crate::{
    engine::{
        matmul::Matrix,
        scalar::Scalar,
        simd::{each, vectorized},
    },
    layers::{
        init::bias::{GateBias, Gates},
        kind::LayerKind,
    },
};

/// One LSTM unit. `kept` is `c`.
#[derive(Clone, Debug)]
pub struct Lstm<T>(CellWeights<T>);

impl<T: Scalar> Lstm<T> {
    /// Glorot `W`, orthogonal `U` (one orthogonal matrix a gate), biases zero but for those of `f`, and `i` by chrono.
    pub fn new(inputs: usize, hidden: usize, bias: GateBias, rng: &mut impl Rng) -> Self {
        let mut weights = CellWeights::new(inputs, hidden, 4, false, rng);
        let Gates { keep, write } = bias.fill(hidden, rng);
        weights.bias.value[..hidden].copy_from_slice(&write);
        weights.bias.value[2 * hidden..3 * hidden].copy_from_slice(&keep);
        Self(weights)
    }
}

impl<T: Scalar> Cell<T> for Lstm<T> {
    const KIND: LayerKind = LayerKind::Lstm;
    const OPERATOR: &'static str = "LSTM";
    const SIGMOIDS: usize = 3;
    const MEMORY: bool = true;

    fn weights(&self) -> &CellWeights<T> {
        &self.0
    }

    fn weights_mut(&mut self) -> &mut CellWeights<T> {
        &mut self.0
    }

    fn step(&self, step: Step<'_, T>) {
        let (hidden, width) = (self.0.hidden, self.0.gates);
        let Step { rows, gates, h, next, kept_before, kept, product } = step;
        self.0.recur(h, rows, 0..width, product);
        let rows = gates.chunks_exact_mut(width).zip(product.chunks_exact(width));
        let memory = kept_before.chunks_exact(hidden).zip(kept.chunks_exact_mut(hidden));
        vectorized(
            #[inline(always)]
            || {
                for (((a, p), (c, c_next)), next) in rows.zip(memory).zip(next.chunks_exact_mut(hidden)) {
                    forward(a, p, c, c_next, next);
                }
            },
        );
    }

    fn step_back(&self, step: StepBack<'_, T>) {
        let (hidden, width) = (self.0.hidden, self.0.gates);
        let StepBack { rows, gates, kept_before, kept, d, d_memory, before, turned, .. } = step;
        let memory = kept_before.chunks_exact(hidden).zip(kept.chunks_exact(hidden));
        let gradients = d.chunks_exact(hidden).zip(d_memory.chunks_exact_mut(hidden));
        vectorized(
            #[inline(always)]
            || {
                for ((a, (c, c_next)), (d, e)) in gates.chunks_exact_mut(width).zip(memory).zip(gradients) {
                    backward(a, c, c_next, d, e);
                }
            },
        );
        if let Some(before) = before {
            add_back(before, Matrix::new(gates, rows, width), turned, rows, hidden);
        }
    }
}

/// One sequence, one step: `a` becomes `i, o, f, g`.
#[inline(always)]
fn forward<T: Scalar>(a: &mut [T], product: &[T], c: &[T], c_next: &mut [T], next: &mut [T]) {
    let [i, o, f, g] = quarters_mut(a);
    let p: [&[T]; 4] = std::array::from_fn(|gate| &product[gate * c.len()..][..c.len()]);
    each(
        [p[0], p[1], p[2], p[3], c],
        [i, o, f, g, c_next, next],
        #[inline(always)]
        |[p_i, p_o, p_f, p_g, c]: [T; 5], [i, o, f, g, _, _]: [T; 6]| {
            let (i, o, f) = ((i + p_i).sigmoid(), (o + p_o).sigmoid(), (f + p_f).sigmoid());
            let g = (g + p_g).fast_tanh();
            let c = f * c + i * g;
            [i, o, f, g, c, o * c.fast_tanh()]
        },
    );
}

/// One sequence, one step back: `a` becomes `di, do, df, dg`, `e` becomes `dc`.
#[inline(always)]
fn backward<T: Scalar>(a: &mut [T], c: &[T], c_next: &[T], d: &[T], e: &mut [T]) {
    let one = T::one();
    let [i, o, f, g] = quarters_mut(a);
    each(
        [c, c_next, d],
        [i, o, f, g, e],
        #[inline(always)]
        |[c, c_next, d]: [T; 3], [i, o, f, g, e]: [T; 5]| {
            let squashed = c_next.fast_tanh();
            let e = e + d * o * (one - squashed * squashed);
            let (di, df, dg) = (e * g * i * (one - i), e * c * f * (one - f), e * i * (one - g * g));
            [di, d * squashed * o * (one - o), df, dg, e * f]
        },
    );
}

/// The gates of one sequence.
#[inline(always)]
fn quarters_mut<T>(gates: &mut [T]) -> [&mut [T]; 4] {
    let hidden = gates.len() / 4;
    let (i, rest) = gates.split_at_mut(hidden);
    let (o, rest) = rest.split_at_mut(hidden);
    let (f, g) = rest.split_at_mut(hidden);
    [i, o, f, g]
}
