//! A cell from the first frame to the last and back.
//!
//! Gates are the bulk of what is remembered: of a long sequence they do not fit into a cache. So products that could be
//! taken for all frames at once are taken for a few steps, just before or after these have been through the cell.

use std::ops::Range;

use super::{
    cell::{Cell, Step, StepBack, Steps, add, add_rows},
    weights::CellWeights,
};
use crate::engine::{
    interrupt,
    matmul::{Matrix, MatrixMut, matmul},
    scalar::Scalar,
};

/// What a piece of the batch keeps from forward to backward. Everything is time-major.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace<T> {
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

/// Numbers of gates that products are taken for at once: a quarter of a megabyte, which a core's own cache holds.
const AT_ONCE: usize = 1 << 16;

/// Steps of `batch` sequences whose gates are [`AT_ONCE`] numbers, or one.
fn steps_at_once(batch: usize, gates: usize) -> usize {
    (AT_ONCE / (batch * gates).max(1)).max(1)
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

    let at_once = steps_at_once(batch, gates);
    for (t, &rows) in active.iter().enumerate() {
        if interrupt::asked() {
            return; // and what there is goes no further
        }
        if t.is_multiple_of(at_once) {
            let frames = at_once.min(steps - t) * batch;
            let x = &x[t * batch * weights.inputs..][..frames * weights.inputs];
            weights.project(x, frames, &mut all_gates[t * batch * gates..][..frames * gates]);
        }
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

/// From `d`, `[steps, batch, hidden]`, what comes from above to every state after the first, to the gradients of the
/// gates, which it leaves in `trace`; anything in `d`. `d_memory` is the gradient of the last memory, zero if it is
/// `None`. Calls `pass` before each step and `done` after some steps, the last first.
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
    mut done: impl FnMut(Range<usize>, &Trace<T>),
) {
    let CellWeights { hidden, gates, .. } = *cell.weights();
    let step = batch * hidden;
    let kept_step = if C::KEEPS { step } else { 0 };
    trace.d_memory.resize(step, T::zero());
    match d_memory {
        Some(given) => trace.d_memory.copy_from_slice(given),
        None => trace.d_memory.fill(T::zero()),
    }
    let mut last = active.len();
    for t in (0..active.len()).rev() {
        if interrupt::asked() {
            return;
        }
        let Trace { states, gates: all_gates, kept, product, d_memory: memory } = &mut *trace;
        let rows = active[t];
        let n = rows * hidden;
        let (earlier, now) = d.split_at_mut(t * step);
        let now = &mut now[..step];
        pass(Passing { step: t, d: now, d_memory: memory });
        let g = &mut all_gates[t * batch * gates..][..batch * gates];
        g[rows * gates..].fill(T::zero());
        let mut before = (t > 0).then(|| &mut earlier[(t - 1) * step..]);
        if let Some(before) = &mut before {
            add(&mut before[n..], &now[n..]); // h' = h
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
        if t.is_multiple_of(steps_at_once(batch, gates)) {
            done(t..last, trace);
            last = t;
        }
    }
}

/// Adds what `steps` contribute to the gradients of all tensors, and writes the gradients of their inputs into `dx` if it
/// is wanted. `x` and `dx` are `[steps, batch, inputs]` of all steps. For [`backward`] to call when they are done.
pub(super) fn gradients<T: Scalar, C: Cell<T>>(
    cell: &C,
    x: &[T],
    batch: usize,
    steps: Range<usize>,
    trace: &Trace<T>,
    gradient: &mut [T],
    dx: Option<&mut [T]>,
) {
    let weights = cell.weights();
    let CellWeights { inputs, hidden, gates, .. } = *weights;
    let (first, rows) = (steps.start * batch, steps.len() * batch);
    let [dw, du, db, dc] = weights.split(gradient);
    let of = Steps {
        rows,
        states: &trace.states[first * hidden..][..rows * hidden],
        gates: &trace.gates[first * gates..][..rows * gates],
        kept: if C::KEEPS { &trace.kept[(first + batch) * hidden..][..rows * hidden] } else { &[] },
    };
    let dg = Matrix::new(of.gates, rows, gates);
    let x = Matrix::new(&x[first * inputs..][..rows * inputs], rows, inputs);
    matmul(MatrixMut::new(dw, inputs, gates), x.t(), dg, true);
    add_rows(db, of.gates, gates);
    cell.recurrent_gradient(of, du, dc);
    if let Some(dx) = dx {
        let w = Matrix::new(&weights.weight.value, inputs, gates);
        matmul(MatrixMut::new(&mut dx[first * inputs..][..rows * inputs], rows, inputs), dg, w.t(), false);
    }
}
