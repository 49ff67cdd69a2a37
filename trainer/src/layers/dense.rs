//! Fully connected layer: `y = x w + b`; `dw = x^T dy`, `db = sum dy`, `dx = dy w^T`.

use ndarray::ArrayD;
use rayon::prelude::*;

use super::{InputGradient, Layer, Pass, numbers, numbers_mut, only, reshape};
use crate::{
    engine::{
        matmul::{Matrix, MatrixMut, matmul},
        parameter::{Parameter, Weights},
        scalar::Scalar,
    },
    layers::{
        kind::LayerKind,
        onnx::{Graph, Value, floats, int, transposed},
    },
};

/// Rows that one thread multiplies at least.
const ROWS: usize = 64;

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
    /// Wraps a matrix `[inputs, outputs]`; zero biases.
    pub fn new(weight: Vec<T>, inputs: usize, outputs: usize) -> Self {
        debug_assert_eq!(weight.len(), inputs * outputs);
        Self { weight: Weights::matrix(weight, outputs), bias: Weights::filled(outputs, 0.0), inputs, outputs }
    }
}

/// `[batch, ..., inputs]` to `[batch, ..., outputs]`.
impl<T: Scalar> Layer<T> for Dense<T> {
    fn kind(&self) -> Option<LayerKind> {
        Some(LayerKind::Dense)
    }

    fn forward(&mut self, inputs: &[&ArrayD<T>], y: &mut ArrayD<T>, _: &mut Pass<'_, T>) {
        let x = only(inputs);
        let mut shape = x.shape().to_vec();
        *shape.last_mut().expect("at least a batch axis") = self.outputs;
        reshape(y, &shape);
        let parts = (numbers(x).par_chunks(ROWS * self.inputs), numbers_mut(y).par_chunks_mut(ROWS * self.outputs));
        parts.into_par_iter().for_each(|(x, y)| {
            let rows = x.len() / self.inputs;
            y.chunks_exact_mut(self.outputs).for_each(|row| row.copy_from_slice(&self.bias.value));
            let w = Matrix::new(&self.weight.value, self.inputs, self.outputs);
            matmul(MatrixMut::new(y, rows, self.outputs), Matrix::new(x, rows, self.inputs), w, true);
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
        let rows = x.len() / self.inputs;
        let d = Matrix::new(numbers(dy), rows, self.outputs);
        let gradient = MatrixMut::new(&mut self.weight.gradient, self.inputs, self.outputs);
        matmul(gradient, Matrix::new(numbers(x), rows, self.inputs).t(), d, false);
        self.bias.gradient.fill(T::zero());
        for row in numbers(dy).chunks_exact(self.outputs) {
            self.bias.gradient.iter_mut().zip(row).for_each(|(b, &d)| *b += d);
        }
        let (to, add) = match &mut dx[0] {
            InputGradient::Unused => return,
            InputGradient::Write(to) => {
                reshape(to, x.shape());
                (to, false)
            }
            InputGradient::Add(to) => (to, true),
        };
        let parts = (numbers_mut(to).par_chunks_mut(ROWS * self.inputs), numbers(dy).par_chunks(ROWS * self.outputs));
        parts.into_par_iter().for_each(|(dx, dy)| {
            let rows = dx.len() / self.inputs;
            let w = Matrix::new(&self.weight.value, self.inputs, self.outputs);
            matmul(MatrixMut::new(dx, rows, self.inputs), Matrix::new(dy, rows, self.outputs), w.t(), add);
        });
    }

    fn parameters<'a>(&'a mut self, name: &str, all: &mut Vec<Parameter<'a, T>>) {
        all.push(self.weight.parameter(format!("{name}.weight"), true));
        all.push(self.bias.parameter(format!("{name}.bias"), false));
    }

    fn export(&self, name: &str, inputs: &[Value], graph: &mut Graph) -> Value {
        let x = graph.batch_first(&inputs[0]);
        let bias = graph.tensor(&format!("{name}.bias"), &[self.outputs], floats(&self.bias.value));
        if x.rank == 2 {
            let weight = transposed(&self.weight.value, self.outputs, 0..self.outputs);
            let weight = graph.tensor(&format!("{name}.weight"), &[self.outputs, self.inputs], weight);
            return graph.node("Gemm", name, &[x, weight, bias], vec![int("transB", 1)]);
        }
        let weight = floats(&self.weight.value);
        let weight = graph.tensor(&format!("{name}.weight"), &[self.inputs, self.outputs], weight);
        let product = graph.node("MatMul", &format!("{name}.product"), &[x, weight], vec![]);
        graph.node("Add", name, &[product, bias], vec![])
    }
}
