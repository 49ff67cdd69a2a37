//! Element-wise sums and products of int16 values.

use core::arch::x86_64::*;

use super::{
    super::{
        Combine,
        wide::{AddWide, MulWide, add as portable_add, mul as portable_mul},
    },
    interleave, limit, load_halves, quotient, shifted_wide, store_wide,
};

/// Eight values as int32.
#[inline]
#[target_feature(enable = "avx2")]
fn load(x: &[i16; 8]) -> __m256i {
    _mm256_cvtepi16_epi32(load_halves(x))
}

/// `(x * m + 2^19) >> 20` in 64 bits, which fits 32.
#[inline]
#[target_feature(enable = "avx2")]
fn rescaled_alone(x: __m256i, m: __m256i) -> __m256i {
    let (even, odd) = (_mm256_mul_epi32(x, m), _mm256_mul_epi32(_mm256_srli_epi64::<32>(x), m));
    interleave(shifted_wide(even), shifted_wide(odd))
}

/// The same of the sum of two operands.
#[inline]
#[target_feature(enable = "avx2")]
fn rescaled(x: __m256i, m: __m256i, y: __m256i, n: __m256i) -> __m256i {
    let even = _mm256_add_epi64(_mm256_mul_epi32(x, m), _mm256_mul_epi32(y, n));
    let [x, y] = [x, y].map(|x| _mm256_srli_epi64::<32>(x));
    let odd = _mm256_add_epi64(_mm256_mul_epi32(x, m), _mm256_mul_epi32(y, n));
    interleave(shifted_wide(even), shifted_wide(odd))
}

/// See [`AddWide`]. Rounding keeps the order, so that the larger one may be chosen behind it.
#[target_feature(enable = "avx2")]
pub fn add(add: &AddWide, out: &mut [i16], b: &[i16]) {
    let [m, n] = add.multipliers.map(|m| _mm256_set1_epi32(m));
    match add.combine {
        Combine::Sum => sums(add, out, b, |x, y| rescaled(x, m, y, n)),
        Combine::Maximum => sums(add, out, b, |x, y| _mm256_max_epi32(rescaled_alone(x, m), rescaled_alone(y, n))),
        Combine::Minimum => sums(add, out, b, |x, y| _mm256_min_epi32(rescaled_alone(x, m), rescaled_alone(y, n))),
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn sums(add: &AddWide, out: &mut [i16], b: &[i16], sum: impl Fn(__m256i, __m256i) -> __m256i) {
    let ((out, rest), (b, b_rest)) = (out.as_chunks_mut::<8>(), b.as_chunks::<8>());
    for (a, b) in out.iter_mut().zip(b) {
        let y = sum(load(a), load(b));
        store_wide(y, add.zero_point, add.min, add.max, a);
    }
    portable_add(add, rest, b_rest);
}

/// See [`MulWide`]. Farther than +-2^30 every int16 limit is the same.
#[target_feature(enable = "avx2")]
pub fn mul(mul: &MulWide, out: &mut [i16], b: &[i16]) {
    let (multiplier, shift) = (_mm256_set1_epi32(mul.multiplier), _mm256_set1_epi64x(mul.shift.into()));
    let ((out, rest), (b, b_rest)) = (out.as_chunks_mut::<8>(), b.as_chunks::<8>());
    for (a, b) in out.iter_mut().zip(b) {
        let product = _mm256_mullo_epi32(load(a), load(b));
        let even = quotient(product, multiplier, shift);
        let odd = quotient(_mm256_srli_epi64::<32>(product), multiplier, shift);
        store_wide(interleave(limit(even), limit(odd)), mul.zero_point, mul.min, mul.max, a);
    }
    portable_mul(mul, rest, b_rest);
}
