//! Flatten: all numbers of a sample in one vector, in the order in which they lie; the gradient goes back the same way.

use ndarray::ArrayD;

use super::{InputGradient, Layer, Pass, numbers, numbers_mut, only, reshape};
use crate::{
    engine::scalar::Scalar,
    layers::onnx::{Graph, Value, ints},
};

/// `[batch, ...]` to `[batch, numbers]`.
#[derive(Clone, Copy, Debug)]
pub struct Flatten;

impl<T: Scalar> Layer<T> for Flatten {
    fn forward(&mut self, inputs: &[&ArrayD<T>], y: &mut ArrayD<T>, _: &mut Pass<'_, T>) {
        let x = only(inputs);
        let batch = x.shape()[0];
        reshape(y, &[batch, x.len() / batch]);
        numbers_mut(y).copy_from_slice(numbers(x));
    }

    fn backward(
        &mut self,
        inputs: &[&ArrayD<T>],
        _: &ArrayD<T>,
        dy: &mut ArrayD<T>,
        dx: &mut [InputGradient<'_, T>],
        _: &mut Pass<'_, T>,
    ) {
        let mut d = ArrayD::zeros(only(inputs).raw_dim());
        numbers_mut(&mut d).copy_from_slice(numbers(dy));
        dx[0].give(&mut d);
    }

    /// ONNX has the channels of maps first, we last; they are turned, so that the weights behind keep their order.
    fn export(&self, name: &str, inputs: &[Value], graph: &mut Graph) -> Value {
        let x = graph.batch_first(&inputs[0]);
        let x = match x.rank {
            4 => graph.node("Transpose", &format!("{name}.channels_last"), &[x], vec![ints("perm", &[0, 2, 3, 1])]),
            _ => x,
        };
        graph.node("Flatten", name, &[x], vec![])
    }
}
