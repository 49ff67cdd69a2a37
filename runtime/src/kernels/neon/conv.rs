//! Convolution, see [`Conv`].
//!
//! 2 pixels x 8 channels of int32x4 stay in 16 registers. One step of depth 8 takes one weight line of 64 bytes,
//! `[8 ch][8 k]`, and 8 bytes of each pixel; the four lanes of an accumulator hold partial sums over k that [`sums`] adds at
//! the end.

mod wide;

use core::arch::{aarch64::*, asm};

use super::{
    super::{Conv, PADDING, PARAM_BLOCK, WEIGHT_STEP},
    channel,
    epilogue::{finish, params},
    load, sums,
};
use crate::element::{Dtype, Value};

/// Where the taps' runs of a channel block start.
struct Starts<X> {
    /// What the offsets count from.
    input: *const X,
    zeros: *const X,
    /// Depth steps of a run.
    steps: usize,
}

impl<X> Starts<X> {
    #[inline(always)]
    fn of(&self, offset: u32) -> *const [X; 8] {
        let start = self.input.wrapping_add(offset as usize);
        if offset == PADDING { self.zeros.cast() } else { start.cast() }
    }

    /// The same of values of the type that they are.
    #[inline(always)]
    fn cast<Y>(&self) -> Starts<Y> {
        Starts { input: self.input.cast(), zeros: self.zeros.cast(), steps: self.steps }
    }
}

/// Running sums of 2 pixels x 8 channels.
struct Tile {
    /// Four partial sums of each.
    lanes: [[int32x4_t; 8]; 2],
    /// Products of channel 7, one vector a pixel, that still wait for their `sadalp`.
    waiting: [int16x8_t; 2],
}

/// Channel `C` of two depth steps: multiplies its weights `w` with the pixels `x` and `y`, loads the weights of channel `C` + 1
/// into `w`, and adds the products that wait from the channel before to that channel's sums.
///
/// Assembly for the order alone, which decides the speed: the compiler gathers multiplies, and they queue for their one pipe.
/// Here a multiply and a `sadalp` alternate, as A57 and A72 can start one of each in a cycle. A53 issues in order: an integer
/// load shares the cycle of a 128-bit operation and `fmov` that of a 64-bit load, so half of the weights come for nothing.
#[inline]
#[target_feature(enable = "neon")]
fn two_steps_of<const C: usize>(
    tile: &mut Tile,
    lines: &[[i8; WEIGHT_STEP]; 2],
    w: &mut [int8x8_t; 2],
    [x, y]: &[[int8x8_t; 2]; 2],
) {
    let [first, second] = &mut tile.lanes;
    let before = (C + 7) % 8;
    let (products, next);
    // SAFETY: reads 8 bytes of either line at 8 * ((C + 1) % 8) <= 56; writes registers only.
    unsafe {
        let (p, q): (int16x8_t, int16x8_t);
        let (n0, n1): (int8x8_t, int8x8_t);
        asm!(
            "smull {p:v}.8h, {w0:v}.8b, {x0:v}.8b",
            "ldr {t:x}, [{lines}, #{at_second}]",
            "sadalp {first:v}.4s, {wait_x:v}.8h",
            "smull {q:v}.8h, {w0:v}.8b, {y0:v}.8b",
            "sadalp {second:v}.4s, {wait_y:v}.8h",
            "smlal {p:v}.8h, {w1:v}.8b, {x1:v}.8b",
            "ldr {n0:d}, [{lines}, #{at_first}]",
            "fmov {n1:d}, {t:x}",
            "smlal {q:v}.8h, {w1:v}.8b, {y1:v}.8b",
            lines = in(reg) lines.as_ptr(),
            at_first = const 8 * ((C + 1) % 8),
            at_second = const WEIGHT_STEP + 8 * ((C + 1) % 8),
            w0 = in(vreg) w[0], w1 = in(vreg) w[1],
            x0 = in(vreg) x[0], x1 = in(vreg) x[1], y0 = in(vreg) y[0], y1 = in(vreg) y[1],
            wait_x = in(vreg) tile.waiting[0], wait_y = in(vreg) tile.waiting[1],
            first = inout(vreg) first[before], second = inout(vreg) second[before],
            p = out(vreg) p, q = out(vreg) q, t = out(reg) _, n0 = out(vreg) n0, n1 = out(vreg) n1,
            options(readonly, nostack, preserves_flags),
        );
        (products, next) = ([p, q], [n0, n1]);
    }
    tile.waiting = products;
    *w = next;
}

/// Two depth steps of both pixels: the whole speed of a convolution is here.
#[inline]
#[target_feature(enable = "neon")]
fn two_steps(tile: &mut Tile, lines: &[[i8; WEIGHT_STEP]; 2], first: [&[i8; 8]; 2], second: [&[i8; 8]; 2]) {
    let x = [[load(first[0]), load(first[1])], [load(second[0]), load(second[1])]];
    let w = &mut [channel(&lines[0], 0), channel(&lines[1], 0)];
    two_steps_of::<0>(tile, lines, w, &x);
    two_steps_of::<1>(tile, lines, w, &x);
    two_steps_of::<2>(tile, lines, w, &x);
    two_steps_of::<3>(tile, lines, w, &x);
    two_steps_of::<4>(tile, lines, w, &x);
    two_steps_of::<5>(tile, lines, w, &x);
    two_steps_of::<6>(tile, lines, w, &x);
    two_steps_of::<7>(tile, lines, w, &x);
}

/// One depth step, where their number is odd.
#[inline]
#[target_feature(enable = "neon")]
fn one_step(tile: &mut Tile, line: &[i8; WEIGHT_STEP], first: &[i8; 8], second: &[i8; 8]) {
    let x = [load(first), load(second)];
    for c in 0..8 {
        let w = channel(line, c);
        for (lanes, x) in tile.lanes.iter_mut().zip(x) {
            lanes[c] = vpadalq_s16(lanes[c], vmull_s8(x, w));
        }
    }
}

/// Sums over all taps and depth steps for two pixels, whose tap offsets are given. `lines`: `[taps][steps]`.
///
/// Of each type `Y` of results a function of its own, which has one caller and is put in its place: the call costs 1 % of a net.
#[inline]
#[target_feature(enable = "neon")]
fn accumulate<Y>(
    starts: Starts<i8>,
    lines: &[[i8; WEIGHT_STEP]],
    first: &[u32],
    second: &[u32],
) -> [[int32x4_t; 8]; 2] {
    let run = |offset| starts.of(offset);
    let mut tile = Tile { lanes: [[vdupq_n_s32(0); 8]; 2], waiting: [vdupq_n_s16(0); 2] };
    let (mut line, steps) = (lines.as_ptr(), starts.steps);
    let mut taps = first.iter().zip(second);
    // SAFETY: `lines` holds taps * steps lines and each run `steps` entries, as `Kernels::conv` has checked; every line and
    // every entry is taken once, in order.
    unsafe {
        if steps == 1 {
            // A first layer, RGB padded to 8 channels, or narrow groups: the two depth steps are two taps.
            for _ in 0..first.len() / 2 {
                let (Some((&a, &c)), Some((&b, &d))) = (taps.next(), taps.next()) else { break };
                two_steps(&mut tile, &*line.cast(), [&*run(a), &*run(b)], [&*run(c), &*run(d)]);
                line = line.add(2);
            }
        }
        for (&first, &second) in taps {
            let (mut x, mut y) = (run(first), run(second));
            for _ in 0..steps / 2 {
                two_steps(&mut tile, &*line.cast(), [&*x, &*x.add(1)], [&*y, &*y.add(1)]);
                (line, x, y) = (line.add(2), x.add(2), y.add(2));
            }
            if !steps.is_multiple_of(2) {
                one_step(&mut tile, &*line, &*x, &*y);
                line = line.add(1);
            }
        }
    }
    for (lanes, waiting) in tile.lanes.iter_mut().zip(tile.waiting) {
        lanes[7] = vpadalq_s16(lanes[7], waiting);
    }
    tile.lanes
}

/// See [`Conv`]. Channel blocks outside, pixels inside: one block's weights stay in the first-level cache for the strip.
#[target_feature(enable = "neon")]
pub fn conv<X: Value, Y: Value>(conv: &Conv<X>, out: &mut [Y]) {
    let (blocks, _) = conv.params.as_chunks::<PARAM_BLOCK>();
    let (lines, _) = conv.weights.as_chunks::<WEIGHT_STEP>();
    let (out, _) = out.as_chunks_mut::<8>(); // [pixels][blocks]
    // `max(1)`, `get_mut`: what `Kernels::conv` has checked, in a form that leaves the compiler no panic to emit.
    let (depth, row) = (conv.taps.saturating_mul(conv.runs.span() / 8).max(1), blocks.len().max(1));
    for (b, (block, lines)) in blocks.iter().zip(lines.chunks_exact(depth)).enumerate() {
        let starts = Starts {
            input: conv.input.as_ptr().wrapping_add(conv.runs.start(b)),
            zeros: conv.zeros.as_ptr(),
            steps: conv.runs.span() / 8,
        };
        for (out, offsets) in out.chunks_mut(2 * row).zip(conv.offsets.chunks(conv.taps.saturating_mul(2).max(1))) {
            let (first, second) = offsets.split_at_checked(conv.taps).unwrap_or_default();
            // An odd last pixel is computed twice.
            let second = if second.is_empty() { first } else { second };
            let tile = match X::DTYPE {
                Dtype::I8 => accumulate::<Y>(starts.cast(), lines, first, second),
                _ => wide::accumulate(starts.cast(), lines, first, second),
            };
            let block = params(block);
            for (lanes, out) in tile.iter().zip(out.chunks_exact_mut(row)) {
                if let Some(out) = out.get_mut(b) {
                    let [low, high] = sums(lanes);
                    let acc = [vaddq_s32(low, block.bias[0]), vaddq_s32(high, block.bias[1])];
                    finish(acc, &block, &conv.epilogue, out);
                }
            }
        }
    }
}
