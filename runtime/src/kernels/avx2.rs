//! x86-64 AVX2, so that the host measures a network as fast as it can and as the board will.
//!
//! Bytes are sign-extended, then `vpmaddwd` adds two int16 products in int32: exact. `vpmaddubsw` would save the extension but
//! saturates its int16 sums, hence never appears here. One 16-byte load of a weight line `[8 ch][8 k]` holds two channels,
//! which meet the pixel's 8 bytes stored twice; four accumulators of two channels x four lanes make a block of eight.

pub(super) mod add;
pub(super) mod conv;
pub(super) mod gemv;

use core::arch::x86_64::*;

use super::WEIGHT_STEP;

/// Partial sums of 8 channels: entry `i` holds channels 2i and 2i + 1, four lanes each.
type Lanes = [__m256i; 4];

/// 8 bytes as int16, twice.
#[inline]
#[target_feature(enable = "avx2")]
fn load_twice(x: &[i8; 8]) -> __m256i {
    _mm256_cvtepi8_epi16(_mm_set1_epi64x(i64::from_le_bytes(x.map(i8::cast_unsigned))))
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
fn step<const N: usize>(tile: &mut [Lanes; N], line: &[i8; WEIGHT_STEP], x: [&[i8; 8]; N]) {
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

/// Zero point, clamp, store. Saturating at int16 first is harmless: +-32767 and a zero point still lie beyond every int8
/// limit.
#[inline]
#[target_feature(enable = "avx2")]
fn store(y: __m256i, zero_point: i8, min: i8, max: i8, out: &mut [i8; 8]) {
    let y = _mm_packs_epi32(_mm256_castsi256_si128(y), _mm256_extracti128_si256::<1>(y));
    let y = _mm_adds_epi16(y, _mm_set1_epi16(zero_point.into()));
    let y = _mm_min_epi16(_mm_max_epi16(y, _mm_set1_epi16(min.into())), _mm_set1_epi16(max.into()));
    *out = _mm_cvtsi128_si64(_mm_packs_epi16(y, y)).to_le_bytes().map(u8::cast_signed);
}
