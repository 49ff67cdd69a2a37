//! What tells one recurrent unit from another: the equations of one step, there and back.

use std::fmt::Debug;

use tract_onnx::pb::AttributeProto;

use super::weights::CellWeights;
use crate::{
    engine::{
        matmul::{Matrix, MatrixMut, matmul},
        scalar::Scalar,
        simd::vectorized,
    },
    layers::kind::LayerKind,
};

/// One recurrent unit's weights and equations. The sequences that still run are the first rows of every matrix, and
/// only they are passed in.
pub trait Cell<T: Scalar>: Debug + Send + Sync {
    /// What it is.
    const KIND: LayerKind;

    /// The ONNX operator of the same equations.
    const OPERATOR: &'static str;

    /// How many of its gates, from the first, are sigmoids; the others are tanh.
    const SIGMOIDS: usize;

    /// Whether it keeps anything; `kept` is empty if not.
    const KEEPS: bool = true;

    /// Whether `kept` is a second state beside `h`, which no other layer sees.
    const MEMORY: bool = false;

    /// Its numbers.
    fn weights(&self) -> &CellWeights<T>;

    /// Its numbers, to be changed.
    fn weights_mut(&mut self) -> &mut CellWeights<T>;

    /// From `h` to the next state.
    fn step(&self, step: Step<'_, T>);

    /// From the gradient of the next state to those of `h` and of all that is summed at the gates.
    fn step_back(&self, step: StepBack<'_, T>);

    /// Adds what some steps contribute to the gradients of `U` and `c`, when [`Cell::step_back`] has been through them.
    fn recurrent_gradient(&self, steps: Steps<'_, T>, du: &mut [T], _dc: &mut [T]) {
        let CellWeights { hidden, gates, .. } = *self.weights();
        let Steps { rows, states, gates: dg, .. } = steps;
        let states = Matrix::new(states, rows, hidden);
        matmul(MatrixMut::new(du, hidden, gates), states.t(), Matrix::new(dg, rows, gates), true);
    }

    /// What its operator has to be told beside sizes and directions.
    fn attributes(&self) -> Vec<AttributeProto> {
        Vec::new()
    }
}

/// One step of all sequences that still run.
#[derive(Debug)]
pub struct Step<'a, T> {
    /// How many sequences.
    pub rows: usize,
    /// `[rows, gates]`: comes in as `x W + b`, is left as the values of the gates.
    pub gates: &'a mut [T],
    /// `[rows, hidden]`, the state.
    pub h: &'a [T],
    /// `[rows, hidden]`, where the next state goes.
    pub next: &'a mut [T],
    /// `[rows, hidden]`, what the step before kept; at first zero.
    pub kept_before: &'a [T],
    /// `[rows, hidden]`, what this step keeps for itself on the way back, or for the next.
    pub kept: &'a mut [T],
    /// `[rows, gates]`, room for a product.
    pub product: &'a mut [T],
}

/// Neighbouring steps of all sequences after the way back; `rows` are one for each step and sequence.
#[derive(Clone, Copy, Debug)]
pub struct Steps<'a, T> {
    /// How many rows.
    pub rows: usize,
    /// `[rows, hidden]`, the states before the steps.
    pub states: &'a [T],
    /// `[rows, gates]`, what [`StepBack::gates`] was left as, 0 where a sequence has ended.
    pub gates: &'a [T],
    /// `[rows, hidden]`, what [`StepBack::kept`] was left as; nothing if the cell keeps nothing.
    pub kept: &'a [T],
}

/// One step back of the same sequences.
#[derive(Debug)]
pub struct StepBack<'a, T> {
    /// How many sequences.
    pub rows: usize,
    /// `[rows, gates]`: comes in as the values of the gates, is left as the gradient of what `x W + b` went into.
    pub gates: &'a mut [T],
    /// `[rows, hidden]`, the state before the step.
    pub h: &'a [T],
    /// As [`Step::kept_before`].
    pub kept_before: &'a [T],
    /// As [`Step::kept`]; may be changed.
    pub kept: &'a mut [T],
    /// `[rows, hidden]`, gradient of the state after the step; anything is left.
    pub d: &'a mut [T],
    /// `[rows, hidden]`, of a cell with [`Cell::MEMORY`] the gradient of `kept`, to be turned into that of
    /// `kept_before`.
    pub d_memory: &'a mut [T],
    /// `[rows, hidden]`, where the gradient of `h` is added. Nowhere at the first step: the state before it is zero
    /// and no parameter.
    pub before: Option<&'a mut [T]>,
    /// `U^T`, `[gates, hidden]`.
    pub turned: &'a [T],
    /// `[rows, hidden]`, room for a product.
    pub product: &'a mut [T],
}

/// `to += d`, number by number.
pub(crate) fn add<T: Scalar>(to: &mut [T], d: &[T]) {
    vectorized(
        #[inline(always)]
        || to.iter_mut().zip(d).for_each(|(to, &d)| *to += d),
    );
}

/// Adds the first numbers of each row of `rows`, `[_, width]`, to `to`: row after row, each column by itself.
pub(crate) fn add_rows<T: Scalar>(to: &mut [T], rows: &[T], width: usize) {
    vectorized(
        #[inline(always)]
        || {
            for row in rows.chunks_exact(width) {
                to.iter_mut().zip(row).for_each(|(to, &d)| *to += d);
            }
        },
    );
}

/// `before += d U^T` for the gates `gates` of `d`, `[rows, gates.len() of width]`.
pub(crate) fn add_back<T: Scalar>(before: &mut [T], d: Matrix<'_, T>, turned: &[T], rows: usize, hidden: usize) {
    matmul(MatrixMut::new(before, rows, hidden), d, Matrix::new(turned, turned.len() / hidden, hidden), true);
}
