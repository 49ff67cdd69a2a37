//! Batch normalization as a layer of its own, for any shape whose last axis is the channels; the maths is
//! [`BatchNorm`]'s.

use ndarray::ArrayD;

use super::batch_norm::{BatchNorm, BatchStatistics};
use super::{InputGradient, Layer, Pass, only};
use crate::doctor::record::LayerKind;
use crate::export::graph::{Graph, Value, float, floats};
use crate::layers::batch_norm::EPSILON;
use crate::parameter::Parameter;
use crate::scalar::Scalar;

/// `y = gamma (x - m) / sqrt(v + eps) + beta`, channel by channel.
#[derive(Clone, Debug)]
pub struct Normalization<T> {
    /// Scale, shift and running statistics.
    pub norm: BatchNorm<T>,
    statistics: BatchStatistics,
}

impl<T: Scalar> Normalization<T> {
    /// Of `channels` channels.
    pub fn new(channels: usize) -> Self {
        Self { norm: BatchNorm::new(channels), statistics: BatchStatistics::default() }
    }
}

impl<T: Scalar> Layer<T> for Normalization<T> {
    fn kind(&self) -> Option<LayerKind> {
        Some(LayerKind::Norm)
    }

    fn forward(&mut self, inputs: &[&ArrayD<T>], y: &mut ArrayD<T>, pass: &mut Pass<'_, T>) {
        self.norm.forward(only(inputs), y, false, pass.mode, &mut self.statistics);
    }

    fn backward(
        &mut self,
        inputs: &[&ArrayD<T>],
        _: &ArrayD<T>,
        dy: &mut ArrayD<T>,
        dx: &mut [InputGradient<'_, T>],
        pass: &mut Pass<'_, T>,
    ) {
        self.norm.backward(only(inputs), None, dy, pass.mode, &self.statistics);
        dx[0].give(dy);
    }

    fn parameters<'a>(&'a mut self, name: &str, all: &mut Vec<Parameter<'a, T>>) {
        all.push(self.norm.gamma.parameter(format!("{name}.gamma"), false));
        all.push(self.norm.beta.parameter(format!("{name}.beta"), false));
    }

    fn buffers<'a>(&'a mut self, name: &str, all: &mut Vec<(String, &'a mut [T])>) {
        all.push((format!("{name}.mean"), &mut self.norm.mean));
        all.push((format!("{name}.variance"), &mut self.norm.variance));
    }

    /// ONNX normalizes the second axis, which is the channels of maps and vectors; of sequences they are the last, where
    /// a product and a sum do the same.
    fn export(&self, name: &str, inputs: &[Value], graph: &mut Graph) -> Value {
        let norm = &self.norm;
        let mut tensor =
            |part: &str, values: Vec<f32>| graph.tensor(&format!("{name}.{part}"), &[values.len()], values);
        if inputs[0].rank == 3 {
            let (scale, shift) = norm.folded();
            let (scale, shift) = (tensor("scale", floats(&scale)), tensor("shift", floats(&shift)));
            let scaled = graph.node("Mul", &format!("{name}.scaled"), &[inputs[0].clone(), scale], vec![]);
            return graph.node("Add", name, &[scaled, shift], vec![]);
        }
        let parts = [
            inputs[0].clone(),
            tensor("gamma", floats(&norm.gamma.value)),
            tensor("beta", floats(&norm.beta.value)),
            tensor("mean", floats(&norm.mean)),
            tensor("variance", floats(&norm.variance)),
        ];
        graph.node("BatchNormalization", name, &parts, vec![float("epsilon", EPSILON)])
    }
}
