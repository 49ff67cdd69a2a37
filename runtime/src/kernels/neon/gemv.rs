//! Matrix times vector.

use core::arch::{aarch64::*, asm};

use super::{super::WEIGHT_STEP, channel, load, load_wide, multiply, sums};

/// Channels 2 `pair` and 2 `pair` + 1 of a weight line: 16 bytes.
#[inline]
#[target_feature(enable = "neon")]
fn channel_pair(line: &[i8; WEIGHT_STEP], pair: usize) -> int8x16_t {
    debug_assert!(pair < 4);
    // SAFETY: `pair` counts the line's four pairs of 16 bytes; no alignment requirement.
    unsafe { vld1q_s8(line.as_ptr().add(16 * pair)) }
}

/// Eight inputs, stored twice: the low half meets the even channel of a pair, the high half the odd one.
#[inline]
#[target_feature(enable = "neon")]
fn load_twice(x: &[i8; 8]) -> int8x16_t {
    let x = load(x);
    vcombine_s8(x, x)
}

/// Eight channels' running sums for one vector, and the products of channels 6 and 7 that wait for their `sadalp`.
struct Column {
    lanes: [int32x4_t; 8],
    waiting: [int16x8_t; 2],
}

/// Channels 2 `PAIR` and 2 `PAIR` + 1 of two depth steps: as in the convolution, with 16-byte loads instead, each of which feeds
/// `smull` and `smull2`: one vector has half the multiplies of two pixels to hide the loads behind.
#[inline]
#[target_feature(enable = "neon")]
fn pair_of<const PAIR: usize>(
    column: &mut Column,
    lines: &[[i8; WEIGHT_STEP]; 2],
    w: &mut [int8x16_t; 2],
    x: &[int8x16_t; 2],
) {
    let before = 2 * ((PAIR + 3) % 4);
    let (products, next);
    // SAFETY: reads 16 bytes of either line at 16 * ((PAIR + 1) % 4) <= 48; writes registers only.
    unsafe {
        let (p, q): (int16x8_t, int16x8_t);
        let (n0, n1): (int8x16_t, int8x16_t);
        asm!(
            "smull {p:v}.8h, {w0:v}.8b, {x0:v}.8b",
            "ldr {n0:q}, [{lines}, #{at_first}]",
            "sadalp {even:v}.4s, {wait_even:v}.8h",
            "smull2 {q:v}.8h, {w0:v}.16b, {x0:v}.16b",
            "sadalp {odd:v}.4s, {wait_odd:v}.8h",
            "smlal {p:v}.8h, {w1:v}.8b, {x1:v}.8b",
            "ldr {n1:q}, [{lines}, #{at_second}]",
            "smlal2 {q:v}.8h, {w1:v}.16b, {x1:v}.16b",
            lines = in(reg) lines.as_ptr(),
            at_first = const 16 * ((PAIR + 1) % 4),
            at_second = const WEIGHT_STEP + 16 * ((PAIR + 1) % 4),
            w0 = in(vreg) w[0], w1 = in(vreg) w[1], x0 = in(vreg) x[0], x1 = in(vreg) x[1],
            wait_even = in(vreg) column.waiting[0], wait_odd = in(vreg) column.waiting[1],
            even = inout(vreg) column.lanes[before], odd = inout(vreg) column.lanes[before + 1],
            p = out(vreg) p, q = out(vreg) q, n0 = out(vreg) n0, n1 = out(vreg) n1,
            options(readonly, nostack, preserves_flags),
        );
        (products, next) = ([p, q], [n0, n1]);
    }
    column.waiting = products;
    *w = next;
}

/// Matrix times vector, see [`super::super::Kernels::gemv`].
#[target_feature(enable = "neon")]
pub fn gemv(x: &[i8], weights: &[i8], acc: &mut [i32]) {
    let (x, _) = x.as_chunks::<8>();
    let (lines, _) = weights.as_chunks::<WEIGHT_STEP>();
    let (acc, _) = acc.as_chunks_mut::<8>();
    let (x_pairs, last_x) = x.as_chunks::<2>();
    for (acc, lines) in acc.iter_mut().zip(lines.chunks_exact(x.len().max(1))) {
        let mut column = Column { lanes: [vdupq_n_s32(0); 8], waiting: [vdupq_n_s16(0); 2] };
        let (line_pairs, last_line) = lines.as_chunks::<2>();
        for (lines, x) in line_pairs.iter().zip(x_pairs) {
            let x = [load_twice(&x[0]), load_twice(&x[1])];
            let w = &mut [channel_pair(&lines[0], 0), channel_pair(&lines[1], 0)];
            pair_of::<0>(&mut column, lines, w, &x);
            pair_of::<1>(&mut column, lines, w, &x);
            pair_of::<2>(&mut column, lines, w, &x);
            pair_of::<3>(&mut column, lines, w, &x);
        }
        let Column { mut lanes, waiting } = column;
        lanes[6] = vpadalq_s16(lanes[6], waiting[0]);
        lanes[7] = vpadalq_s16(lanes[7], waiting[1]);
        for (line, x) in last_line.iter().zip(last_x) {
            let x = load_twice(x);
            for pair in 0..4 {
                let w = channel_pair(line, pair);
                let even = vmull_s8(vget_low_s8(x), vget_low_s8(w));
                lanes[2 * pair] = vpadalq_s16(lanes[2 * pair], even);
                lanes[2 * pair + 1] = vpadalq_s16(lanes[2 * pair + 1], vmull_high_s8(x, w));
            }
        }
        store(acc, &lanes);
    }
}

/// The sums of eight channels.
#[inline]
#[target_feature(enable = "neon")]
fn store(acc: &mut [i32; 8], lanes: &[int32x4_t; 8]) {
    let [low, high] = sums(lanes);
    // SAFETY: `acc` is eight writable words: four at its start, four at its middle.
    unsafe {
        vst1q_s32(acc.as_mut_ptr(), low);
        vst1q_s32(acc.as_mut_ptr().add(4), high);
    }
}

/// The same of an int16 vector.
#[target_feature(enable = "neon")]
pub fn gemv_wide(x: &[i16], weights: &[i8], acc: &mut [i32]) {
    let (x, _) = x.as_chunks::<8>();
    let (lines, _) = weights.as_chunks::<WEIGHT_STEP>();
    let (acc, _) = acc.as_chunks_mut::<8>();
    for (acc, lines) in acc.iter_mut().zip(lines.chunks_exact(x.len().max(1))) {
        let mut lanes = [vdupq_n_s32(0); 8];
        for (line, x) in lines.iter().zip(x) {
            let x = load_wide(x);
            for (c, lanes) in lanes.iter_mut().enumerate() {
                *lanes = multiply(*lanes, x, vmovl_s8(channel(line, c)));
            }
        }
        store(acc, &lanes);
    }
}
