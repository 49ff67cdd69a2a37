//! What one thread does: one piece of the batch, in each direction, there and back.

use std::ops::Range;

use super::{
    cell::Cell,
    layout::{Columns, Layout},
    unroll::{self, Passing, Trace},
    weights::CellWeights,
};
use crate::{engine::scalar::Scalar, layers::kind::SATURATED};

/// Memory of one piece of the batch.
#[derive(Debug)]
pub(super) struct Piece<T> {
    pub layout: Layout,
    /// One for each direction.
    pub runs: Vec<Run<T>>,
}

impl<T> Default for Piece<T> {
    fn default() -> Self {
        Self { layout: Layout::default(), runs: Vec::new() }
    }
}

/// Memory of one direction.
#[derive(Debug, Default)]
pub(super) struct Run<T> {
    /// `[steps, batch, inputs]`.
    input: Vec<T>,
    trace: Trace<T>,
    /// Gradient of the states, and of the input.
    d: Vec<T>,
    dx: Vec<T>,
    /// Of all tensors, as [`CellWeights::split`] says.
    pub gradient: Vec<T>,
    /// Squared norms of the gradient by the state after the first and after the last step of its sequences.
    pub ends: [f64; 2],
}

impl<T: Scalar> Piece<T> {
    /// From the piece's inputs `x` to `columns` of its outputs `y`: every state, or the last. The second direction
    /// reads the sequences backwards.
    pub fn forward<C: Cell<T>>(
        &mut self,
        cell: &C,
        direction: usize,
        x: &[T],
        y: &mut [T],
        columns: Columns,
        every_step: bool,
    ) {
        let Self { layout, runs } = self;
        let (run, reversed) = (&mut runs[direction], direction > 0);
        let (batch, hidden) = (layout.batch(), columns.count);
        layout.gather(x, &mut run.input, Columns::all(cell.weights().inputs), reversed);
        unroll::forward(cell, &run.input, batch, &layout.active, &mut run.trace);
        let states = &run.trace.states[batch * hidden..];
        if every_step {
            layout.scatter(states, y, columns, reversed, |y, h| y.copy_from_slice(h));
            return;
        }
        let last = &states[(layout.steps() - 1) * batch * hidden..];
        for (row, sequence) in layout.sequences() {
            let to = &mut y[sequence * columns.of + columns.first..][..hidden];
            to.copy_from_slice(&last[row * hidden..][..hidden]);
        }
    }

    /// From `columns` of the outputs' gradients `dy` to those of the weights, and of the input if it is `wanted`.
    #[allow(clippy::too_many_arguments)] // Each is one symbol of the derivation.
    pub fn backward<C: Cell<T>>(
        &mut self,
        cell: &C,
        direction: usize,
        turned: &[T],
        dy: &[T],
        columns: Columns,
        every_step: bool,
        wanted: bool,
    ) {
        let Self { layout, runs } = self;
        let Run { input, trace, d, dx, gradient, ends } = &mut runs[direction];
        let hidden = columns.count;
        spread(dy, layout, columns, every_step, direction > 0, d);
        *ends = [0.0; 2];
        gradient.clear();
        gradient.resize(cell.weights().size(), T::zero());
        dx.resize(if wanted { input.len() } else { 0 }, T::zero());
        let measure = |at: Passing<'_, T>| {
            // Sequences whose last step this is: they run, and no longer at the next.
            let after = layout.active.get(at.step + 1).copied().unwrap_or(0);
            let squares = |d: &[T]| d.iter().map(|v| v.wide() * v.wide()).sum::<f64>();
            ends[1] += squares(&at.d[after * hidden..layout.active[at.step] * hidden]);
            if at.step == 0 {
                ends[0] = squares(at.d);
            }
        };
        let batch = layout.batch();
        let done = |steps: Range<usize>, trace: &Trace<T>| {
            unroll::gradients(cell, input, batch, steps, trace, gradient, wanted.then_some(&mut dx[..]));
        };
        unroll::backward(cell, turned, batch, &layout.active, trace, d, None, measure, done);
    }

    /// Adds the input gradients of all directions to `to`, whose frames have `width` numbers.
    pub fn input_gradient(&self, to: &mut [T], width: usize) {
        for (direction, run) in self.runs.iter().enumerate() {
            self.layout.scatter(&run.dx, to, Columns::all(width), direction > 0, |to, d| {
                to.iter_mut().zip(d).for_each(|(to, &d)| *to += d);
            });
        }
    }

    /// Gates of the frames that count within [`SATURATED`] of an end of their range, and all of them. The first
    /// `sigmoids` are sigmoids.
    pub fn saturated(&self, weights: &CellWeights<T>, sigmoids: usize) -> (usize, usize) {
        let CellWeights { hidden, gates, .. } = *weights;
        let (low, high, tanh) = (T::of(SATURATED), T::of(1.0 - SATURATED), T::of(1.0 - 2.0 * SATURATED));
        let mut beyond = 0;
        for run in &self.runs {
            let steps = run.trace.gates.chunks_exact(self.layout.batch() * gates).zip(&self.layout.active);
            for row in steps.flat_map(|(step, &rows)| step[..rows * gates].chunks_exact(gates)) {
                let (sigmoid, other) = row.split_at(sigmoids * hidden);
                beyond += sigmoid.iter().filter(|&&v| v < low || v > high).count();
                beyond += other.iter().filter(|v| v.abs() > tanh).count();
            }
        }
        (beyond, self.runs.len() * self.layout.active.iter().sum::<usize>() * gates)
    }
}

/// Output gradients of a piece to those of its states, `[steps, batch, hidden]`.
fn spread<T: Scalar>(dy: &[T], layout: &Layout, columns: Columns, every_step: bool, reversed: bool, d: &mut Vec<T>) {
    if every_step {
        layout.gather(dy, d, columns, reversed);
        return;
    }
    let (batch, hidden) = (layout.batch(), columns.count);
    d.clear();
    d.resize(layout.steps() * batch * hidden, T::zero());
    let last = &mut d[(layout.steps() - 1) * batch * hidden..];
    for (row, sequence) in layout.sequences() {
        last[row * hidden..][..hidden].copy_from_slice(&dy[sequence * columns.of + columns.first..][..hidden]);
    }
}
