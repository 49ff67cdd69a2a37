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

use super::recurrent::Cell;
use crate::doctor::record::LayerKind;
use crate::export::graph::{Graph, Value, floats, int, transposed};
use crate::init::{glorot, orthogonal};
use crate::matmul::{Matrix, MatrixMut, matmul};
use crate::parameter::{Parameter, Weights};
use crate::scalar::Scalar;

/// One recurrent layer.
#[derive(Clone, Debug)]
pub struct Gru<T> {
    /// `W`, `[inputs, 3 hidden]`; gates in the order z, r, n.
    pub weight: Weights<T>,
    /// `U`, `[hidden, 3 hidden]`.
    pub recurrent: Weights<T>,
    /// `b`, `[3 hidden]`.
    pub bias: Weights<T>,
    /// `c`, `[3 hidden]`.
    pub recurrent_bias: Weights<T>,
    /// Numbers in a frame.
    pub inputs: usize,
    /// Numbers in the state.
    pub hidden: usize,
}

/// What a piece of the batch keeps from forward to backward.
#[derive(Clone, Debug, Default)]
pub struct GruTrace<T> {
    /// Every state, `[frames + 1, batch, hidden]`; the first is zero.
    pub states: Vec<T>,
    /// `[frames, batch, 3 hidden]`: `z, r, n`, on the way back `dz, dr, dn`.
    gates: Vec<T>,
    /// `[frames, batch, hidden]`: `q_n`, on the way back `dq_n`.
    candidate: Vec<T>,
    /// `[batch, 3 hidden]`.
    step: Vec<T>,
}

impl<T: Scalar> Gru<T> {
    /// Glorot `W`, orthogonal `U` (one orthogonal matrix a gate), zero biases.
    pub fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        let weight = glorot(inputs * 3 * hidden, inputs, hidden, rng);
        let mut recurrent = vec![T::zero(); 3 * hidden * hidden];
        for gate in 0..3 {
            for (row, q) in orthogonal(hidden, rng).chunks_exact(hidden).enumerate() {
                recurrent[row * 3 * hidden + gate * hidden..][..hidden].copy_from_slice(q);
            }
        }
        Self {
            weight: Weights::matrix(weight, 3 * hidden),
            recurrent: Weights::matrix(recurrent, 3 * hidden),
            bias: Weights::filled(3 * hidden, 0.0),
            recurrent_bias: Weights::filled(3 * hidden, 0.0),
            inputs,
            hidden,
        }
    }
}

impl<T: Scalar> Cell<T> for Gru<T> {
    type Trace = GruTrace<T>;

    fn kind(&self) -> LayerKind {
        LayerKind::Gru
    }

    fn inputs(&self) -> usize {
        self.inputs
    }

    fn hidden(&self) -> usize {
        self.hidden
    }

    fn states(trace: &GruTrace<T>) -> &[T] {
        &trace.states
    }

    fn size(&self) -> usize {
        3 * self.hidden * (self.inputs + self.hidden + 2)
    }

    fn forward(&self, x: &[T], batch: usize, trace: &mut GruTrace<T>) {
        let (hidden, gates) = (self.hidden, 3 * self.hidden);
        let frames = x.len() / (batch * self.inputs);
        trace.states.resize((frames + 1) * batch * hidden, T::zero());
        trace.states[..batch * hidden].fill(T::zero());
        trace.gates.resize(frames * batch * gates, T::zero());
        trace.candidate.resize(frames * batch * hidden, T::zero());
        trace.step.resize(batch * gates, T::zero());

        for row in trace.gates.chunks_exact_mut(gates) {
            row.copy_from_slice(&self.bias.value);
        }
        matmul(
            MatrixMut::new(&mut trace.gates, frames * batch, gates),
            Matrix::new(x, frames * batch, self.inputs),
            Matrix::new(&self.weight.value, self.inputs, gates),
            true,
        );
        for t in 0..frames {
            let (before, after) = trace.states.split_at_mut((t + 1) * batch * hidden);
            let h = &before[t * batch * hidden..];
            for row in trace.step.chunks_exact_mut(gates) {
                row.copy_from_slice(&self.recurrent_bias.value);
            }
            matmul(
                MatrixMut::new(&mut trace.step, batch, gates),
                Matrix::new(h, batch, hidden),
                Matrix::new(&self.recurrent.value, hidden, gates),
                true,
            );
            let now = trace.gates[t * batch * gates..].chunks_exact_mut(gates);
            let candidates = trace.candidate[t * batch * hidden..].chunks_exact_mut(hidden);
            let states = h.chunks_exact(hidden).zip(after.chunks_exact_mut(hidden));
            for (((g, q), qn), (h, next)) in now.zip(trace.step.chunks_exact(gates)).zip(candidates).zip(states) {
                step_forward(g, q, qn, h, next);
            }
        }
    }

    /// `gradient` holds `W`, `U`, `b`, `c`.
    fn backward(
        &self,
        x: &[T],
        batch: usize,
        d: &mut [T],
        trace: &mut GruTrace<T>,
        turned: &[T],
        dx: Option<&mut Vec<T>>,
        gradient: &mut [T],
    ) {
        let (hidden, gates) = (self.hidden, 3 * self.hidden);
        let frames = x.len() / (batch * self.inputs);
        let step = batch * hidden;
        for t in (0..frames).rev() {
            let (earlier, now) = d.split_at_mut(t * step);
            let g = &mut trace.gates[t * batch * gates..][..batch * gates];
            let qn = &mut trace.candidate[t * step..][..step];
            let h = &trace.states[t * step..][..step];
            let rows = g.chunks_exact_mut(gates).zip(qn.chunks_exact_mut(hidden));
            for ((g, qn), (h, d)) in rows.zip(h.chunks_exact(hidden).zip(now.chunks_exact_mut(hidden))) {
                step_backward(g, qn, h, d);
            }
            if t == 0 {
                break; // The state before the first frame is zero and no parameter.
            }
            let before = &mut earlier[(t - 1) * step..];
            before.iter_mut().zip(&now[..step]).for_each(|(b, &n)| *b += n);
            let (turned_zr, turned_n) = turned.split_at(2 * hidden * hidden);
            let zr = Matrix::strided(g, batch, 2 * hidden, gates);
            matmul(MatrixMut::new(before, batch, hidden), zr, Matrix::new(turned_zr, 2 * hidden, hidden), true);
            let n = Matrix::new(qn, batch, hidden);
            matmul(MatrixMut::new(before, batch, hidden), n, Matrix::new(turned_n, hidden, hidden), true);
        }

        let rows = frames * batch;
        let (dw, rest) = gradient.split_at_mut(self.inputs * gates);
        let (du, rest) = rest.split_at_mut(hidden * gates);
        let (db, dc) = rest.split_at_mut(gates);
        let x = Matrix::new(x, rows, self.inputs);
        let dg = Matrix::new(&trace.gates, rows, gates);
        matmul(MatrixMut::new(dw, self.inputs, gates), x.t(), dg, true);
        let states = Matrix::new(&trace.states, rows, hidden).t();
        let zr = Matrix::strided(&trace.gates, rows, 2 * hidden, gates);
        matmul(MatrixMut::strided(du, hidden, 2 * hidden, gates), states, zr, true);
        let n = Matrix::new(&trace.candidate, rows, hidden);
        matmul(MatrixMut::strided(&mut du[2 * hidden..], hidden, hidden, gates), states, n, true);
        for (g, qn) in trace.gates.chunks_exact(gates).zip(trace.candidate.chunks_exact(hidden)) {
            db.iter_mut().zip(g).for_each(|(b, &g)| *b += g);
            dc.iter_mut().zip(g[..2 * hidden].iter().chain(qn)).for_each(|(c, &g)| *c += g);
        }
        if let Some(dx) = dx {
            dx.resize(rows * self.inputs, T::zero());
            let w = Matrix::new(&self.weight.value, self.inputs, gates);
            matmul(MatrixMut::new(dx, rows, self.inputs), dg, w.t(), false);
        }
    }

    /// `U^T`, `[3 hidden, hidden]`.
    fn turned(&self) -> Vec<T> {
        let (hidden, gates) = (self.hidden, 3 * self.hidden);
        (0..gates * hidden).map(|i| self.recurrent.value[i % hidden * gates + i / hidden]).collect()
    }

    fn set_gradient(&mut self, gradient: &[T]) {
        let mut rest = gradient;
        for weights in [&mut self.weight, &mut self.recurrent, &mut self.bias, &mut self.recurrent_bias] {
            let (own, after) = rest.split_at(weights.gradient.len());
            weights.gradient.copy_from_slice(own);
            rest = after;
        }
    }

    fn parameters<'a>(&'a mut self, name: &str, all: &mut Vec<Parameter<'a, T>>) {
        all.push(self.weight.parameter(format!("{name}.weight"), true));
        all.push(self.recurrent.parameter(format!("{name}.recurrent"), true));
        all.push(self.bias.parameter(format!("{name}.bias"), false));
        all.push(self.recurrent_bias.parameter(format!("{name}.recurrent_bias"), false));
    }

    fn export(&self, name: &str, x: &Value, every_step: bool, graph: &mut Graph) -> Value {
        let (hidden, gates) = (self.hidden, 3 * self.hidden);
        let w = transposed(&self.weight.value, gates, 0..gates);
        let r = transposed(&self.recurrent.value, gates, 0..gates);
        let b = floats(&[&self.bias.value[..], &self.recurrent_bias.value[..]].concat());
        let w = graph.tensor(&format!("{name}.W"), &[1, gates, self.inputs], w);
        let r = graph.tensor(&format!("{name}.R"), &[1, gates, hidden], r);
        let b = graph.tensor(&format!("{name}.B"), &[1, 2 * gates], b);
        let attributes = vec![int("hidden_size", hidden), int("linear_before_reset", 1)];
        graph.recurrent("GRU", name, &[x.clone(), w, r, b], every_step, attributes)
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
