//! Element-wise product.

use core::arch::x86_64::*;

use super::{
    super::mul::{Mul, portable},
    interleave, load_words, quotient, store,
};

/// See [`Mul`]. With shifts from 32 on the quotients fit 32 bits.
#[target_feature(enable = "avx2")]
pub fn mul(mul: &Mul, out: &mut [i8], b: &[i8]) {
    let [za, zb] = mul.zero_points.map(|z| _mm256_set1_epi32(z.into()));
    let (multiplier, shift) = (_mm256_set1_epi32(mul.multiplier), _mm256_set1_epi64x(mul.shift.into()));
    let (chunks, b_rest) = b.as_chunks::<8>();
    for out in out.chunks_exact_mut(b.len().max(1)) {
        let (out, rest) = out.as_chunks_mut::<8>();
        for (a, b) in out.iter_mut().zip(chunks) {
            let (x, y) = (_mm256_sub_epi32(load_words(a), za), _mm256_sub_epi32(load_words(b), zb));
            let product = _mm256_mullo_epi32(x, y);
            let even = quotient(product, multiplier, shift);
            let odd = quotient(_mm256_srli_epi64::<32>(product), multiplier, shift);
            store(interleave(even, odd), mul.zero_point, mul.min, mul.max, a);
        }
        portable(mul, rest, b_rest);
    }
}
