//! A cell from the first frame to the last and back.

use super::cell::{Cell, Step, StepBack};
use super::weights::CellWeights;
use crate::matmul::{Matrix, MatrixMut, matmul};
use crate::scalar::Scalar;

/// What a piece of the batch keeps from forward to backward. Everything is time-major.
#[derive(Clone, Debug, Default)]
pub struct Trace<T> {
    /// Every state, `[steps + 1, batch, hidden]`; the first is zero, and that of an ended sequence stays as it was.
    pub states: Vec<T>,
    /// `[steps, batch, gates]`: values of the gates, on the way back their gradients.
    pub gates: Vec<T>,
    /// `[steps + 1, batch, hidden]`, for what the cell likes; the first is zero. Nothing for a cell that keeps nothing.
    pub kept: Vec<T>,
    /// `[batch, gates]`.
    product: Vec<T>,
    /// `[batch, hidden]`.
    d_memory: Vec<T>,
}

/// From `x`, `[steps, batch, inputs]`, to every state. `active` says how many sequences run at each step.
pub(super) fn forward<T: Scalar, C: Cell<T>>(cell: &C, x: &[T], batch: usize, active: &[usize], trace: &mut Trace<T>) {
    let weights = cell.weights();
    let CellWeights { hidden, gates, .. } = *weights;
    let (steps, step) = (active.len(), batch * hidden);
    let Trace { states, gates: all_gates, kept, product, .. } = trace;
    states.resize((steps + 1) * step, T::zero());
    let kept_step = if C::KEEPS { step } else { 0 };
    kept.resize((steps + 1) * kept_step, T::zero());
    states[..step].fill(T::zero());
    kept[..kept_step].fill(T::zero());
    all_gates.resize(steps * batch * gates, T::zero());
    product.resize(batch * gates, T::zero());

    weights.project(x, steps * batch, all_gates);
    for (t, &rows) in active.iter().enumerate() {
        let n = rows * hidden;
        let (before, after) = states.split_at_mut((t + 1) * step);
        let (h, next) = (&before[t * step..], &mut after[..step]);
        let n_kept = n.min(kept_step);
        let (kept_before, kept) = kept.split_at_mut((t + 1) * kept_step);
        cell.step(Step {
            rows,
            gates: &mut all_gates[t * batch * gates..][..rows * gates],
            h: &h[..n],
            next: &mut next[..n],
            kept_before: &kept_before[t * kept_step..][..n_kept],
            kept: &mut kept[..n_kept],
            product: &mut product[..rows * gates],
        });
        next[n..].copy_from_slice(&h[n..]);
        kept[n_kept..kept_step].fill(T::zero());
    }
}

/// What the way back passes at each step, the last first.
#[derive(Debug)]
pub(super) struct Passing<'a, T> {
    /// Counted from 0.
    pub step: usize,
    /// `[batch, hidden]`, the whole gradient of the state after this step.
    pub d: &'a [T],
    /// `[batch, hidden]`, of a cell with [`Cell::MEMORY`] that of the memory.
    pub d_memory: &'a [T],
}

/// From `d`, `[steps, batch, hidden]`, what comes from above to every state after the first, to the gradient of all
/// tensors, added to `gradient`. Leaves the gradients of the gates in `trace`, anything in `d`. `d_memory` is the
/// gradient of the last memory, zero if it is `None`.
#[allow(clippy::too_many_arguments)] // Each is one symbol of the derivation.
pub(super) fn backward<T: Scalar, C: Cell<T>>(
    cell: &C,
    turned: &[T],
    batch: usize,
    active: &[usize],
    trace: &mut Trace<T>,
    d: &mut [T],
    d_memory: Option<&[T]>,
    mut pass: impl FnMut(Passing<'_, T>),
) {
    let CellWeights { hidden, gates, .. } = *cell.weights();
    let step = batch * hidden;
    let kept_step = if C::KEEPS { step } else { 0 };
    let Trace { states, gates: all_gates, kept, product, d_memory: memory } = trace;
    memory.resize(step, T::zero());
    match d_memory {
        Some(given) => memory.copy_from_slice(given),
        None => memory.fill(T::zero()),
    }
    for (t, &rows) in active.iter().enumerate().rev() {
        let n = rows * hidden;
        let (earlier, now) = d.split_at_mut(t * step);
        let now = &mut now[..step];
        pass(Passing { step: t, d: now, d_memory: memory });
        let g = &mut all_gates[t * batch * gates..][..batch * gates];
        g[rows * gates..].fill(T::zero());
        let mut before = (t > 0).then(|| &mut earlier[(t - 1) * step..]);
        if let Some(before) = &mut before {
            before[n..].iter_mut().zip(&now[n..]).for_each(|(b, &d)| *b += d); // h' = h
        }
        let n_kept = n.min(kept_step);
        let (kept_before, kept) = kept.split_at_mut((t + 1) * kept_step);
        cell.step_back(StepBack {
            rows,
            gates: &mut g[..rows * gates],
            h: &states[t * step..][..n],
            kept_before: &kept_before[t * kept_step..][..n_kept],
            kept: &mut kept[..n_kept],
            d: &mut now[..n],
            d_memory: &mut memory[..n],
            before: before.map(|b| &mut b[..n]),
            turned,
            product: &mut product[..n],
        });
    }
}

/// Adds the gradients of all tensors, and writes that of the input `x` into `dx` if it is wanted. Comes after
/// [`backward`].
pub(super) fn gradients<T: Scalar, C: Cell<T>>(
    cell: &C,
    x: &[T],
    trace: &Trace<T>,
    gradient: &mut [T],
    dx: Option<&mut Vec<T>>,
) {
    let weights = cell.weights();
    let CellWeights { inputs, gates, .. } = *weights;
    let rows = trace.gates.len() / gates;
    let [dw, du, db, dc] = weights.split(gradient);
    let dg = Matrix::new(&trace.gates, rows, gates);
    matmul(MatrixMut::new(dw, inputs, gates), Matrix::new(x, rows, inputs).t(), dg, true);
    for row in trace.gates.chunks_exact(gates) {
        db.iter_mut().zip(row).for_each(|(b, &g)| *b += g);
    }
    cell.recurrent_gradient(trace, du, dc);
    if let Some(dx) = dx {
        dx.resize(rows * inputs, T::zero());
        let w = Matrix::new(&weights.weight.value, inputs, gates);
        matmul(MatrixMut::new(dx, rows, inputs), dg, w.t(), false);
    }
}
