//! Global average pool: `y[b, c] = mean over pixels of x[b, ., ., c]`; backward spreads `dy / pixels` evenly.

use ndarray::{Array2, Array4, Axis};

use crate::layers::conv::{numbers_mut, reshape};
use crate::scalar::Scalar;

/// `[batch, height, width, channels]` to `[batch, channels]`.
pub fn forward<T: Scalar>(x: &Array4<T>) -> Array2<T> {
    let [_, h, w, _] = *x.shape() else { unreachable!("four axes by type") };
    x.sum_axis(Axis(1)).sum_axis(Axis(1)).mapv_into(|v| v / T::of((h * w) as f64))
}

/// The input's gradient, for an input of `size` (height, width).
pub fn backward<T: Scalar>(dy: &Array2<T>, size: [usize; 2], dx: &mut Array4<T>) {
    let (batch, channels) = dy.dim();
    let [h, w] = size;
    reshape(dx, [batch, h, w, channels]);
    let share = T::of(1.0 / (h * w) as f64);
    for (image, dy) in numbers_mut(dx).chunks_exact_mut(h * w * channels).zip(dy.outer_iter()) {
        for pixel in image.chunks_exact_mut(channels) {
            pixel.iter_mut().zip(dy).for_each(|(d, &g)| *d = g * share);
        }
    }
}
