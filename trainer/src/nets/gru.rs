//! A classifier of sequences: stacked GRUs, the last state of the uppermost into a dense layer.

use ndarray::{Array2, ArrayView2, ArrayView3, Axis};
use rand::Rng;
use rayon::prelude::*;

use super::Arch;
use crate::batch::{Pool, samples_per_piece, sum_in_order};
use crate::layers::dense::Dense;
use crate::layers::gru::{Gru, GruTrace};
use crate::loss::{Targets, softmax_cross_entropy};
use crate::parameter::Parameter;
use crate::scalar::Scalar;

/// Sequences that one thread takes at least: fewer leave the matrix product waiting for `U`.
const LEAST: usize = 8;

/// Stacked GRU and classifier.
#[derive(Debug)]
pub struct GruNet<T> {
    arch: Arch,
    /// From the input up.
    pub layers: Vec<Gru<T>>,
    /// Classifier of the last state.
    pub head: Dense<T>,
    memory: Pool<Memory<T>>,
    gradients: Vec<Vec<T>>,
}

/// What one piece of the batch needs.
#[derive(Debug)]
struct Memory<T> {
    /// `[frames, batch, inputs]`.
    input: Vec<T>,
    traces: Vec<GruTrace<T>>,
    /// Gradient of the states of the layer at hand, and of its input.
    d: Vec<T>,
    dx: Vec<T>,
}

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self { input: Vec::new(), traces: Vec::new(), d: Vec::new(), dx: Vec::new() }
    }
}

impl<T: Scalar> GruNet<T> {
    /// Glorot and orthogonal weights, zero biases. `arch` must be a checked [`Arch::Gru`].
    ///
    /// # Panics
    /// If `arch` is of another kind.
    pub fn new(arch: &Arch, rng: &mut impl Rng) -> Self {
        let &Arch::Gru { inputs, hidden, layers, classes, .. } = arch else { panic!("a GRU from {arch:?}") };
        let width = |layer| if layer == 0 { inputs } else { hidden };
        let layers = (0..layers).map(|layer| Gru::new(width(layer), hidden, rng)).collect();
        let head = Dense::new(hidden, classes, rng);
        Self { arch: arch.clone(), layers, head, memory: Pool::default(), gradients: Vec::new() }
    }

    /// Its shape.
    pub fn arch(&self) -> &Arch {
        &self.arch
    }

    /// Runs `x`, `[batch, frames, inputs]`, and returns the logits; the last states are in `memory.traces`.
    fn forward(&self, x: ArrayView3<'_, T>, memory: &mut Memory<T>) -> Array2<T> {
        let batch = x.len_of(Axis(0));
        memory.input.clear();
        for frame in x.axis_iter(Axis(1)) {
            memory.input.extend(frame.iter().copied());
        }
        memory.traces.resize_with(self.layers.len(), Default::default);
        for (i, layer) in self.layers.iter().enumerate() {
            let (below, above) = memory.traces.split_at_mut(i);
            let x = below.last().map_or(&memory.input[..], |trace| trace.outputs());
            layer.forward(x, batch, &mut above[0]);
        }
        self.head.forward(self.last_state(memory, batch))
    }

    fn last_state<'a>(&self, memory: &'a Memory<T>, batch: usize) -> ArrayView2<'a, T> {
        let states = memory.traces.last().map_or(&[][..], |trace| &trace.states);
        let last = &states[states.len() - batch * self.head.inputs..];
        ArrayView2::from_shape((batch, self.head.inputs), last).expect("one state a sequence")
    }

    /// Logits `[batch, classes]`.
    pub fn predict(&self, x: ArrayView3<'_, T>) -> Array2<T> {
        let piece = samples_per_piece(x.len_of(Axis(0)), LEAST);
        let pieces: Vec<_> = x.axis_chunks_iter(Axis(0), piece).collect();
        let logits: Vec<_> =
            pieces.into_par_iter().map(|x| self.memory.with(|memory| self.forward(x, memory))).collect();
        let views: Vec<_> = logits.iter().map(|part| part.view()).collect();
        ndarray::concatenate(Axis(0), &views).expect("the same classes")
    }

    /// Mean loss and right answers of a batch; leaves the gradients in the parameters.
    pub fn gradients(&mut self, x: ArrayView3<'_, T>, targets: Targets<'_>, label_smoothing: f32) -> (f64, usize) {
        let batch = targets.len();
        let piece = samples_per_piece(batch, LEAST);
        let turned: Vec<Vec<T>> = self.layers.iter().map(Gru::turned).collect();
        let len = self.layers.iter().map(Gru::size).sum::<usize>() + self.head.size();
        let mut gradients = std::mem::take(&mut self.gradients);
        gradients.resize_with(batch.div_ceil(piece), Vec::new);
        let pieces: Vec<_> = x.axis_chunks_iter(Axis(0), piece).collect();
        let losses: Vec<(f64, usize)> = (pieces, targets.chunks(piece), &mut gradients)
            .into_par_iter()
            .map(|(x, targets, gradient)| {
                gradient.clear();
                gradient.resize(len, T::zero());
                self.memory.with(|memory| {
                    let logits = self.forward(x, memory);
                    let loss = softmax_cross_entropy(logits.view(), targets, label_smoothing, batch);
                    self.backward(loss.gradient.view(), memory, &turned, gradient);
                    (loss.loss, loss.correct)
                })
            })
            .collect();

        let mut sum = vec![T::zero(); len];
        sum_in_order(&mut sum, gradients.iter().map(|g| &g[..]));
        self.gradients = gradients;
        let mut rest = &sum[..];
        for layer in &mut self.layers {
            let (own, after) = rest.split_at(layer.size());
            layer.set_gradient(own);
            rest = after;
        }
        self.head.set_gradient(rest);
        losses.into_iter().fold((0.0, 0), |(loss, correct), (l, c)| (loss + l, correct + c))
    }

    fn backward(&self, d_logits: ArrayView2<'_, T>, memory: &mut Memory<T>, turned: &[Vec<T>], gradient: &mut [T]) {
        let batch = d_logits.nrows();
        let (mut rest, head) = gradient.split_at_mut(gradient.len() - self.head.size());
        let d = self.head.backward(self.last_state(memory, batch), d_logits, head);
        let states = memory.traces.last().map_or(0, |trace| trace.states.len());
        let state = batch * self.head.inputs;
        memory.d.clear();
        memory.d.resize(states - 2 * state, T::zero());
        memory.d.extend(d);
        for (i, layer) in self.layers.iter().enumerate().rev() {
            let (below, above) = memory.traces.split_at_mut(i);
            let (before, own) = rest.split_at_mut(rest.len() - layer.size());
            let x = below.last().map_or(&memory.input[..], |trace| trace.outputs());
            let dx = (i > 0).then_some(&mut memory.dx);
            layer.backward(x, batch, &mut memory.d, &mut above[0], &turned[i], dx, own);
            std::mem::swap(&mut memory.d, &mut memory.dx);
            rest = before;
        }
    }

    /// Everything an optimizer moves, from the input on.
    pub fn parameters(&mut self) -> Vec<Parameter<'_, T>> {
        let mut all = Vec::new();
        for (i, layer) in self.layers.iter_mut().enumerate() {
            layer.parameters(&format!("gru{}", i + 1), &mut all);
        }
        self.head.parameters(&mut all);
        all
    }
}
