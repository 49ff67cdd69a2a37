//! Element-wise sum.

use core::arch::x86_64::*;

use super::{
    super::add::{Add, portable},
    load_words, store,
};

/// See [`Add`]: `((a - za) * ma + (b - zb) * mb + 2^11) >> 12`; |sum| <= 255 * 2^22 + 2^11 fits 32 bits.
#[target_feature(enable = "avx2")]
pub fn add(add: &Add, out: &mut [i8], b: &[i8]) {
    let [za, zb] = add.zero_points.map(|z| _mm256_set1_epi32(z.into()));
    let [ma, mb] = add.multipliers.map(|m| _mm256_set1_epi32(m));
    let ((out, out_rest), (b, b_rest)) = (out.as_chunks_mut::<8>(), b.as_chunks::<8>());
    for (a, b) in out.iter_mut().zip(b) {
        let x = _mm256_mullo_epi32(_mm256_sub_epi32(load_words(a), za), ma);
        let y = _mm256_mullo_epi32(_mm256_sub_epi32(load_words(b), zb), mb);
        let sum = _mm256_add_epi32(_mm256_add_epi32(x, y), _mm256_set1_epi32(1 << 11));
        store(_mm256_srai_epi32::<12>(sum), add.zero_point, add.min, add.max, a);
    }
    portable(add, out_rest, b_rest);
}
