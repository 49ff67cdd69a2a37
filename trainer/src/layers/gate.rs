//! A gate for each channel of a map: `y[b, p, c] = x[b, p, c] g[b, c]` over pixels `p`.
//!
//! ```text
//! dx[b, p, c] = dy[b, p, c] g[b, c]        dg[b, c] = sum over p of dy[b, p, c] x[b, p, c]
//! ```

use ndarray::ArrayD;
use rayon::prelude::*;

use super::{InputGradient, Layer, Pass, numbers, numbers_mut, reshape};
use crate::{
    engine::scalar::Scalar,
    layers::onnx::{Graph, Value},
};

/// `[batch, height, width, channels]` and `[batch, 1, 1, channels]` to the first's shape.
#[derive(Clone, Copy, Debug)]
pub struct Gate;

/// The map, its gates, numbers of one sample of the map, and channels.
fn parts<'a, T>(inputs: &[&'a ArrayD<T>]) -> (&'a ArrayD<T>, &'a ArrayD<T>, usize, usize) {
    let [x, gate] = inputs else { unreachable!("the net was built with two inputs here") };
    let &[_, h, w, channels] = x.shape() else { unreachable!("four axes, checked when the net was built") };
    (x, gate, h * w * channels, channels)
}

impl<T: Scalar> Layer<T> for Gate {
    fn forward(&mut self, inputs: &[&ArrayD<T>], y: &mut ArrayD<T>, _: &mut Pass<'_, T>) {
        let (x, gate, sample, channels) = parts(inputs);
        reshape(y, x.shape());
        (numbers_mut(y).par_chunks_mut(sample), numbers(x).par_chunks(sample), numbers(gate).par_chunks(channels))
            .into_par_iter()
            .for_each(|(y, x, gate)| {
                for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                    y.iter_mut().zip(x).zip(gate).for_each(|((y, &x), &g)| *y = x * g);
                }
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
        let (x, gate, sample, channels) = parts(inputs);
        let [to_x, to_gate] = dx else { unreachable!("the net was built with two inputs here") };
        let mut sums = ArrayD::zeros(gate.raw_dim());
        (
            numbers_mut(dy).par_chunks_mut(sample),
            numbers(x).par_chunks(sample),
            numbers(gate).par_chunks(channels),
            numbers_mut(&mut sums).par_chunks_mut(channels),
        )
            .into_par_iter()
            .for_each(|(dy, x, gate, sums)| {
                for (dy, x) in dy.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                    for (((dy, &x), &g), sum) in dy.iter_mut().zip(x).zip(gate).zip(&mut *sums) {
                        *sum += *dy * x;
                        *dy *= g;
                    }
                }
            });
        to_gate.give(&mut sums);
        to_x.give(dy);
    }

    fn export(&self, name: &str, inputs: &[Value], graph: &mut Graph) -> Value {
        graph.node("Mul", name, inputs, vec![])
    }
}
