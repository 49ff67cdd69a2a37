//! Matrix times vector, sums only: what its arguments must fulfil, and the definition.

use super::layout::{WEIGHT_STEP, dot};
use crate::{element::Value, error::Error};

/// A fast form of [`portable`], which it equals bit for bit.
pub(super) type Function<X> = unsafe fn(x: &[X], weights: &[i8], acc: &mut [i32]);

/// `x` is `[8 * k8]`, `weights` `[n8][k8][8][8]`, `acc` `[8 * n8]`.
pub(super) fn check<X>(x: &[X], weights: &[i8], acc: &[i32]) -> Result<(), Error> {
    let fits = !x.is_empty()
        && x.len().is_multiple_of(8)
        && acc.len().is_multiple_of(8)
        && Some(weights.len()) == x.len().checked_mul(acc.len());
    if fits { Ok(()) } else { Err(Error::Kernel) }
}

/// `acc[n] = sum over k of x[k] * w[n][k]`, no bias; weights `[n8][k8][8 n][8 k]`.
pub(super) fn portable<X: Value>(x: &[X], weights: &[i8], acc: &mut [i32]) {
    let (x, _) = x.as_chunks::<8>();
    let (weights, _) = weights.as_chunks::<WEIGHT_STEP>();
    let (acc, _) = acc.as_chunks_mut::<8>();
    for (acc, weights) in acc.iter_mut().zip(weights.chunks_exact(x.len().max(1))) {
        *acc = [0; 8];
        for (x, w) in x.iter().zip(weights) {
            dot(x, w, acc);
        }
    }
}
