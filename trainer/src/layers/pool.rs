//! Global average pool: `y[b, c] = mean over pixels of x[b, ., ., c]`; backward spreads `dy / pixels` evenly.

use ndarray::ArrayD;

use super::{InputGradient, Layer, Pass, numbers, numbers_mut, only, reshape};
use crate::export::graph::{Graph, Value};
use crate::scalar::Scalar;

/// `[batch, height, width, channels]` to `[batch, channels]`.
#[derive(Clone, Copy, Debug)]
pub struct GlobalAveragePool;

impl<T: Scalar> Layer<T> for GlobalAveragePool {
    fn forward(&mut self, inputs: &[&ArrayD<T>], y: &mut ArrayD<T>, _: &mut Pass<'_, T>) {
        let x = only(inputs);
        let &[batch, h, w, channels] = x.shape() else { unreachable!("four axes, checked when the net was built") };
        reshape(y, &[batch, channels]);
        let pixels = T::of((h * w) as f64);
        for (x, y) in numbers(x).chunks_exact(h * w * channels).zip(numbers_mut(y).chunks_exact_mut(channels)) {
            y.fill(T::zero());
            // Row by row, so that a sum has few terms before it is added to the others.
            let mut sum = vec![T::zero(); channels];
            for row in x.chunks_exact(w * channels) {
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
        _: &mut Pass<'_, T>,
    ) {
        let x = only(inputs);
        let channels = dy.shape()[1];
        let pixels = x.len() / dy.len();
        let share = T::of(1.0 / pixels as f64);
        let mut spread = ArrayD::zeros(x.raw_dim());
        let images = numbers_mut(&mut spread).chunks_exact_mut(pixels * channels);
        for (image, dy) in images.zip(numbers(dy).chunks_exact(channels)) {
            for pixel in image.chunks_exact_mut(channels) {
                pixel.iter_mut().zip(dy).for_each(|(d, &g)| *d = g * share);
            }
        }
        dx[0].give(&mut spread);
    }

    fn export(&self, name: &str, inputs: &[Value], graph: &mut Graph) -> Value {
        let pooled = graph.node("GlobalAveragePool", name, inputs, vec![]);
        graph.node("Flatten", &format!("{name}.flatten"), &[pooled], vec![])
    }
}
