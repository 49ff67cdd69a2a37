//! The end of a residual block: `y = a + b` or `max(a + b, 0)`; both branches receive the gradient `dy` (where `y > 0`),
//! whatever their layers do: that is what keeps deep gradients alive (He et al., CVPR 2016).

use ndarray::ArrayD;
use rayon::prelude::*;

use super::{InputGradient, Layer, Pass, batch_norm::mask_by_relu, numbers, numbers_mut, reshape};
use crate::{
    engine::scalar::Scalar,
    layers::{
        kind::{Activation, LayerKind},
        onnx::{Graph, Value},
    },
};

/// `y = a + b` of two inputs of one shape. A NaN stays a NaN.
#[derive(Clone, Copy, Debug)]
pub struct Add {
    /// Whether a ReLU ends it.
    pub relu: bool,
}

impl<T: Scalar> Layer<T> for Add {
    fn kind(&self) -> Option<LayerKind> {
        Some(LayerKind::Add)
    }

    fn activation(&self) -> Option<Activation> {
        self.relu.then_some(Activation::Relu)
    }

    fn forward(&mut self, inputs: &[&ArrayD<T>], y: &mut ArrayD<T>, _: &mut Pass<'_, T>) {
        let [a, b] = inputs else { unreachable!("the net was built with two inputs here") };
        reshape(y, a.shape());
        let floor = if self.relu { T::zero() } else { T::neg_infinity() };
        let len = a.len().div_ceil(64).max(1);
        let parts = (numbers(a).par_chunks(len), numbers(b).par_chunks(len), numbers_mut(y).par_chunks_mut(len));
        parts.into_par_iter().for_each(|(a, b, y)| {
            for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
                let sum = a + b;
                *y = if sum < floor { floor } else { sum };
            }
        });
    }

    fn backward(
        &mut self,
        _: &[&ArrayD<T>],
        y: &ArrayD<T>,
        dy: &mut ArrayD<T>,
        dx: &mut [InputGradient<'_, T>],
        _: &mut Pass<'_, T>,
    ) {
        if self.relu {
            mask_by_relu(y, dy);
        }
        let [a, b] = dx else { unreachable!("the net was built with two inputs here") };
        a.copy(dy);
        b.give(dy);
    }

    fn export(&self, name: &str, inputs: &[Value], graph: &mut Graph) -> Value {
        let inputs = [graph.batch_first(&inputs[0]), graph.batch_first(&inputs[1])];
        let sum = graph.node("Add", &format!("{name}.add"), &inputs, vec![]);
        if self.relu { graph.node("Relu", &format!("{name}.relu"), &[sum], vec![]) } else { sum }
    }
}
