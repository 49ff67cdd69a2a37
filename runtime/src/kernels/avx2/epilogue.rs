//! From the sums of eight channels to eight output bytes.

use core::arch::x86_64::*;

use super::{
    super::{Epilogue, MULTIPLIERS_AT, PARAM_BLOCK, Residual, SHIFTS_AT},
    interleave, load_words, quotient, store,
};

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

/// Limits 64-bit lanes to +-2^30.
#[inline]
#[target_feature(enable = "avx2")]
fn limit(x: __m256i) -> __m256i {
    let (low, high) = (_mm256_set1_epi64x(-(1 << 30)), _mm256_set1_epi64x(1 << 30));
    let x = _mm256_blendv_epi8(x, high, _mm256_cmpgt_epi64(x, high));
    _mm256_blendv_epi8(x, low, _mm256_cmpgt_epi64(low, x))
}

/// `(t + (r - zero_point) * multiplier + 2^11) >> 12`; the limits on t and the multiplier keep the sum inside 32 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn add_residual(t: __m256i, r: &[i8; 8], residual: &Residual) -> __m256i {
    let r = _mm256_sub_epi32(load_words(r), _mm256_set1_epi32(residual.zero_point.into()));
    let sum = _mm256_add_epi32(t, _mm256_mullo_epi32(r, _mm256_set1_epi32(residual.multiplier)));
    _mm256_srai_epi32::<12>(_mm256_add_epi32(sum, _mm256_set1_epi32(1 << 11)))
}

/// From sums, with their biases, to eight output bytes.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn finish(acc: __m256i, params: &Params, epilogue: &Epilogue, out: &mut [i8; 8]) {
    let even = quotient(acc, params.multiplier, params.shift[0]);
    let (acc, multiplier) = (_mm256_srli_epi64::<32>(acc), _mm256_srli_epi64::<32>(params.multiplier));
    let odd = quotient(acc, multiplier, params.shift[1]);
    let y = match &epilogue.residual {
        // s >= 32, so the quotients fit 32 bits.
        None => interleave(even, odd),
        Some(residual) => add_residual(interleave(limit(even), limit(odd)), out, residual),
    };
    store(y, epilogue.zero_point, epilogue.min, epilogue.max, out);
}
