//! From the sums of eight channels to eight outputs.

use core::arch::x86_64::*;

use super::{
    super::{Epilogue, MULTIPLIERS_AT, PARAM_BLOCK, Residual, SHIFTS_AT},
    interleave, limit, load_halves, load_words, quotient, shifted_wide, store, store_wide,
};
use crate::element::{Dtype, Value};

/// One channel block's parameters in registers.
pub(super) struct Params {
    /// For the sums, before [`finish`].
    pub bias: __m256i,
    multiplier: __m256i,
    /// Shifts of channels 0, 2, 4, 6 and of 1, 3, 5, 7, as 64-bit counts.
    shift: [__m256i; 2],
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn params(block: &[u8; PARAM_BLOCK]) -> Params {
    let p = block.as_ptr();
    // SAFETY: loads of 32, 32 and 8 bytes at 0, 32 and 64 end at byte 72, the block's length; none needs alignment.
    let (bias, multiplier, shift) = unsafe {
        (
            _mm256_loadu_si256(p.cast()),
            _mm256_loadu_si256(p.add(MULTIPLIERS_AT).cast()),
            _mm_loadl_epi64(p.add(SHIFTS_AT).cast()),
        )
    };
    let shift = _mm256_cvtepu8_epi32(shift);
    let even = _mm256_and_si256(shift, _mm256_set1_epi64x(0xffff_ffff));
    Params { bias, multiplier, shift: [even, _mm256_srli_epi64::<32>(shift)] }
}

/// `(t + (r - zero_point) * multiplier + 2^11) >> 12`; the limits on t and the multiplier keep the sum inside 32 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn add_residual(t: __m256i, r: &[i8; 8], residual: &Residual) -> __m256i {
    let r = _mm256_sub_epi32(load_words(r), _mm256_set1_epi32(residual.zero_point.into()));
    let sum = _mm256_add_epi32(t, _mm256_mullo_epi32(r, _mm256_set1_epi32(residual.multiplier)));
    _mm256_srai_epi32::<12>(_mm256_add_epi32(sum, _mm256_set1_epi32(1 << 11)))
}

/// The same in Q20 and 64 bits: `(2^8 * t + (r - zero_point) * multiplier + 2^19) >> 20`, `t` as even and odd 64-bit lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn add_residual_wide([even, odd]: [__m256i; 2], r: __m128i, residual: &Residual) -> __m256i {
    let r = _mm256_sub_epi32(_mm256_cvtepi16_epi32(r), _mm256_set1_epi32(residual.zero_point.into()));
    let multiplier = _mm256_set1_epi32(residual.multiplier);
    let sum = |t: __m256i, r: __m256i| {
        shifted_wide(_mm256_add_epi64(_mm256_slli_epi64::<8>(t), _mm256_mul_epi32(r, multiplier)))
    };
    interleave(sum(even, r), sum(odd, _mm256_srli_epi64::<32>(r)))
}

/// From sums, with their biases, to eight outputs.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn finish<Y: Value>(acc: __m256i, params: &Params, epilogue: &Epilogue, out: &mut [Y; 8]) {
    let even = quotient(acc, params.multiplier, params.shift[0]);
    let (acc, multiplier) = (_mm256_srli_epi64::<32>(acc), _mm256_srli_epi64::<32>(params.multiplier));
    let odd = quotient(acc, multiplier, params.shift[1]);
    let &Epilogue { zero_point, min, max, .. } = epilogue;
    if Y::DTYPE == Dtype::I8 {
        // SAFETY: `Y` is i8.
        let out: &mut [i8; 8] = unsafe { &mut *out.as_mut_ptr().cast() };
        let y = match &epilogue.residual {
            // s >= 32, so the quotients fit 32 bits.
            None => interleave(even, odd),
            Some(residual) => add_residual(interleave(limit(even), limit(odd)), out, residual),
        };
        store(y, zero_point, min, max, out);
    } else {
        let [even, odd] = [limit(even), limit(odd)];
        let y = match &epilogue.residual {
            // Farther than +-2^30 every int16 limit is the same.
            None => interleave(even, odd),
            Some(residual) => add_residual_wide([even, odd], load_halves(out), residual),
        };
        // SAFETY: `Y` is i16, the only other type.
        store_wide(y, zero_point, min, max, unsafe { &mut *out.as_mut_ptr().cast() });
    }
}
