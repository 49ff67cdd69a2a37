//! The matrices and biases that every cell has.

use rand::Rng;

use crate::{
    engine::{
        matmul::{Matrix, MatrixMut, matmul},
        parameter::{Parameter, Weights},
        scalar::Scalar,
    },
    layers::{
        init::{Init, Kernel, glorot, orthogonal},
        onnx::{floats, transposed},
    },
};

/// Weights of one cell: a block of `hidden` columns for each gate, side by side.
#[derive(Clone, Debug)]
pub struct CellWeights<T> {
    /// `W`, `[inputs, gates]`.
    pub weight: Weights<T>,
    /// `U`, `[hidden, gates]`.
    pub recurrent: Weights<T>,
    /// `b`, `[gates]`.
    pub bias: Weights<T>,
    /// `c`, `[gates]`, where a cell needs a bias of its own behind `U`; else nothing.
    pub recurrent_bias: Weights<T>,
    /// Numbers in a frame.
    pub inputs: usize,
    /// Numbers in the state.
    pub hidden: usize,
    /// Columns of all gates together, a multiple of `hidden`.
    pub gates: usize,
}

impl<T: Scalar> CellWeights<T> {
    /// Glorot `W`, orthogonal `U` (one orthogonal matrix a gate), zero biases.
    pub fn new(inputs: usize, hidden: usize, gates: usize, two_biases: bool, rng: &mut impl Rng) -> Self {
        let columns = gates * hidden;
        let weight = glorot(inputs * columns, inputs, hidden, rng);
        let mut recurrent = vec![T::zero(); hidden * columns];
        for gate in 0..gates {
            for (row, q) in orthogonal(hidden, rng).chunks_exact(hidden).enumerate() {
                recurrent[row * columns + gate * hidden..][..hidden].copy_from_slice(q);
            }
        }
        Self {
            weight: Weights::matrix(weight, columns),
            recurrent: Weights::matrix(recurrent, columns),
            bias: Weights::filled(columns, 0.0),
            recurrent_bias: Weights::filled(if two_biases { columns } else { 0 }, 0.0),
            inputs,
            hidden,
            gates: columns,
        }
    }

    /// Other initial numbers of `W` and `U` than those of [`CellWeights::new`], where any are given. Every gate's matrix
    /// counts by itself: its fans are `inputs` and `hidden`, or twice `hidden`, and each of `orthogonal` is orthogonal.
    /// Keras takes the matrices of all gates for one.
    pub fn restart(&mut self, init: Option<&Init>, recurrent_init: Option<&Init>, rng: &mut impl Rng) {
        let &mut Self { inputs, hidden, gates: columns, .. } = self;
        for (init, rows, weights) in [(init, inputs, &mut self.weight), (recurrent_init, hidden, &mut self.recurrent)] {
            let Some(init) = init else { continue };
            for gate in 0..columns / hidden {
                let block: Vec<T> = init.fill(Kernel::dense(rows, hidden), rng);
                for (row, numbers) in block.chunks_exact(hidden).enumerate() {
                    weights.value[row * columns + gate * hidden..][..hidden].copy_from_slice(numbers);
                }
            }
        }
    }

    /// `x W + b` for `rows` frames at once: frames do not depend on each other before the recurrence.
    pub(super) fn project(&self, x: &[T], rows: usize, projected: &mut [T]) {
        for row in projected.chunks_exact_mut(self.gates) {
            row.copy_from_slice(&self.bias.value);
        }
        let x = Matrix::new(x, rows, self.inputs);
        let w = Matrix::new(&self.weight.value, self.inputs, self.gates);
        matmul(MatrixMut::new(projected, rows, self.gates), x, w, true);
    }

    /// `product = h U (+ c)` for the columns `columns` of all gates.
    pub fn recur(&self, h: &[T], rows: usize, columns: std::ops::Range<usize>, product: &mut [T]) {
        let width = columns.len();
        let two_biases = !self.recurrent_bias.value.is_empty();
        if two_biases {
            for row in product.chunks_exact_mut(width) {
                row.copy_from_slice(&self.recurrent_bias.value[columns.clone()]);
            }
        }
        let u = Matrix::strided(&self.recurrent.value[columns.start..], self.hidden, width, self.gates);
        let h = Matrix::new(h, rows, self.hidden);
        matmul(MatrixMut::new(product, rows, width), h, u, two_biases);
    }

    /// `U^T`, `[gates, hidden]`: what every step back multiplies by.
    pub(super) fn turned(&self) -> Vec<T> {
        let (hidden, gates) = (self.hidden, self.gates);
        (0..gates * hidden).map(|i| self.recurrent.value[i % hidden * gates + i / hidden]).collect()
    }

    /// Trainable numbers, all tensors together.
    pub(super) fn size(&self) -> usize {
        self.weight.value.len() + self.recurrent.value.len() + self.bias.value.len() + self.recurrent_bias.value.len()
    }

    /// A vector of [`CellWeights::size`] numbers as gradients of `W`, `U`, `b`, `c`.
    pub(super) fn split<'g>(&self, gradient: &'g mut [T]) -> [&'g mut [T]; 4] {
        let (dw, rest) = gradient.split_at_mut(self.weight.value.len());
        let (du, rest) = rest.split_at_mut(self.recurrent.value.len());
        let (db, dc) = rest.split_at_mut(self.bias.value.len());
        [dw, du, db, dc]
    }

    /// Stores a gradient laid out as [`CellWeights::split`] says.
    pub(super) fn set_gradient(&mut self, gradient: &mut [T]) {
        let parts = self.split(gradient);
        let all = [&mut self.weight, &mut self.recurrent, &mut self.bias, &mut self.recurrent_bias];
        for (weights, part) in all.into_iter().zip(parts) {
            weights.gradient.copy_from_slice(part);
        }
    }

    pub(super) fn parameters<'a>(&'a mut self, name: &str, all: &mut Vec<Parameter<'a, T>>) {
        all.push(self.weight.parameter(format!("{name}.weight"), true));
        all.push(self.recurrent.parameter(format!("{name}.recurrent"), true));
        all.push(self.bias.parameter(format!("{name}.bias"), false));
        if !self.recurrent_bias.value.is_empty() {
            all.push(self.recurrent_bias.parameter(format!("{name}.recurrent_bias"), false));
        }
    }

    /// `W`, `R` and `B` as ONNX's recurrent operators take them, without the axis of directions: `[gates, inputs]`,
    /// `[gates, hidden]`, and both biases one behind the other, `[2 gates]`.
    pub(super) fn onnx(&self) -> [Vec<f32>; 3] {
        let mut biases = floats(&self.bias.value);
        biases.extend(floats(&self.recurrent_bias.value));
        biases.resize(2 * self.gates, 0.0);
        [
            transposed(&self.weight.value, self.gates, 0..self.gates),
            transposed(&self.recurrent.value, self.gates, 0..self.gates),
            biases,
        ]
    }
}
