//! Fully connected layer: `y = x w + b`; `dw = x^T dy`, `db = sum dy`, `dx = dy w^T`.

use ndarray::{Array2, ArrayView2};

use crate::init::glorot;
use crate::matmul::{Matrix, MatrixMut, matmul};
use crate::parameter::{Parameter, Weights};
use crate::scalar::Scalar;

/// Weights `[inputs, outputs]` and biases `[outputs]`.
#[derive(Clone, Debug)]
pub struct Dense<T> {
    /// The matrix, row after row.
    pub weight: Weights<T>,
    /// The biases.
    pub bias: Weights<T>,
    /// Numbers in.
    pub inputs: usize,
    /// Numbers out.
    pub outputs: usize,
}

impl<T: Scalar> Dense<T> {
    /// Glorot uniform weights, zero biases.
    pub fn new(inputs: usize, outputs: usize, rng: &mut impl rand::Rng) -> Self {
        let weight = glorot(inputs * outputs, inputs, outputs, rng);
        Self { weight: Weights::new(weight), bias: Weights::filled(outputs, 0.0), inputs, outputs }
    }

    /// `[batch, inputs]` to `[batch, outputs]`, both row-major.
    pub fn forward(&self, x: ArrayView2<'_, T>) -> Array2<T> {
        let batch = x.nrows();
        let mut y = Array2::zeros((batch, self.outputs));
        y += &ArrayView2::from_shape((1, self.outputs), &self.bias.value).expect("one bias an output");
        matmul(
            MatrixMut::new(y.as_slice_mut().expect("fresh array"), batch, self.outputs),
            Matrix::new(x.as_slice().expect("row-major"), batch, self.inputs),
            Matrix::new(&self.weight.value, self.inputs, self.outputs),
            true,
        );
        y
    }

    /// Adds the gradients of this layer's numbers to `gradient` (weights, then biases) and returns the input's.
    pub fn backward(&self, x: ArrayView2<'_, T>, dy: ArrayView2<'_, T>, gradient: &mut [T]) -> Array2<T> {
        let batch = x.nrows();
        let (dw, db) = gradient.split_at_mut(self.weight.value.len());
        let dy_matrix = Matrix::new(dy.as_slice().expect("row-major"), batch, self.outputs);
        let x = Matrix::new(x.as_slice().expect("row-major"), batch, self.inputs);
        matmul(MatrixMut::new(dw, self.inputs, self.outputs), x.t(), dy_matrix, true);
        for row in dy.outer_iter() {
            db.iter_mut().zip(row).for_each(|(b, &d)| *b += d);
        }
        let mut dx = Array2::zeros((batch, self.inputs));
        let w = Matrix::new(&self.weight.value, self.inputs, self.outputs);
        matmul(MatrixMut::new(dx.as_slice_mut().expect("fresh array"), batch, self.inputs), dy_matrix, w.t(), false);
        dx
    }

    /// Trainable numbers, weights and biases together.
    pub fn size(&self) -> usize {
        self.weight.value.len() + self.bias.value.len()
    }

    /// Stores a gradient laid out as [`Dense::backward`] adds it.
    pub fn set_gradient(&mut self, gradient: &[T]) {
        let (dw, db) = gradient.split_at(self.weight.value.len());
        self.weight.gradient.copy_from_slice(dw);
        self.bias.gradient.copy_from_slice(db);
    }

    /// The optimizer's view, under the name `head`.
    pub fn parameters<'a>(&'a mut self, all: &mut Vec<Parameter<'a, T>>) {
        all.push(self.weight.parameter("head.weight".into(), true));
        all.push(self.bias.parameter("head.bias".into(), false));
    }
}
