//! Depthwise convolution, see [`Depthwise`].
//!
//! The products of two taps share an int16 lane, one `smull` and one `smlal`, which two `saddw` add to the int32 sums: as many
//! instructions for the multiplying pipe as for the other; of int16 values each tap has a `smlal` and a `smlal2`. Pixels outside, channel blocks inside: where the taps of a few
//! pixels start stays in general registers, and so do the weights of a block for these pixels.

use core::arch::aarch64::*;

use super::{
    super::{Depthwise, PADDING, PARAM_BLOCK},
    epilogue::{finish, params},
    load, load_wide,
};
use crate::element::{Dtype, Value};

/// Where a tap's channels start in the input, or in the zero points.
type Start<X> = *const [X; 8];

/// Running sums of one pixel's 8 channels.
type Sums = [int32x4_t; 2];

#[inline(always)]
fn start<X>(depthwise: &Depthwise<X>, offset: u32) -> Start<X> {
    let start = depthwise.input.as_ptr().wrapping_add(offset as usize);
    if offset == PADDING { depthwise.zeros.as_ptr() } else { start }.cast()
}

/// Adds products, of one tap or two.
#[inline]
#[target_feature(enable = "neon")]
fn add(sums: &mut Sums, products: int16x8_t) {
    *sums = [vaddw_s16(sums[0], vget_low_s16(products)), vaddw_high_s16(sums[1], products)];
}

/// Eight values, which are bytes, of block `b` behind a start.
///
/// # Safety
/// `X` is `i8`, and there are `b` + 1 blocks.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn bytes<X>(start: Start<X>, b: usize) -> int8x8_t {
    // SAFETY: as the caller promises.
    load(unsafe { &*start.add(b).cast() })
}

/// Adds products of one tap of int16 values in block `b`.
///
/// # Safety
/// `X` is `i16`, and there are `b` + 1 blocks.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn add_wide<X>(sums: &mut Sums, start: Start<X>, b: usize, w: int16x8_t) {
    // SAFETY: as the caller promises.
    let x = load_wide(unsafe { &*start.add(b).cast() });
    *sums = [vmlal_s16(sums[0], vget_low_s16(x), vget_low_s16(w)), vmlal_high_s16(sums[1], x, w)];
}

/// All channels of `P` pixels, whose `T` taps start at `taps`; `out` is where the first pixel's results belong.
///
/// # Safety
/// From each start on, and as those of `P` pixels from `out` on, as many blocks are valid as there are parameters.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn tile<X: Value, Y: Value, const T: usize, const P: usize>(
    depthwise: &Depthwise<X>,
    taps: &[[Start<X>; T]; P],
    out: *mut [Y; 8],
) {
    let (blocks, _) = depthwise.params.as_chunks::<PARAM_BLOCK>();
    let (weights, _) = depthwise.weights.as_chunks::<8>();
    let (weights, _) = weights.as_chunks::<T>();
    let epilogue = depthwise.epilogue();
    for (b, (block, weights)) in blocks.iter().zip(weights).enumerate() {
        let params = params(block);
        let mut sums = [params.bias; P];
        if X::DTYPE != Dtype::I8 {
            for (t, w) in weights.iter().enumerate() {
                let w = vmovl_s8(load(w));
                for (sums, taps) in sums.iter_mut().zip(taps) {
                    // SAFETY: as the caller promises, `b` counts the blocks.
                    unsafe { add_wide(sums, taps[t], b, w) };
                }
            }
        } else {
            for pair in 0..T / 2 {
                let (t, u) = (2 * pair, 2 * pair + 1);
                let [w, v] = [load(&weights[t]), load(&weights[u])];
                for (sums, taps) in sums.iter_mut().zip(taps) {
                    // SAFETY: as above.
                    let (x, y) = unsafe { (bytes(taps[t], b), bytes(taps[u], b)) };
                    add(sums, vmlal_s8(vmull_s8(x, w), y, v));
                }
            }
            if T % 2 == 1 {
                let w = load(&weights[T - 1]);
                for (sums, taps) in sums.iter_mut().zip(taps) {
                    // SAFETY: as above.
                    add(sums, vmull_s8(unsafe { bytes(taps[T - 1], b) }, w));
                }
            }
        }
        for (p, sums) in sums.iter().enumerate() {
            // SAFETY: as the caller promises, with `p` of P pixels and `b` counting their blocks.
            finish(*sums, &params, &epilogue, unsafe { &mut *out.add(p * blocks.len() + b) });
        }
    }
}

/// Whether a pixel of 3 x 3 taps lies one column right of another.
#[inline(always)]
fn follows(first: &[u32; 9], second: &[u32; 9]) -> bool {
    let [_, a, b, _, c, d, _, e, f] = *first;
    let [g, h, _, i, j, _, k, l, _] = *second;
    (a == g) & (b == h) & (c == i) & (d == j) & (e == k) & (f == l)
}

/// Nine taps, as in 3 x 3 windows: four pixels in a row read six columns of three rows, or else two pixels at a time.
#[target_feature(enable = "neon")]
fn nine<X: Value, Y: Value>(depthwise: &Depthwise<X>, out: &mut [Y]) {
    let row = depthwise.params.len() / PARAM_BLOCK;
    let starts = |offsets: &[u32; 9]| offsets.map(|offset| start(depthwise, offset));
    let last = |offsets: &[u32; 9]| [offsets[2], offsets[5], offsets[8]].map(|offset| start(depthwise, offset));
    let (mut offsets, _) = depthwise.offsets.as_chunks::<9>();
    let mut out: *mut [Y; 8] = out.as_mut_ptr().cast();
    // SAFETY: `Kernels::depthwise` has checked that from each offset on, and for each pixel in `out`, there are `row` blocks; `out`
    // moves with `offsets`.
    unsafe {
        loop {
            let pixels = match offsets {
                [p, q, r, s, ..] if follows(p, q) && follows(q, r) && follows(r, s) => {
                    let [a0, a1, a2, b0, b1, b2, c0, c1, c2] = starts(p);
                    let [[a3, b3, c3], [a4, b4, c4], [a5, b5, c5]] = [last(q), last(r), last(s)];
                    let taps = [
                        [a0, a1, a2, b0, b1, b2, c0, c1, c2],
                        [a1, a2, a3, b1, b2, b3, c1, c2, c3],
                        [a2, a3, a4, b2, b3, b4, c2, c3, c4],
                        [a3, a4, a5, b3, b4, b5, c3, c4, c5],
                    ];
                    tile(depthwise, &taps, out);
                    4
                }
                [p, q, ..] => {
                    tile(depthwise, &[starts(p), starts(q)], out);
                    2
                }
                [p, ..] => {
                    tile(depthwise, &[starts(p)], out);
                    1
                }
                [] => break,
            };
            offsets = offsets.get(pixels..).unwrap_or_default();
            out = out.add(pixels * row);
        }
    }
}

/// Three taps, as in 3 x 1 and 1 x 3 windows: four pixels at a time.
#[target_feature(enable = "neon")]
fn three<X: Value, Y: Value>(depthwise: &Depthwise<X>, out: &mut [Y]) {
    let row = depthwise.params.len() / PARAM_BLOCK;
    let starts = |offsets: &[u32; 3]| offsets.map(|offset| start(depthwise, offset));
    let (tiles, rest) = depthwise.offsets.as_chunks::<3>().0.as_chunks::<4>();
    let mut out: *mut [Y; 8] = out.as_mut_ptr().cast();
    // SAFETY: `Kernels::depthwise` has checked that from each offset on, and for each pixel in `out`, there are `row` blocks; `out`
    // moves with the pixels.
    unsafe {
        for pixels in tiles {
            tile(depthwise, &pixels.each_ref().map(starts), out);
            out = out.add(4 * row);
        }
        for pixel in rest {
            tile(depthwise, &[starts(pixel)], out);
            out = out.add(row);
        }
    }
}

/// Starts that are kept for two pixels; of more taps they are made again for each block.
const KEPT: usize = 64;

/// Adds a block's products with some taps of two pixels: `[taps][8]` weights, and as many starts.
///
/// # Safety
/// From each start on, `b` + 1 blocks are valid.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn accumulate<X: Value>(sums: &mut [Sums; 2], weights: &[[i8; 8]], starts: &[[Start<X>; 2]], b: usize) {
    let [first, second] = sums;
    if X::DTYPE != Dtype::I8 {
        for (w, &[p, q]) in weights.iter().zip(starts) {
            let w = vmovl_s8(load(w));
            // SAFETY: as the caller promises.
            unsafe {
                add_wide(first, p, b, w);
                add_wide(second, q, b, w);
            }
        }
        return;
    }
    // SAFETY: as the caller promises.
    let x = |start: Start<X>| unsafe { bytes(start, b) };
    let ((weights, last_weight), (starts, last_start)) = (weights.as_chunks::<2>(), starts.as_chunks::<2>());
    for ([w, v], [[p, q], [r, s]]) in weights.iter().zip(starts) {
        let [w, v] = [load(w), load(v)];
        add(first, vmlal_s8(vmull_s8(x(*p), w), x(*r), v));
        add(second, vmlal_s8(vmull_s8(x(*q), w), x(*s), v));
    }
    if let ([w], [[p, q]]) = (last_weight, last_start) {
        let w = load(w);
        add(first, vmull_s8(x(*p), w));
        add(second, vmull_s8(x(*q), w));
    }
}

/// Where the taps of two pixels start.
#[inline(always)]
fn fill<X>(depthwise: &Depthwise<X>, starts: &mut [[Start<X>; 2]], first: &[u32], second: &[u32]) {
    for (starts, (&p, &q)) in starts.iter_mut().zip(first.iter().zip(second)) {
        *starts = [start(depthwise, p), start(depthwise, q)];
    }
}

/// Any number of taps: two pixels at a time.
#[target_feature(enable = "neon")]
fn any<X: Value, Y: Value>(depthwise: &Depthwise<X>, out: &mut [Y]) {
    let (blocks, _) = depthwise.params.as_chunks::<PARAM_BLOCK>();
    let (weights, _) = depthwise.weights.as_chunks::<8>();
    let (out, _) = out.as_chunks_mut::<8>(); // [pixels][blocks]
    // `max(1)`, `get_mut`: what `Kernels::depthwise` has checked, in a form that leaves the compiler no panic to emit.
    let (taps, row) = (depthwise.taps.max(1), blocks.len().max(1));
    let epilogue = depthwise.epilogue();
    let mut starts = [[depthwise.zeros.as_ptr().cast(); 2]; KEPT];
    for (out, offsets) in out.chunks_mut(2 * row).zip(depthwise.offsets.chunks(taps.saturating_mul(2))) {
        let (first, second) = offsets.split_at_checked(taps).unwrap_or_default();
        // An odd last pixel is computed twice.
        let second = if second.is_empty() { first } else { second };
        fill(depthwise, &mut starts, first, second);
        for (b, (block, weights)) in blocks.iter().zip(weights.chunks_exact(taps)).enumerate() {
            let block = params(block);
            let mut sums = [block.bias; 2];
            // SAFETY: `Kernels::depthwise` has checked that from each offset on there are as many blocks as parameters.
            unsafe {
                match starts.get(..taps) {
                    Some(starts) => accumulate(&mut sums, weights, starts, b),
                    None => {
                        let pixels = first.chunks(KEPT).zip(second.chunks(KEPT));
                        for (weights, (first, second)) in weights.chunks(KEPT).zip(pixels) {
                            fill(depthwise, &mut starts, first, second);
                            accumulate(&mut sums, weights, starts.get(..weights.len()).unwrap_or_default(), b);
                        }
                    }
                }
            }
            for (sums, out) in sums.into_iter().zip(out.chunks_exact_mut(row)) {
                if let Some(out) = out.get_mut(b) {
                    finish(sums, &block, &epilogue, out);
                }
            }
        }
    }
}

/// See [`Depthwise`].
#[target_feature(enable = "neon")]
pub fn depthwise<X: Value, Y: Value>(depthwise: &Depthwise<X>, out: &mut [Y]) {
    match depthwise.taps {
        3 => three(depthwise, out),
        9 => nine(depthwise, out),
        _ => any(depthwise, out),
    }
}
