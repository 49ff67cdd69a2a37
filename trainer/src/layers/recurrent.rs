//! What all recurrent layers share: a batch split over threads, sequences turned time-major, the state carried along.
//!
//! A [`Cell`] works on time-major pieces, `[frames, batch, numbers]`, so that a step is one contiguous matrix.
//! Sequences of a batch never meet, so a piece of the batch runs on its own thread from the first frame to the last.

use std::fmt::Debug;

use ndarray::ArrayD;
use rayon::prelude::*;

use super::{InputGradient, Layer, Pass, numbers, numbers_mut, only, reshape};
use crate::batch::{samples_per_piece, sum_in_order};
use crate::doctor::record::{Activation, LayerKind};
use crate::export::graph::{Graph, Value};
use crate::parameter::Parameter;
use crate::scalar::Scalar;

/// Sequences that one thread takes at least: fewer leave the matrix products waiting for the recurrent weights.
const LEAST: usize = 8;

/// One recurrent unit's weights and equations.
pub trait Cell<T: Scalar>: Debug + Send + Sync {
    /// What a piece of the batch keeps from forward to backward.
    type Trace: Default + Debug + Send + Sync;

    /// What it is.
    fn kind(&self) -> LayerKind;

    /// Numbers in a frame.
    fn inputs(&self) -> usize;

    /// Numbers in a state.
    fn hidden(&self) -> usize;

    /// Trainable numbers, all tensors together.
    fn size(&self) -> usize;

    /// What every step back multiplies by, turned once a batch.
    fn turned(&self) -> Vec<T>;

    /// From `x`, `[frames, batch, inputs]`, to every state.
    fn forward(&self, x: &[T], batch: usize, trace: &mut Self::Trace);

    /// Every state, `[frames + 1, batch, hidden]`; the first is zero.
    fn states(trace: &Self::Trace) -> &[T];

    /// From `d`, `[frames, batch, hidden]`, the gradient of every state after the first, to the input's (into `dx` if
    /// wanted) and, added to `gradient`, that of all tensors one behind the other. Overwrites `d`, and in `trace` all
    /// but the states.
    #[allow(clippy::too_many_arguments)] // Each is one symbol of the derivation.
    fn backward(
        &self,
        x: &[T],
        batch: usize,
        d: &mut [T],
        trace: &mut Self::Trace,
        turned: &[T],
        dx: Option<&mut Vec<T>>,
        gradient: &mut [T],
    );

    /// Stores a gradient laid out as [`Cell::backward`] adds it.
    fn set_gradient(&mut self, gradient: &[T]);

    /// The optimizer's view.
    fn parameters<'a>(&'a mut self, name: &str, all: &mut Vec<Parameter<'a, T>>);

    /// Its ONNX nodes from a time-major value; every state `[frames, batch, hidden]`, or the last `[batch, hidden]`.
    fn export(&self, name: &str, x: &Value, every_step: bool, graph: &mut Graph) -> Value;
}

/// A layer of cells: `[batch, frames, inputs]` to every state, `[batch, frames, hidden]`, or the last, `[batch, hidden]`.
#[derive(Debug)]
pub struct Recurrent<T: Scalar, C: Cell<T>> {
    /// The cell.
    pub cell: C,
    /// Whether every state is the output, or the last.
    pub every_step: bool,
    pieces: Vec<Piece<T, C::Trace>>,
}

/// Memory of one piece of the batch.
#[derive(Debug)]
struct Piece<T, R> {
    /// `[frames, batch, inputs]`.
    input: Vec<T>,
    trace: R,
    /// Gradient of the states, and of the input.
    d: Vec<T>,
    dx: Vec<T>,
    gradient: Vec<T>,
}

impl<T, R: Default> Default for Piece<T, R> {
    fn default() -> Self {
        Self { input: Vec::new(), trace: R::default(), d: Vec::new(), dx: Vec::new(), gradient: Vec::new() }
    }
}

impl<T: Scalar, C: Cell<T>> Recurrent<T, C> {
    /// Wraps a cell.
    pub fn new(cell: C, every_step: bool) -> Self {
        Self { cell, every_step, pieces: Vec::new() }
    }
}

impl<T: Scalar, C: Cell<T>> Layer<T> for Recurrent<T, C> {
    fn kind(&self) -> Option<LayerKind> {
        Some(self.cell.kind())
    }

    /// Of a state, which all cells here squash by a tanh.
    fn activation(&self) -> Option<Activation> {
        Some(Activation::Tanh)
    }

    fn forward(&mut self, inputs: &[&ArrayD<T>], y: &mut ArrayD<T>, _: &mut Pass<'_, T>) {
        let x = only(inputs);
        let &[batch, frames, width] = x.shape() else { unreachable!("three axes, checked when the net was built") };
        let (cell, hidden, every_step) = (&self.cell, self.cell.hidden(), self.every_step);
        let per_sample = if every_step { frames * hidden } else { hidden };
        match every_step {
            true => reshape(y, &[batch, frames, hidden]),
            false => reshape(y, &[batch, hidden]),
        }
        let piece = samples_per_piece(batch, LEAST);
        self.pieces.resize_with(batch.div_ceil(piece).max(self.pieces.len()), Default::default);
        (
            numbers(x).par_chunks(piece * frames * width),
            numbers_mut(y).par_chunks_mut(piece * per_sample),
            &mut self.pieces,
        )
            .into_par_iter()
            .for_each(|(x, y, piece)| {
                let batch = x.len() / (frames * width);
                piece.input.resize(x.len(), T::zero());
                turn(x, &mut piece.input, [batch, frames, width]);
                cell.forward(&piece.input, batch, &mut piece.trace);
                let states = C::states(&piece.trace);
                match every_step {
                    true => turn(&states[batch * hidden..], y, [frames, batch, hidden]),
                    false => y.copy_from_slice(&states[frames * batch * hidden..]),
                }
            });
    }

    fn backward(
        &mut self,
        inputs: &[&ArrayD<T>],
        _: &ArrayD<T>,
        dy: &mut ArrayD<T>,
        dx: &mut [InputGradient<'_, T>],
        _: &mut Pass<'_, T>,
    ) {
        let x = only(inputs);
        let &[batch, frames, width] = x.shape() else { unreachable!("three axes, checked when the net was built") };
        let (cell, hidden, every_step) = (&self.cell, self.cell.hidden(), self.every_step);
        let per_sample = dy.len() / batch;
        let piece = samples_per_piece(batch, LEAST);
        let used = batch.div_ceil(piece);
        let (turned, wanted) = (cell.turned(), !matches!(dx[0], InputGradient::Unused));
        (numbers(dy).par_chunks(piece * per_sample), &mut self.pieces[..used]).into_par_iter().for_each(
            |(dy, piece)| {
                let batch = dy.len() / per_sample;
                let Piece { input, trace, d, dx, gradient } = piece;
                d.clear();
                d.resize(frames * batch * hidden, T::zero());
                match every_step {
                    true => turn(dy, d, [batch, frames, hidden]),
                    false => d[(frames - 1) * batch * hidden..].copy_from_slice(dy),
                }
                gradient.clear();
                gradient.resize(cell.size(), T::zero());
                cell.backward(input, batch, d, trace, &turned, wanted.then_some(dx), gradient);
            },
        );
        let mut sum = vec![T::zero(); cell.size()];
        sum_in_order(&mut sum, self.pieces[..used].iter().map(|p| &p.gradient[..]));
        self.cell.set_gradient(&sum);

        if wanted {
            let mut all = ArrayD::zeros(x.raw_dim());
            let parts = numbers_mut(&mut all).par_chunks_mut(piece * frames * width);
            (parts, &self.pieces[..used]).into_par_iter().for_each(|(to, piece)| {
                turn(&piece.dx, to, [frames, to.len() / (frames * width), width]);
            });
            dx[0].give(&mut all);
        }
    }

    fn parameters<'a>(&'a mut self, name: &str, all: &mut Vec<Parameter<'a, T>>) {
        self.cell.parameters(name, all);
    }

    fn export(&self, name: &str, inputs: &[Value], graph: &mut Graph) -> Value {
        let x = graph.time_major(&inputs[0]);
        self.cell.export(name, &x, self.every_step, graph)
    }
}

/// `[a, b, n]` to `[b, a, n]`.
fn turn<T: Copy>(from: &[T], to: &mut [T], [a, b, n]: [usize; 3]) {
    for (i, row) in from.chunks_exact(b * n).enumerate() {
        for (j, numbers) in row.chunks_exact(n).enumerate() {
            to[(j * a + i) * n..][..n].copy_from_slice(numbers);
        }
    }
}
