//! Convolution, see [`Conv`].

use core::arch::x86_64::*;

use super::{
    super::{Conv, Epilogue, MULTIPLIERS_AT, PARAM_BLOCK, Residual, SHIFTS_AT, WEIGHT_STEP},
    Lanes, interleave, load_words, quotient, step, store, sums,
};

/// One channel block's parameters in registers.
struct Params {
    bias: __m256i,
    multiplier: __m256i,
    /// Shifts of channels 0, 2, 4, 6 and of 1, 3, 5, 7, as 64-bit counts.
    shift: [__m256i; 2],
}

#[inline]
#[target_feature(enable = "avx2")]
fn params(block: &[u8; PARAM_BLOCK]) -> Params {
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

/// From partial sums to eight output bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn finish(lanes: &Lanes, params: &Params, epilogue: &Epilogue, out: &mut [i8; 8]) {
    let acc = _mm256_add_epi32(sums(lanes), params.bias);
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

/// See [`Conv`]. Channel blocks outside, pixels inside: one block's weights stay in the first-level cache for the strip.
#[target_feature(enable = "avx2")]
pub fn conv(conv: &Conv, out: &mut [i8]) {
    let (blocks, _) = conv.params.as_chunks::<PARAM_BLOCK>();
    let (lines, _) = conv.weights.as_chunks::<WEIGHT_STEP>();
    let (out, _) = out.as_chunks_mut::<8>(); // [pixels][blocks]
    // `max(1)`, `get_mut`: what `Kernels::conv` has checked, in a form that leaves the compiler no panic to emit.
    let (depth, row) = (conv.taps.saturating_mul(conv.groups).max(1), blocks.len().max(1));
    for (b, (block, lines)) in blocks.iter().zip(lines.chunks_exact(depth)).enumerate() {
        let block = params(block);
        for (out, offsets) in out.chunks_mut(2 * row).zip(conv.offsets.chunks(conv.taps.saturating_mul(2).max(1))) {
            let (first, second) = offsets.split_at_checked(conv.taps).unwrap_or_default();
            // An odd last pixel is computed twice.
            let second = if second.is_empty() { first } else { second };
            let mut tile = [[_mm256_setzero_si256(); 4]; 2];
            for ((lines, &first), &second) in lines.chunks_exact(conv.groups.max(1)).zip(first).zip(second) {
                for ((line, first), second) in lines.iter().zip(conv.run(first)).zip(conv.run(second)) {
                    step(&mut tile, line, [first, second]);
                }
            }
            for (lanes, out) in tile.iter().zip(out.chunks_exact_mut(row)) {
                if let Some(out) = out.get_mut(b) {
                    finish(lanes, &block, &conv.epilogue, out);
                }
            }
        }
    }
}
