//! A convolution with what usually follows it: `y = relu(norm(conv x))` or `y = relu(conv x + b)`, the ReLU left out
//! where it is not wanted. One layer, because the ReLU costs no pass over memory of its own and the normalization is
//! folded into the kernel when the net is exported.

use ndarray::ArrayD;

use super::{
    InputGradient, Layer, Pass,
    batch_norm::{BatchNorm, BatchStatistics, mask_by_relu},
    conv_shape::ConvShape,
    convolution::Convolution,
    numbers, numbers_mut, only,
};
use crate::{
    engine::{
        parameter::{Parameter, Weights},
        scalar::Scalar,
    },
    layers::{
        kind::{Activation, LayerKind},
        onnx::{Graph, Value, floats, int, ints},
    },
};

/// What is added to the convolution's output.
#[derive(Clone, Debug)]
pub enum After<T> {
    /// Normalization, whose shift takes the place of a bias.
    Norm(BatchNorm<T>),
    /// A bias, one a channel.
    Bias(Weights<T>),
}

/// Convolution, normalization or bias, ReLU.
#[derive(Clone, Debug)]
pub struct ConvNorm<T> {
    /// The convolution.
    pub conv: Convolution<T>,
    /// What follows.
    pub after: After<T>,
    /// Whether a ReLU ends it.
    pub relu: bool,
    /// The convolution's output, which the normalization needs on the way back.
    convolved: ArrayD<T>,
    statistics: BatchStatistics,
}

impl<T: Scalar> ConvNorm<T> {
    /// With normalization, or with a bias of zeros.
    pub fn new(conv: Convolution<T>, normalize: bool, relu: bool) -> Self {
        let outputs = conv.shape().outputs;
        let after = match normalize {
            true => After::Norm(BatchNorm::new(outputs)),
            false => After::Bias(Weights::filled(outputs, 0.0)),
        };
        Self { conv, after, relu, convolved: ArrayD::zeros(vec![0]), statistics: BatchStatistics::default() }
    }
}

impl<T: Scalar> Layer<T> for ConvNorm<T> {
    fn kind(&self) -> Option<LayerKind> {
        Some(LayerKind::Convolution)
    }

    fn normalizes(&self) -> bool {
        matches!(self.after, After::Norm(_))
    }

    fn activation(&self) -> Option<Activation> {
        self.relu.then_some(Activation::Relu)
    }

    fn forward(&mut self, inputs: &[&ArrayD<T>], y: &mut ArrayD<T>, pass: &mut Pass<'_, T>) {
        let x = only(inputs);
        match &self.after {
            After::Norm(norm) => {
                self.conv.forward(x, &mut self.convolved, pass.conv);
                norm.forward(&self.convolved, y, self.relu, pass.mode, &mut self.statistics);
            }
            After::Bias(bias) => {
                self.conv.forward(x, y, pass.conv);
                let floor = if self.relu { T::zero() } else { T::neg_infinity() };
                for pixel in numbers_mut(y).chunks_exact_mut(bias.value.len()) {
                    for (y, &b) in pixel.iter_mut().zip(&bias.value) {
                        let z = *y + b;
                        *y = if z < floor { floor } else { z };
                    }
                }
            }
        }
    }

    fn backward(
        &mut self,
        inputs: &[&ArrayD<T>],
        y: &ArrayD<T>,
        dy: &mut ArrayD<T>,
        dx: &mut [InputGradient<'_, T>],
        pass: &mut Pass<'_, T>,
    ) {
        match &mut self.after {
            After::Norm(norm) => {
                norm.backward(&self.convolved, self.relu.then_some(y), dy, pass.mode, &self.statistics);
            }
            After::Bias(bias) => {
                if self.relu {
                    mask_by_relu(y, dy);
                }
                let mut sums = vec![0.0; bias.value.len()];
                for pixel in numbers(dy).chunks_exact(sums.len()) {
                    sums.iter_mut().zip(pixel).for_each(|(s, d)| *s += d.wide());
                }
                bias.gradient.iter_mut().zip(sums).for_each(|(g, s)| *g = T::of(s));
            }
        }
        self.conv.backward(only(inputs), dy, &mut dx[0], pass.conv);
    }

    fn parameters<'a>(&'a mut self, name: &str, all: &mut Vec<Parameter<'a, T>>) {
        all.push(self.conv.weight_mut().parameter(format!("{name}.conv.weight"), true));
        match &mut self.after {
            After::Norm(norm) => {
                all.push(norm.gamma.parameter(format!("{name}.norm.gamma"), false));
                all.push(norm.beta.parameter(format!("{name}.norm.beta"), false));
            }
            After::Bias(bias) => all.push(bias.parameter(format!("{name}.conv.bias"), false)),
        }
    }

    fn buffers<'a>(&'a mut self, name: &str, all: &mut Vec<(String, &'a mut [T])>) {
        if let After::Norm(norm) = &mut self.after {
            all.push((format!("{name}.norm.mean"), &mut norm.mean));
            all.push((format!("{name}.norm.variance"), &mut norm.variance));
        }
    }

    /// Kernel `[u, v, in, out]` to ONNX `[out, in, u, v]`, times the normalization's scale: in evaluation the
    /// normalization *is* a scale and a shift of each channel, `w' = w s`, `b' = t`.
    fn export(&self, name: &str, inputs: &[Value], graph: &mut Graph) -> Value {
        let ConvShape { inputs: channels, outputs, kernel: k, stride, padding, groups } = self.conv.shape();
        let (kernel, inner) = (&self.conv.weight().value, channels / groups);
        let (scale, bias) = match &self.after {
            After::Norm(norm) => norm.folded(),
            After::Bias(bias) => (vec![1.0; outputs], bias.value.iter().map(|b| b.wide()).collect()),
        };
        let mut weight = Vec::with_capacity(kernel.len());
        for (o, scale) in scale.iter().enumerate() {
            for i in 0..inner {
                let taps = (0..k * k).map(|tap| kernel[(tap * inner + i) * outputs + o]);
                weight.extend(taps.map(|w| (w.wide() * scale) as f32));
            }
        }
        let weight = graph.tensor(&format!("{name}.weight"), &[outputs, inner, k, k], weight);
        let bias = graph.tensor(&format!("{name}.bias"), &[outputs], floats(&bias));
        let mut attributes =
            vec![ints("kernel_shape", &[k; 2]), ints("strides", &[stride; 2]), ints("pads", &[padding; 4])];
        if groups > 1 {
            attributes.push(int("group", groups));
        }
        let y = graph.node("Conv", &format!("{name}.conv"), &[inputs[0].clone(), weight, bias], attributes);
        if self.relu { graph.node("Relu", &format!("{name}.relu"), &[y], vec![]) } else { y }
    }
}
