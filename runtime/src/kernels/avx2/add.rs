//! Element-wise sum, maximum or minimum.

use core::arch::x86_64::*;

use super::{
    super::add::{Add, Combine, portable},
    load_words, store,
};

/// See [`Add`]: `(combine((a - za) * ma, (b - zb) * mb) + 2^11) >> 12`; |sum| <= 255 * 2^22 + 2^11 fits 32 bits.
#[target_feature(enable = "avx2")]
pub fn add(add: &Add, out: &mut [i8], b: &[i8]) {
    match add.combine {
        Combine::Sum => each(add, out, b, |x, y| _mm256_add_epi32(x, y)),
        Combine::Maximum => each(add, out, b, |x, y| _mm256_max_epi32(x, y)),
        Combine::Minimum => each(add, out, b, |x, y| _mm256_min_epi32(x, y)),
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn each(add: &Add, out: &mut [i8], b: &[i8], combine: impl Fn(__m256i, __m256i) -> __m256i) {
    let [za, zb] = add.zero_points.map(|z| _mm256_set1_epi32(z.into()));
    let [ma, mb] = add.multipliers.map(|m| _mm256_set1_epi32(m));
    let (chunks, b_rest) = b.as_chunks::<8>();
    for out in out.chunks_exact_mut(b.len().max(1)) {
        let (out, rest) = out.as_chunks_mut::<8>();
        for (a, b) in out.iter_mut().zip(chunks) {
            let x = _mm256_mullo_epi32(_mm256_sub_epi32(load_words(a), za), ma);
            let y = _mm256_mullo_epi32(_mm256_sub_epi32(load_words(b), zb), mb);
            let sum = _mm256_add_epi32(combine(x, y), _mm256_set1_epi32(1 << 11));
            store(_mm256_srai_epi32::<12>(sum), add.zero_point, add.min, add.max, a);
        }
        portable(add, rest, b_rest);
    }
}
