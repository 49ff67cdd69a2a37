//! Matrix times vector.

use core::arch::x86_64::*;

use super::{super::WEIGHT_STEP, step, sums};
use crate::element::Value;

/// Matrix times vector, see [`super::super::Kernels::gemv`].
#[target_feature(enable = "avx2")]
pub fn gemv<X: Value>(x: &[X], weights: &[i8], acc: &mut [i32]) {
    let (x, _) = x.as_chunks::<8>();
    let (lines, _) = weights.as_chunks::<WEIGHT_STEP>();
    let (acc, _) = acc.as_chunks_mut::<8>();
    for (acc, lines) in acc.iter_mut().zip(lines.chunks_exact(x.len().max(1))) {
        let mut lanes = [[_mm256_setzero_si256(); 4]];
        for (line, x) in lines.iter().zip(x) {
            step(&mut lanes, line, [x]);
        }
        // SAFETY: `acc` is eight writable words; `storeu` needs no alignment.
        unsafe { _mm256_storeu_si256(acc.as_mut_ptr().cast(), sums(&lanes[0])) };
    }
}
