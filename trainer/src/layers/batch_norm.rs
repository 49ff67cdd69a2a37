//! Batch normalization over every axis but the channels, with an optional ReLU behind it in the same pass.
//!
//! With `n` numbers in a channel of the batch, mean `m`, variance `v` (divided by `n`), `x' = (x - m) / sqrt(v + eps)`:
//!
//! ```text
//! forward   z = gamma x' + beta,  y = max(z, 0) or z
//! backward  dz = dy where y > 0;  dbeta = sum dz;  dgamma = sum dz x'
//!           dx = gamma / sqrt(v + eps) (dz - dbeta / n - x' dgamma / n)
//! ```
//!
//! The last line is linear in `dz` and `x`, so one pass computes it from three numbers a channel.
//! (Ioffe and Szegedy, ICML 2015.) Evaluation uses running statistics: `r <- 0.9 r + 0.1 batch`, the variance divided
//! by `n - 1`, as PyTorch has it.

use ndarray::ArrayD;
use rayon::prelude::*;

use super::{InputGradient, Layer, Mode, Pass, numbers, numbers_mut, only, reshape};
use crate::{
    engine::{
        parameter::{Parameter, Weights},
        scalar::Scalar,
    },
    layers::{
        kind::LayerKind,
        onnx::{Graph, Value, float, floats},
    },
};

/// Added to the variance.
pub const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// Scale and shift of each channel and the statistics for evaluation.
#[derive(Clone, Debug)]
pub struct BatchNorm<T> {
    /// Scale, one a channel; starts at 1.
    pub gamma: Weights<T>,
    /// Shift, one a channel; starts at 0.
    pub beta: Weights<T>,
    /// Running mean, one a channel.
    pub mean: Vec<T>,
    /// Running variance, one a channel.
    pub variance: Vec<T>,
}

/// A batch's statistics, kept from forward to backward.
#[derive(Clone, Debug, Default)]
pub struct BatchStatistics {
    count: f64,
    mean: Vec<f64>,
    variance: Vec<f64>,
}

impl<T: Scalar> BatchNorm<T> {
    /// Identity for normalized data.
    pub fn new(channels: usize) -> Self {
        Self {
            gamma: Weights::filled(channels, 1.0),
            beta: Weights::filled(channels, 0.0),
            mean: vec![T::zero(); channels],
            variance: vec![T::one(); channels],
        }
    }

    /// Scale and shift that evaluation applies to `x`: `gamma / sqrt(v + eps)` and `beta - mean * scale`.
    pub fn folded(&self) -> (Vec<f64>, Vec<f64>) {
        let mean: Vec<f64> = self.mean.iter().map(|v| v.wide()).collect();
        let variance: Vec<f64> = self.variance.iter().map(|v| v.wide()).collect();
        self.affine(&mean, &variance)
    }

    fn affine(&self, mean: &[f64], variance: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let scale = self.gamma.value.iter().zip(variance).map(|(g, v)| g.wide() / (v + EPSILON).sqrt());
        let scale: Vec<f64> = scale.collect();
        let shift = self.beta.value.iter().zip(mean).zip(&scale).map(|((b, m), s)| b.wide() - m * s).collect();
        (scale, shift)
    }

    /// Whether scale and shift, and with them the running statistics, stay as they are.
    pub fn frozen(&self) -> bool {
        self.gamma.frozen && self.beta.frozen
    }

    /// Normalizes `x`, `[batch, ..., channels]`, into `y`; in `Mode::Train`, unless frozen, with the batch's
    /// statistics, which are left in `statistics`.
    pub fn forward(&self, x: &ArrayD<T>, y: &mut ArrayD<T>, relu: bool, mode: Mode, statistics: &mut BatchStatistics) {
        let channels = self.gamma.value.len();
        let (scale, shift) = match mode {
            Mode::Train if !self.frozen() => {
                *statistics = measure(x, channels);
                self.affine(&statistics.mean, &statistics.variance)
            }
            Mode::Train | Mode::Evaluate => self.folded(),
        };
        let scale: Vec<T> = scale.into_iter().map(T::of).collect();
        let shift: Vec<T> = shift.into_iter().map(T::of).collect();
        // `max` would hide a NaN; a comparison that lets it through does not.
        let floor = if relu { T::zero() } else { T::neg_infinity() };
        reshape(y, x.shape());
        let image = sample_len(x);
        (numbers(x).par_chunks(image), numbers_mut(y).par_chunks_mut(image)).into_par_iter().for_each(|(x, y)| {
            for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
                for (((y, &x), &scale), &shift) in y.iter_mut().zip(x).zip(&scale).zip(&shift) {
                    let z = x * scale + shift;
                    *y = if z < floor { floor } else { z };
                }
            }
        });
    }

    fn update_running(&mut self, batch: &BatchStatistics) {
        let unbiased = batch.count / (batch.count - 1.0).max(1.0);
        let step = |running: &mut T, now: f64| *running = T::of(running.wide() * (1.0 - MOMENTUM) + MOMENTUM * now);
        self.mean.iter_mut().zip(&batch.mean).for_each(|(r, &m)| step(r, m));
        self.variance.iter_mut().zip(&batch.variance).for_each(|(r, &v)| step(r, v * unbiased));
    }

    /// Turns `d`, the gradient of the output, into that of the input `x`, in place. `y` is the output where a ReLU
    /// followed, `None` where not. In `Mode::Train`, unless frozen, replaces the gradients of scale and shift and moves
    /// the running statistics towards the batch's.
    pub fn backward(
        &mut self,
        x: &ArrayD<T>,
        y: Option<&ArrayD<T>>,
        d: &mut ArrayD<T>,
        mode: Mode,
        statistics: &BatchStatistics,
    ) {
        let channels = self.gamma.value.len();
        let image = sample_len(x);
        if let Some(y) = y {
            mask_by_relu(y, d);
        }
        if self.frozen() || mode == Mode::Evaluate {
            // The statistics are constants then: dx = gamma / sqrt(v + eps) dz.
            let scale: Vec<T> = self.folded().0.into_iter().map(T::of).collect();
            numbers_mut(d).par_chunks_mut(image).for_each(|d| {
                for row in d.chunks_exact_mut(channels) {
                    row.iter_mut().zip(&scale).for_each(|(d, &s)| *d *= s);
                }
            });
            return;
        }
        self.update_running(statistics);
        // Sums of dz and dz (x - m), image by image, then over the images in order.
        let mean: Vec<T> = statistics.mean.iter().map(|&m| T::of(m)).collect();
        let sums: Vec<Vec<T>> = (numbers(x).par_chunks(image), numbers(d).par_chunks(image))
            .into_par_iter()
            .map(|(x, d)| {
                let mut sums = vec![T::zero(); 2 * channels];
                let (plain, centred) = sums.split_at_mut(channels);
                for (x, d) in x.chunks_exact(channels).zip(d.chunks_exact(channels)) {
                    for ((((p, q), &x), &d), &m) in plain.iter_mut().zip(&mut *centred).zip(x).zip(d).zip(&mean) {
                        *p += d;
                        *q += d * (x - m);
                    }
                }
                sums
            })
            .collect();
        let total = |i: usize| sums.iter().map(|s| s[i].wide()).sum::<f64>();
        let (mut on_d, mut on_x, mut offset) = (vec![], vec![], vec![]);
        for k in 0..channels {
            let inverse = 1.0 / (statistics.variance[k] + EPSILON).sqrt();
            let (dbeta, dgamma) = (total(k), total(channels + k) * inverse);
            self.beta.gradient[k] = T::of(dbeta);
            self.gamma.gradient[k] = T::of(dgamma);
            let scale = self.gamma.value[k].wide() * inverse;
            let slope = -scale * inverse * dgamma / statistics.count;
            on_d.push(T::of(scale));
            on_x.push(T::of(slope));
            offset.push(T::of(-scale * dbeta / statistics.count - slope * statistics.mean[k]));
        }
        (numbers(x).par_chunks(image), numbers_mut(d).par_chunks_mut(image)).into_par_iter().for_each(|(x, d)| {
            for (x, d) in x.chunks_exact(channels).zip(d.chunks_exact_mut(channels)) {
                for ((((d, &x), &a), &b), &c) in d.iter_mut().zip(x).zip(&on_d).zip(&on_x).zip(&offset) {
                    *d = a * *d + b * x + c;
                }
            }
        });
    }
}

/// A layer of its own, for any shape whose last axis is the channels: `y = gamma (x - m) / sqrt(v + eps) + beta`, channel by
/// channel.
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

/// The gradient through a ReLU, in place: zero where its output `y` is.
pub fn mask_by_relu<T: Scalar>(y: &ArrayD<T>, d: &mut ArrayD<T>) {
    let len = numbers(y).len().div_ceil(64).max(1);
    (numbers(y).par_chunks(len), numbers_mut(d).par_chunks_mut(len)).into_par_iter().for_each(|(y, d)| {
        for (d, &y) in d.iter_mut().zip(y) {
            *d = if y > T::zero() { *d } else { T::zero() };
        }
    });
}

/// Numbers of one sample, all channels.
fn sample_len<T>(x: &ArrayD<T>) -> usize {
    (x.len() / x.shape()[0].max(1)).max(1)
}

/// Mean and variance of each channel: per image in two passes (so that a large mean cancels before squaring), merged in
/// double precision in the images' order (Chan et al., 1979).
fn measure<T: Scalar>(x: &ArrayD<T>, channels: usize) -> BatchStatistics {
    let image = sample_len(x);
    let each = (image / channels) as f64;
    let pixels = T::of(each);
    let images: Vec<Vec<T>> = numbers(x)
        .par_chunks(image)
        .map(|image| {
            let mut both = vec![T::zero(); 2 * channels];
            let (mean, squares) = both.split_at_mut(channels);
            for row in image.chunks_exact(channels) {
                mean.iter_mut().zip(row).for_each(|(m, &v)| *m += v);
            }
            mean.iter_mut().for_each(|m| *m /= pixels);
            for row in image.chunks_exact(channels) {
                for ((s, &m), &v) in squares.iter_mut().zip(&*mean).zip(row) {
                    *s += (v - m) * (v - m);
                }
            }
            both
        })
        .collect();
    let count = each * images.len() as f64;
    let mean: Vec<f64> =
        (0..channels).map(|k| images.iter().map(|i| i[k].wide()).sum::<f64>() / images.len() as f64).collect();
    let variance = (0..channels)
        .map(|k| {
            let within: f64 = images.iter().map(|i| i[channels + k].wide()).sum();
            let between: f64 = images.iter().map(|i| (i[k].wide() - mean[k]).powi(2) * each).sum();
            (within + between) / count
        })
        .collect();
    BatchStatistics { count, mean, variance }
}
