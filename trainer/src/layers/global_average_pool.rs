//! Global average pool: `y[b, c] = mean of x[b, ..., c]` over all pixels, or over the frames that count; backward spreads
//! `dy / pixels` evenly over the same.

use ndarray::ArrayD;

use super::{InputGradient, Layer, Pass, numbers, numbers_mut, only, reshape};
use crate::{
    engine::scalar::Scalar,
    layers::onnx::{Graph, Value, int, ints},
};

/// `[batch, height, width, channels]` or `[batch, frames, channels]` to `[batch, channels]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct GlobalAveragePool {
    /// Of a map: to a map of one pixel, `[batch, 1, 1, channels]`, instead.
    pub keep: bool,
}

impl<T: Scalar> Layer<T> for GlobalAveragePool {
    fn forward(&mut self, inputs: &[&ArrayD<T>], y: &mut ArrayD<T>, pass: &mut Pass<'_, T>) {
        let x = only(inputs);
        let [batch, h, w, channels] = extent(x);
        let (pixel, vector) = ([batch, 1, 1, channels], [batch, channels]);
        reshape(y, if self.keep { &pixel } else { &vector });
        let samples = numbers(x).chunks_exact(h * w * channels).zip(numbers_mut(y).chunks_exact_mut(channels));
        for (i, (x, y)) in samples.enumerate() {
            let rows = pass.lengths.map_or(h, |lengths| lengths[i]);
            let pixels = T::of((rows * w) as f64);
            y.fill(T::zero());
            // Row by row, so that a sum has few terms before it is added to the others.
            let mut sum = vec![T::zero(); channels];
            for row in x.chunks_exact(w * channels).take(rows) {
                sum.fill(T::zero());
                for pixel in row.chunks_exact(channels) {
                    sum.iter_mut().zip(pixel).for_each(|(s, &v)| *s += v);
                }
                y.iter_mut().zip(&sum).for_each(|(y, &s)| *y += s);
            }
            y.iter_mut().for_each(|y| *y /= pixels);
        }
    }

    fn backward(
        &mut self,
        inputs: &[&ArrayD<T>],
        _: &ArrayD<T>,
        dy: &mut ArrayD<T>,
        dx: &mut [InputGradient<'_, T>],
        pass: &mut Pass<'_, T>,
    ) {
        let x = only(inputs);
        let [_, h, w, channels] = extent(x);
        let mut spread = ArrayD::zeros(x.raw_dim());
        let images = numbers_mut(&mut spread).chunks_exact_mut(h * w * channels);
        for (i, (image, dy)) in images.zip(numbers(dy).chunks_exact(channels)).enumerate() {
            let pixels = pass.lengths.map_or(h, |lengths| lengths[i]) * w;
            let share = T::of(1.0 / pixels as f64);
            for pixel in image.chunks_exact_mut(channels).take(pixels) {
                pixel.iter_mut().zip(dy).for_each(|(d, &g)| *d = g * share);
            }
        }
        dx[0].give(&mut spread);
    }

    fn export(&self, name: &str, inputs: &[Value], graph: &mut Graph) -> Value {
        if inputs[0].rank == 3 {
            let x = graph.batch_first(&inputs[0]);
            let mean = graph.node("ReduceMean", name, &[x], vec![ints("axes", &[1]), int("keepdims", 0)]);
            return Value { rank: 2, ..mean };
        }
        let pooled = graph.node("GlobalAveragePool", name, inputs, vec![]);
        if self.keep {
            return pooled;
        }
        graph.node("Flatten", &format!("{name}.flatten"), &[pooled], vec![])
    }
}

/// Batch, height, width and channels; a sequence is as high as it has frames, and only sequences have lengths.
pub(super) fn extent<T>(x: &ArrayD<T>) -> [usize; 4] {
    match *x.shape() {
        [batch, h, w, channels] => [batch, h, w, channels],
        [batch, frames, channels] => [batch, frames, 1, channels],
        _ => unreachable!("maps or sequences, checked when the net was built"),
    }
}
