//! Depthwise convolution: each channel with its own kernel, `y[p, c] = sum_t x[s p + t - pad, c] w[t, c]`.
//!
//! ```text
//! dw[t, c] = sum_p x[s p + t - pad, c] dy[p, c]        dx[q, c] = sum over p, t with s p + t - pad = q of dy[p, c] w[t, c]
//! ```
//!
//! There is no product of matrices in it: every number is used once a tap, so the loop is over taps outside and channels
//! inside, where neighbours in memory are multiplied by neighbours.

use ndarray::ArrayD;
use rayon::prelude::*;

use super::{InputGradient, conv_shape::ConvShape, numbers, numbers_mut, reshape};
use crate::engine::{
    parameter::Weights,
    pieces::{samples_per_piece, sum_in_order},
    scalar::Scalar,
};

/// A kernel `[kernel, kernel, 1, channels]`.
#[derive(Clone, Debug)]
pub struct Depthwise<T> {
    /// The kernel.
    pub weight: Weights<T>,
    /// Its numbers; as many groups as channels, in and out.
    pub shape: ConvShape,
}

impl<T: Scalar> Depthwise<T> {
    /// Wraps a kernel.
    pub fn new(weight: Vec<T>, shape: ConvShape) -> Self {
        Self { weight: Weights::matrix(weight, shape.outputs), shape }
    }

    /// Calls `visit(tap, output pixel, input pixel)` for every product of one image of `h` x `w`.
    fn products(&self, [h, w]: [usize; 2], mut visit: impl FnMut(usize, usize, usize)) {
        let ConvShape { kernel, stride, padding, .. } = self.shape;
        let (rows, columns) = (self.shape.size(h), self.shape.size(w));
        for y in 0..rows {
            for u in 0..kernel {
                let Some(row) = (y * stride + u).checked_sub(padding).filter(|&row| row < h) else { continue };
                for v in 0..kernel {
                    // The outputs whose tap v lies in the image: padding <= s x + v < padding + w.
                    let first = padding.saturating_sub(v).div_ceil(stride);
                    let end = (padding + w).saturating_sub(v).div_ceil(stride).min(columns);
                    for x in first..end {
                        visit(u * kernel + v, y * columns + x, row * w + x * stride + v - padding);
                    }
                }
            }
        }
    }

    /// `[batch, height, width, channels]` to `[batch, ., ., channels]`.
    pub fn forward(&self, x: &ArrayD<T>, y: &mut ArrayD<T>) {
        let &[batch, h, w, c] = x.shape() else { unreachable!("four axes, checked when the net was built") };
        reshape(y, &[batch, self.shape.size(h), self.shape.size(w), c]);
        let map = y.len() / batch;
        (numbers(x).par_chunks(h * w * c), numbers_mut(y).par_chunks_mut(map)).into_par_iter().for_each(|(x, y)| {
            y.fill(T::zero());
            self.products([h, w], |tap, p, q| {
                let numbers = x[q * c..][..c].iter().zip(&self.weight.value[tap * c..][..c]);
                y[p * c..][..c].iter_mut().zip(numbers).for_each(|(y, (&x, &w))| *y += x * w);
            });
        });
    }

    /// As [`Convolution::backward`](super::convolution::Convolution::backward).
    pub fn backward(&mut self, x: &ArrayD<T>, dy: &ArrayD<T>, dx: &mut InputGradient<'_, T>) {
        let &[batch, h, w, c] = x.shape() else { unreachable!("four axes, checked when the net was built") };
        let (image, map, piece) = (h * w * c, dy.len() / batch, samples_per_piece(batch, 1));
        let gradients: Vec<Vec<T>> = (numbers(x).par_chunks(image * piece), numbers(dy).par_chunks(map * piece))
            .into_par_iter()
            .map(|(xs, dys)| {
                let mut gradient = vec![T::zero(); self.weight.value.len()];
                for (x, dy) in xs.chunks_exact(image).zip(dys.chunks_exact(map)) {
                    self.products([h, w], |tap, p, q| {
                        let numbers = x[q * c..][..c].iter().zip(&dy[p * c..][..c]);
                        gradient[tap * c..][..c].iter_mut().zip(numbers).for_each(|(g, (&x, &d))| *g += x * d);
                    });
                }
                gradient
            })
            .collect();
        sum_in_order(&mut self.weight.gradient, gradients.iter().map(|g| &g[..]));
        if matches!(dx, InputGradient::Unused) {
            return;
        }
        let mut all = ArrayD::zeros(x.raw_dim());
        (numbers_mut(&mut all).par_chunks_mut(image), numbers(dy).par_chunks(map)).into_par_iter().for_each(
            |(dx, dy)| {
                self.products([h, w], |tap, p, q| {
                    let numbers = dy[p * c..][..c].iter().zip(&self.weight.value[tap * c..][..c]);
                    dx[q * c..][..c].iter_mut().zip(numbers).for_each(|(dx, (&d, &w))| *dx += d * w);
                });
            },
        );
        dx.give(&mut all);
    }
}
