//! What all recurrent layers share: a batch split over threads, sequences turned time-major and sorted by length, one
//! direction or both, the state carried along.
//!
//! A [`Cell`] works on time-major pieces, `[steps, batch, numbers]`, so that a step is one contiguous matrix.
//! Sequences of a batch never meet, so a piece of the batch runs on its own thread from the first frame to the last.
//!
//! Sequences of unequal length (`Pass::lengths`): the longest comes first, so that the sequences that still run are the
//! first rows of a step, and no product is wasted on the others. An ended sequence's state stays as it was,
//! `h' = h`, which hands its gradient back unchanged; what lies beyond its end is never read, and its output there is 0.
//!
//! Of two directions the second reads each sequence from its last frame to its first. Outputs stand side by side, the
//! first direction's first; the last states are that after the last frame and that after the first.

mod cell;
mod jacobian;
mod layout;
mod piece;
mod unroll;
mod weights;

use ndarray::ArrayD;
use rayon::prelude::*;

pub use cell::{Cell, Step, StepBack, Steps};
pub(crate) use cell::{add, add_back, add_rows};
pub use weights::CellWeights;

use super::{InputGradient, Layer, Mode, Pass, numbers, numbers_mut, only, reshape};
use crate::{
    engine::{
        parameter::Parameter,
        pieces::{samples_per_piece, sum_in_order},
        scalar::Scalar,
    },
    layers::{
        kind::{Activation, LayerKind},
        onnx::{Graph, Value},
    },
};
use layout::{Columns, Layout};
use piece::Piece;

/// Sequences that one thread takes at least: fewer leave the matrix products waiting for the recurrent weights.
const LEAST: usize = 8;

/// A layer of cells: `[batch, frames, inputs]` to every state, `[batch, frames, hidden]`, or the last,
/// `[batch, hidden]`; twice as wide in two directions.
#[derive(Debug)]
pub struct Recurrent<T: Scalar, C: Cell<T>> {
    /// The cell, and for both directions a second one.
    cells: Vec<C>,
    /// Whether every state is the output, or the last.
    every_step: bool,
    pieces: Vec<Piece<T>>,
    /// Pieces that the last `forward` used.
    used: usize,
    /// What the traces of these hold.
    state: State,
    /// Squared norms of the gradient by the state after the first and after the last step of every sequence.
    ends: [f64; 2],
}

/// What the traces hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing of a training step.
    Idle,
    /// Values of the gates.
    Forward,
    /// Gradients of the gates.
    Backward,
}

impl<T: Scalar, C: Cell<T>> Recurrent<T, C> {
    /// Wraps one cell.
    pub fn new(cell: C, every_step: bool) -> Self {
        Self::wrap(vec![cell], every_step)
    }

    /// Wraps two cells of one size; the second reads the sequences backwards.
    ///
    /// # Panics
    /// If their sizes differ.
    pub fn bidirectional(first: C, second: C, every_step: bool) -> Self {
        let size = |cell: &C| (cell.weights().inputs, cell.weights().hidden);
        assert_eq!(size(&first), size(&second), "directions of one size");
        Self::wrap(vec![first, second], every_step)
    }

    fn wrap(cells: Vec<C>, every_step: bool) -> Self {
        Self { cells, every_step, pieces: Vec::new(), used: 0, state: State::Idle, ends: [0.0; 2] }
    }

    /// Where direction `direction` has its columns in the output.
    fn columns(&self, direction: usize) -> Columns {
        let hidden = self.cells[0].weights().hidden;
        Columns { first: direction * hidden, count: hidden, of: self.cells.len() * hidden }
    }
}

impl<T: Scalar, C: Cell<T>> Layer<T> for Recurrent<T, C> {
    fn kind(&self) -> Option<LayerKind> {
        Some(C::KIND)
    }

    /// Of a state, which all cells here squash by a tanh.
    fn activation(&self) -> Option<Activation> {
        Some(Activation::Tanh)
    }

    fn saturation(&self) -> Option<f64> {
        if self.state != State::Forward {
            return None;
        }
        let (mut beyond, mut all) = (0, 0);
        for piece in &self.pieces[..self.used] {
            let (ends, gates) = piece.saturated(self.cells[0].weights(), C::SIGMOIDS);
            beyond += ends;
            all += gates;
        }
        Some(beyond as f64 / all as f64)
    }

    fn time_gradient_ratio(&self) -> Option<f64> {
        let [first, last] = self.ends;
        // Where nothing comes from above there is nothing to compare.
        (self.state == State::Backward && last != 0.0).then(|| (first / last).sqrt())
    }

    fn state_jacobians(&self, x: &ArrayD<T>) -> Option<Vec<Vec<Vec<f64>>>> {
        let &[frames, _] = x.shape() else { unreachable!("frames of one sequence") };
        let singular = |(direction, cell)| jacobian::singular_values(cell, numbers(x), frames, direction > 0);
        Some(self.cells.iter().enumerate().map(singular).collect())
    }

    fn forward(&mut self, inputs: &[&ArrayD<T>], y: &mut ArrayD<T>, pass: &mut Pass<'_, T>) {
        let x = only(inputs);
        let &[batch, frames, width] = x.shape() else { unreachable!("three axes, checked when the net was built") };
        let all: Vec<Columns> = (0..self.cells.len()).map(|i| self.columns(i)).collect();
        let (cells, every_step, outputs) = (&self.cells, self.every_step, all[0].of);
        match every_step {
            true => reshape(y, &[batch, frames, outputs]),
            false => reshape(y, &[batch, outputs]),
        }
        if pass.lengths.is_some() {
            y.fill(T::zero());
        }
        let per_sample = y.len() / batch;
        let at_most = samples_per_piece(batch, LEAST);
        self.used = batch.div_ceil(at_most);
        self.state = if pass.mode == Mode::Train { State::Forward } else { State::Idle };
        self.pieces.resize_with(self.used.max(self.pieces.len()), Default::default);
        let lengths = pass.lengths;
        (
            numbers(x).par_chunks(at_most * frames * width),
            numbers_mut(y).par_chunks_mut(at_most * per_sample),
            &mut self.pieces,
        )
            .into_par_iter()
            .enumerate()
            .for_each(|(i, (x, y, piece))| {
                let batch = x.len() / (frames * width);
                piece.layout = match lengths {
                    Some(lengths) => Layout::new(lengths[i * at_most..][..batch].iter().copied(), frames),
                    None => Layout::new(std::iter::repeat_n(frames, batch), frames),
                };
                piece.runs.resize_with(cells.len(), Default::default);
                for (direction, (cell, &columns)) in cells.iter().zip(&all).enumerate() {
                    piece.forward(cell, direction, x, y, columns, every_step);
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
        let all: Vec<Columns> = (0..self.cells.len()).map(|i| self.columns(i)).collect();
        let (cells, every_step, used) = (&self.cells, self.every_step, self.used);
        let per_sample = dy.len() / batch;
        let at_most = samples_per_piece(batch, LEAST);
        let turned: Vec<Vec<T>> = cells.iter().map(|cell| cell.weights().turned()).collect();
        let wanted = !matches!(dx[0], InputGradient::Unused);
        self.state = State::Backward;
        (numbers(dy).par_chunks(at_most * per_sample), &mut self.pieces[..used]).into_par_iter().for_each(
            |(dy, piece)| {
                for (direction, cell) in cells.iter().enumerate() {
                    piece.backward(cell, direction, &turned[direction], dy, all[direction], every_step, wanted);
                }
            },
        );
        self.ends = [0.0; 2];
        for (direction, cell) in self.cells.iter_mut().enumerate() {
            let mut sum = vec![T::zero(); cell.weights().size()];
            sum_in_order(&mut sum, self.pieces[..used].iter().map(|p| &p.runs[direction].gradient[..]));
            cell.weights_mut().set_gradient(&mut sum);
            for piece in &self.pieces[..used] {
                self.ends.iter_mut().zip(piece.runs[direction].ends).for_each(|(all, one)| *all += one);
            }
        }
        if wanted {
            let mut all = ArrayD::zeros(x.raw_dim());
            let parts = numbers_mut(&mut all).par_chunks_mut(at_most * frames * width);
            (parts, &self.pieces[..used]).into_par_iter().for_each(|(to, piece)| {
                piece.input_gradient(to, width);
            });
            dx[0].give(&mut all);
        }
    }

    fn parameters<'a>(&'a mut self, name: &str, all: &mut Vec<Parameter<'a, T>>) {
        match &mut self.cells[..] {
            [cell] => cell.weights_mut().parameters(name, all),
            cells => {
                for (cell, direction) in cells.iter_mut().zip(["forward", "backward"]) {
                    cell.weights_mut().parameters(&format!("{name}.{direction}"), all);
                }
            }
        }
    }

    /// For sequences of full length.
    fn export(&self, name: &str, inputs: &[Value], graph: &mut Graph) -> Value {
        let x = graph.time_major(&inputs[0]);
        let CellWeights { inputs, hidden, gates, .. } = *self.cells[0].weights();
        let directions = self.cells.len();
        let [mut w, mut r, mut b] = <[Vec<f32>; 3]>::default();
        for cell in &self.cells {
            let parts = cell.weights().onnx();
            [&mut w, &mut r, &mut b].into_iter().zip(parts).for_each(|(all, part)| all.extend(part));
        }
        let w = graph.tensor(&format!("{name}.W"), &[directions, gates, inputs], w);
        let r = graph.tensor(&format!("{name}.R"), &[directions, gates, hidden], r);
        let b = graph.tensor(&format!("{name}.B"), &[directions, 2 * gates], b);
        let attributes = self.cells[0].attributes();
        graph.recurrent(C::OPERATOR, name, &[x, w, r, b], self.every_step, hidden, directions, attributes)
    }
}
