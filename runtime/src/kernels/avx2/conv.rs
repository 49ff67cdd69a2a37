//! Convolution, see [`Conv`].

use core::arch::x86_64::*;

use super::{
    super::{Conv, PARAM_BLOCK, WEIGHT_STEP},
    epilogue::{finish, params},
    step, sums,
};
use crate::element::Value;

/// See [`Conv`]. Channel blocks outside, pixels inside: one block's weights stay in the first-level cache for the strip.
#[target_feature(enable = "avx2")]
pub fn conv<X: Value, Y: Value>(conv: &Conv<X>, out: &mut [Y]) {
    let (blocks, _) = conv.params.as_chunks::<PARAM_BLOCK>();
    let (lines, _) = conv.weights.as_chunks::<WEIGHT_STEP>();
    let (out, _) = out.as_chunks_mut::<8>(); // [pixels][blocks]
    // `max(1)`, `get_mut`: what `Kernels::conv` has checked, in a form that leaves the compiler no panic to emit.
    let steps = (conv.runs.span() / 8).max(1);
    let (depth, row) = (conv.taps.saturating_mul(steps).max(1), blocks.len().max(1));
    for (b, (block, lines)) in blocks.iter().zip(lines.chunks_exact(depth)).enumerate() {
        let (block, start) = (params(block), conv.runs.start(b));
        for (out, offsets) in out.chunks_mut(2 * row).zip(conv.offsets.chunks(conv.taps.saturating_mul(2).max(1))) {
            let (first, second) = offsets.split_at_checked(conv.taps).unwrap_or_default();
            // An odd last pixel is computed twice.
            let second = if second.is_empty() { first } else { second };
            let mut tile = [[_mm256_setzero_si256(); 4]; 2];
            for ((lines, &first), &second) in lines.chunks_exact(steps).zip(first).zip(second) {
                for ((line, first), second) in lines.iter().zip(conv.run(first, start)).zip(conv.run(second, start)) {
                    step(&mut tile, line, [first, second]);
                }
            }
            for (lanes, out) in tile.iter().zip(out.chunks_exact_mut(row)) {
                if let Some(out) = out.get_mut(b) {
                    finish(_mm256_add_epi32(sums(lanes), block.bias), &block, &conv.epilogue, out);
                }
            }
        }
    }
}
