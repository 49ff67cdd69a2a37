//! Depthwise convolution, see [`Depthwise`].
//!
//! Values of two taps are interleaved as int16, so that `vpmaddwd` adds the two products of each channel: exact.

use core::arch::x86_64::*;

use super::{
    super::{Depthwise, PARAM_BLOCK},
    epilogue::{finish, params},
    load_halves,
};
use crate::element::{Dtype, Value};

/// `[channel][tap]` as int16, of 8 channels of two taps.
#[inline]
#[target_feature(enable = "avx2")]
fn interleaved<X: Value>(first: &[X; 8], second: &[X; 8]) -> __m256i {
    if X::DTYPE == Dtype::I8 {
        // SAFETY: 8 bytes each; the loads need no alignment.
        let [first, second] = [first, second].map(|x| unsafe { _mm_loadl_epi64(x.as_ptr().cast()) });
        return _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(first, second));
    }
    let [first, second] = [first, second].map(|x| load_halves(x));
    _mm256_set_m128i(_mm_unpackhi_epi16(first, second), _mm_unpacklo_epi16(first, second))
}

/// Sums of a channel block of two pixels.
#[inline]
#[target_feature(enable = "avx2")]
fn sums<X: Value>(depthwise: &Depthwise<X>, weights: &[[i8; 8]], pixels: [&[u32]; 2], b: usize) -> [__m256i; 2] {
    let none = &[X::from(0); 8];
    let x = |offset: u32| depthwise.run(offset).get(b).unwrap_or(none);
    let (weights, last_weight) = weights.as_chunks::<2>();
    let [(first, last_first), (second, last_second)] = pixels.map(|offsets| offsets.as_chunks::<2>());
    let mut sums = [_mm256_setzero_si256(); 2];
    let mut add = |x: [__m256i; 2], w: __m256i| {
        for (sum, x) in sums.iter_mut().zip(x) {
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(x, w));
        }
    };
    for ([w, v], ([p, q], [r, s])) in weights.iter().zip(first.iter().zip(second)) {
        add([interleaved(x(*p), x(*q)), interleaved(x(*r), x(*s))], interleaved(w, v));
    }
    if let ([w], [p], [q]) = (last_weight, last_first, last_second) {
        add([interleaved(x(*p), none), interleaved(x(*q), none)], interleaved(w, &[0; 8]));
    }
    sums
}

/// See [`Depthwise`]. Pixels outside, channel blocks inside: all weights together are small.
#[target_feature(enable = "avx2")]
pub fn depthwise<X: Value, Y: Value>(depthwise: &Depthwise<X>, out: &mut [Y]) {
    let (blocks, _) = depthwise.params.as_chunks::<PARAM_BLOCK>();
    let (weights, _) = depthwise.weights.as_chunks::<8>();
    let (out, _) = out.as_chunks_mut::<8>(); // [pixels][blocks]
    // `max(1)`, `get_mut`: what `Kernels::depthwise` has checked, in a form that leaves the compiler no panic to emit.
    let (taps, row) = (depthwise.taps.max(1), blocks.len().max(1));
    let epilogue = depthwise.epilogue();
    for (out, offsets) in out.chunks_mut(2 * row).zip(depthwise.offsets.chunks(taps.saturating_mul(2))) {
        let (first, second) = offsets.split_at_checked(taps).unwrap_or_default();
        // An odd last pixel is computed twice.
        let second = if second.is_empty() { first } else { second };
        for (b, (block, weights)) in blocks.iter().zip(weights.chunks_exact(taps)).enumerate() {
            let block = params(block);
            let sums = sums(depthwise, weights, [first, second], b);
            for (sum, out) in sums.into_iter().zip(out.chunks_exact_mut(row)) {
                if let Some(out) = out.get_mut(b) {
                    finish(_mm256_add_epi32(sum, block.bias), &block, &epilogue, out);
                }
            }
        }
    }
}
