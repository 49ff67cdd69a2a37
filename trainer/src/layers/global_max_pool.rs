//! Global max pool: `y[b, c] = max of x[b, ..., c]` over all pixels, or over the frames that count; the gradient goes to the
//! first place of the max. A NaN is the max.

use ndarray::ArrayD;

use super::{InputGradient, Layer, Pass, global_average_pool::extent, numbers, numbers_mut, only, reshape};
use crate::{
    engine::scalar::Scalar,
    layers::onnx::{Graph, Value, int, ints},
};

/// `[batch, height, width, channels]` or `[batch, frames, channels]` to `[batch, channels]`.
#[derive(Clone, Debug, Default)]
pub struct GlobalMaxPool {
    /// Which pixel of its sample each max is.
    places: Vec<usize>,
}

impl<T: Scalar> Layer<T> for GlobalMaxPool {
    fn forward(&mut self, inputs: &[&ArrayD<T>], y: &mut ArrayD<T>, pass: &mut Pass<'_, T>) {
        let x = only(inputs);
        let [batch, h, w, channels] = extent(x);
        reshape(y, &[batch, channels]);
        self.places.clear();
        self.places.resize(batch * channels, 0);
        let outputs = numbers_mut(y).chunks_exact_mut(channels).zip(self.places.chunks_exact_mut(channels));
        for (i, (x, (y, places))) in numbers(x).chunks_exact(h * w * channels).zip(outputs).enumerate() {
            let pixels = pass.lengths.map_or(h, |lengths| lengths[i]) * w;
            y.copy_from_slice(&x[..channels]);
            for (at, pixel) in x.chunks_exact(channels).enumerate().take(pixels) {
                for ((y, place), &x) in y.iter_mut().zip(&mut *places).zip(pixel) {
                    if x > *y || x.is_nan() {
                        (*y, *place) = (x, at);
                    }
                }
            }
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
        let [_, h, w, channels] = extent(x);
        let mut all = ArrayD::zeros(x.raw_dim());
        let outputs = numbers(dy).chunks_exact(channels).zip(self.places.chunks_exact(channels));
        for (dx, (dy, places)) in numbers_mut(&mut all).chunks_exact_mut(h * w * channels).zip(outputs) {
            for (c, (&d, &place)) in dy.iter().zip(places).enumerate() {
                dx[place * channels + c] = d;
            }
        }
        dx[0].give(&mut all);
    }

    fn export(&self, name: &str, inputs: &[Value], graph: &mut Graph) -> Value {
        if inputs[0].rank == 3 {
            let x = graph.batch_first(&inputs[0]);
            let max = graph.node("ReduceMax", name, &[x], vec![ints("axes", &[1]), int("keepdims", 0)]);
            return Value { rank: 2, ..max };
        }
        let pooled = graph.node("GlobalMaxPool", name, inputs, vec![]);
        graph.node("Flatten", &format!("{name}.flatten"), &[pooled], vec![])
    }
}
