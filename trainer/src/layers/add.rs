//! The end of a residual block: `y = max(a + b, 0)`; both branches receive the gradient `dy` where `y > 0`
//! (see [`mask_by_relu`](super::batch_norm::mask_by_relu)), which is what keeps deep gradients alive.

use ndarray::Array4;
use rayon::prelude::*;

use crate::layers::conv::{numbers, numbers_mut};
use crate::scalar::Scalar;

/// `a = max(a + b, 0)`, in place. A NaN stays a NaN.
pub fn add_relu<T: Scalar>(a: &mut Array4<T>, b: &Array4<T>) {
    let len = numbers(b).len().div_ceil(64).max(1);
    (numbers_mut(a).par_chunks_mut(len), numbers(b).par_chunks(len)).into_par_iter().for_each(|(a, b)| {
        for (a, &b) in a.iter_mut().zip(b) {
            let sum = *a + b;
            *a = if sum < T::zero() { T::zero() } else { sum };
        }
    });
}
