//! Embedding: a row of a table for each token, `y[b, t] = w[x[b, t]]`; `dw[k] = sum of dy[b, t] where x[b, t] = k`, added up
//! in the order of the batch. Tokens are whole numbers, which have no gradient.

use ndarray::ArrayD;

use super::{InputGradient, Layer, Pass, numbers, numbers_mut, only, reshape};
use crate::{
    engine::{
        parameter::{Parameter, Weights},
        scalar::Scalar,
    },
    layers::{
        kind::LayerKind,
        onnx::{Graph, Value, floats},
    },
};

/// `[batch, frames]` of tokens to `[batch, frames, outputs]`.
#[derive(Clone, Debug)]
pub struct Embedding<T> {
    /// The table, `[vocabulary, outputs]`, row after row.
    pub weight: Weights<T>,
    /// Numbers in a row.
    pub outputs: usize,
}

impl<T: Scalar> Embedding<T> {
    /// Wraps a table of rows of `outputs` numbers.
    pub fn new(weight: Vec<T>, outputs: usize) -> Self {
        Self { weight: Weights::new(weight), outputs }
    }

    /// Where the row of a token starts. The net has checked that it is in the vocabulary.
    fn row(&self, token: T) -> usize {
        token.wide() as usize * self.outputs
    }
}

impl<T: Scalar> Layer<T> for Embedding<T> {
    fn kind(&self) -> Option<LayerKind> {
        Some(LayerKind::Embedding)
    }

    fn forward(&mut self, inputs: &[&ArrayD<T>], y: &mut ArrayD<T>, _: &mut Pass<'_, T>) {
        let x = only(inputs);
        let &[batch, frames] = x.shape() else { unreachable!("two axes, checked when the net was built") };
        reshape(y, &[batch, frames, self.outputs]);
        for (y, &token) in numbers_mut(y).chunks_exact_mut(self.outputs).zip(numbers(x)) {
            y.copy_from_slice(&self.weight.value[self.row(token)..][..self.outputs]);
        }
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
        self.weight.gradient.fill(T::zero());
        for (d, &token) in numbers(dy).chunks_exact(self.outputs).zip(numbers(x)) {
            let row = self.row(token);
            self.weight.gradient[row..][..self.outputs].iter_mut().zip(d).for_each(|(g, &d)| *g += d);
        }
        dx[0].give(&mut ArrayD::zeros(x.raw_dim()));
    }

    fn parameters<'a>(&'a mut self, name: &str, all: &mut Vec<Parameter<'a, T>>) {
        all.push(self.weight.parameter(format!("{name}.weight"), true));
    }

    fn export(&self, name: &str, inputs: &[Value], graph: &mut Graph) -> Value {
        let rows = self.weight.value.len() / self.outputs;
        let table = graph.tensor(&format!("{name}.weight"), &[rows, self.outputs], floats(&self.weight.value));
        let y = graph.node("Gather", name, &[table, inputs[0].clone()], vec![]);
        Value { rank: 3, ..y }
    }
}
