//! x86-64 AVX2, so that the host measures a network as fast as it can and as the board will.
//!
//! Bytes are sign-extended, then `vpmaddwd` adds two int16 products in int32: exact. `vpmaddubsw` would save the extension but
//! saturates its int16 sums, hence never appears here. One 16-byte load of a weight line `[8 ch][8 k]` holds two channels,
//! which meet the pixel's 8 bytes stored twice; four accumulators of two channels x four lanes make a block of eight.

pub(super) mod add;
pub(super) mod conv;
pub(super) mod depthwise;
mod epilogue;
pub(super) mod gemv;
pub(super) mod lookup;
pub(super) mod mul;
pub(super) mod wide;

use core::arch::x86_64::*;

use super::WEIGHT_STEP;
use crate::element::{Dtype, Value};

/// Partial sums of 8 channels: entry `i` holds channels 2i and 2i + 1, four lanes each.
type Lanes = [__m256i; 4];

/// 8 values as int16, twice.
#[inline]
#[target_feature(enable = "avx2")]
fn load_twice<X: Value>(x: &[X; 8]) -> __m256i {
    _mm256_broadcastsi128_si256(load_halves(x))
}

/// 8 values as int16.
#[inline]
#[target_feature(enable = "avx2")]
fn load_halves<X: Value>(x: &[X; 8]) -> __m128i {
    // SAFETY: 8 bytes or 8 x 2, as the type of the values says; the loads need no alignment.
    unsafe {
        match X::DTYPE {
            Dtype::I8 => _mm_cvtepi8_epi16(_mm_loadl_epi64(x.as_ptr().cast())),
            _ => _mm_loadu_si128(x.as_ptr().cast()),
        }
    }
}

/// Channels 2 `pair` and 2 `pair` + 1 of a weight line as int16.
#[inline]
#[target_feature(enable = "avx2")]
fn channel_pair(line: &[i8; WEIGHT_STEP], pair: usize) -> __m256i {
    debug_assert!(pair < 4);
    // SAFETY: `pair` counts the line's four pairs of 16 bytes; `loadu` needs no alignment.
    _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(line.as_ptr().add(16 * pair).cast()) })
}

/// One depth step of eight channels for `N` inputs.
#[inline]
#[target_feature(enable = "avx2")]
fn step<X: Value, const N: usize>(tile: &mut [Lanes; N], line: &[i8; WEIGHT_STEP], x: [&[X; 8]; N]) {
    let x = x.map(|x| load_twice(x));
    for pair in 0..4 {
        let w = channel_pair(line, pair);
        for (lanes, &x) in tile.iter_mut().zip(&x) {
            lanes[pair] = _mm256_add_epi32(lanes[pair], _mm256_madd_epi16(x, w));
        }
    }
}

/// Adds the four lanes of each channel and puts the channels in order.
#[inline]
#[target_feature(enable = "avx2")]
fn sums(lanes: &Lanes) -> __m256i {
    let [a, b, c, d] = *lanes;
    // 0 2 4 6 | 1 3 5 7
    let sums = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    _mm256_permutevar8x32_epi32(sums, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))
}

/// Eight bytes as int32.
#[inline]
#[target_feature(enable = "avx2")]
fn load_words(x: &[i8; 8]) -> __m256i {
    _mm256_cvtepi8_epi32(_mm_cvtsi64_si128(i64::from_le_bytes(x.map(i8::cast_unsigned))))
}

/// Zero point, clamp to int8 limits, store. Saturating at int16 first is harmless: +-32767 and a zero point still lie beyond
/// every one of them.
#[inline]
#[target_feature(enable = "avx2")]
fn store(y: __m256i, zero_point: i8, min: i16, max: i16, out: &mut [i8; 8]) {
    let y = _mm_packs_epi32(_mm256_castsi256_si128(y), _mm256_extracti128_si256::<1>(y));
    let y = _mm_adds_epi16(y, _mm_set1_epi16(zero_point.into()));
    let y = _mm_min_epi16(_mm_max_epi16(y, _mm_set1_epi16(min)), _mm_set1_epi16(max));
    *out = _mm_cvtsi128_si64(_mm_packs_epi16(y, y)).to_le_bytes().map(u8::cast_signed);
}

/// Zero point, clamp to int16 limits, store.
#[inline]
#[target_feature(enable = "avx2")]
fn store_wide(y: __m256i, zero_point: i8, min: i16, max: i16, out: &mut [i16; 8]) {
    let y = _mm256_add_epi32(y, _mm256_set1_epi32(zero_point.into()));
    let y = _mm_packs_epi32(_mm256_castsi256_si128(y), _mm256_extracti128_si256::<1>(y));
    let y = _mm_min_epi16(_mm_max_epi16(y, _mm_set1_epi16(min)), _mm_set1_epi16(max));
    // SAFETY: `out` is eight writable values; `storeu` needs no alignment.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), y) };
}

/// Limits 64-bit lanes to +-2^30.
#[inline]
#[target_feature(enable = "avx2")]
fn limit(x: __m256i) -> __m256i {
    let (low, high) = (_mm256_set1_epi64x(-(1 << 30)), _mm256_set1_epi64x(1 << 30));
    let x = _mm256_blendv_epi8(x, high, _mm256_cmpgt_epi64(x, high));
    _mm256_blendv_epi8(x, low, _mm256_cmpgt_epi64(low, x))
}

/// `(x + 2^19) >> 20` of 64-bit lanes, where the result fits 32 bits: those of a logical shift are the same.
#[inline]
#[target_feature(enable = "avx2")]
fn shifted_wide(x: __m256i) -> __m256i {
    _mm256_srli_epi64::<20>(_mm256_add_epi64(x, _mm256_set1_epi64x(1 << 19)))
}

/// `floor((acc * m + 2^(s-1)) / 2^s)` in 64 bits for the four even channels of `acc` and `m`, s in [16, 62].
///
/// AVX2 has no arithmetic shift of 64-bit lanes: P + 2^63 is the unsigned form of P, and as s < 64,
/// floor(P / 2^s) = floor((P + 2^63) / 2^s) - 2^(63-s).
#[inline]
#[target_feature(enable = "avx2")]
fn quotient(acc: __m256i, multiplier: __m256i, shift: __m256i) -> __m256i {
    let sign = _mm256_set1_epi64x(i64::MIN);
    let round = _mm256_srlv_epi64(sign, _mm256_sub_epi64(_mm256_set1_epi64x(64), shift)); // 2^(63 - (64 - s)) = 2^(s-1)
    let product = _mm256_add_epi64(_mm256_mul_epi32(acc, multiplier), round);
    let shifted = _mm256_srlv_epi64(_mm256_xor_si256(product, sign), shift);
    _mm256_sub_epi64(shifted, _mm256_srlv_epi64(sign, shift))
}

/// Low halves of 64-bit lanes, even and odd channels, back in order.
#[inline]
#[target_feature(enable = "avx2")]
fn interleave(even: __m256i, odd: __m256i) -> __m256i {
    _mm256_blend_epi32::<0b1010_1010>(even, _mm256_slli_epi64::<32>(odd))
}
