//! Armv8.0-A Advanced SIMD (Cortex-A53, A57, A72): no `sdot`, so products are made in int16 lanes.
//!
//! Weights lie in [-127, 127], hence two products of one lane fit int16: |2 * -128 * 127| = 32512. One `smull` and one
//! `smlal` therefore share one `sadalp` into int32, and the multiplier (the only pipe A57 and A72 have for it) never waits
//! for the widening, which runs on the other pipe: 8 multiply-adds a cycle, the cap of these cores. Products with int16
//! activations go to int32 at once, four an instruction.

pub(super) mod add;
pub(super) mod conv;
pub(super) mod depthwise;
mod epilogue;
pub(super) mod gemv;
pub(super) mod lookup;
pub(super) mod mul;
pub(super) mod wide;

use core::arch::aarch64::*;

use super::WEIGHT_STEP;

#[inline]
#[target_feature(enable = "neon")]
fn load(x: &[i8; 8]) -> int8x8_t {
    // SAFETY: `x` is eight readable bytes; the load has no alignment requirement.
    unsafe { vld1_s8(x.as_ptr()) }
}

/// Eight int16 values.
#[inline]
#[target_feature(enable = "neon")]
fn load_wide(x: &[i16; 8]) -> int16x8_t {
    // SAFETY: `x` is eight readable values; the load has no alignment requirement.
    unsafe { vld1q_s16(x.as_ptr()) }
}

/// Channel `c` of a weight line: 8 bytes.
#[inline]
#[target_feature(enable = "neon")]
fn channel(line: &[i8; WEIGHT_STEP], c: usize) -> int8x8_t {
    debug_assert!(c < 8);
    // SAFETY: `c` counts the line's eight channels of eight bytes; no alignment requirement.
    unsafe { vld1_s8(line.as_ptr().add(8 * c)) }
}

/// `sum + x * w`: the products of the low halves and of the high ones.
#[inline]
#[target_feature(enable = "neon")]
fn multiply(sum: int32x4_t, x: int16x8_t, w: int16x8_t) -> int32x4_t {
    vmlal_high_s16(vmlal_s16(sum, vget_low_s16(x), vget_low_s16(w)), x, w)
}

/// The sums of 8 channels: adds the four lanes of each.
#[inline]
#[target_feature(enable = "neon")]
fn sums(lanes: &[int32x4_t; 8]) -> [int32x4_t; 2] {
    let [a, b, c, d, e, f, g, h] = *lanes;
    [vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)), vpaddq_s32(vpaddq_s32(e, f), vpaddq_s32(g, h))]
}

/// `floor((acc * m + 2^(s-1)) / 2^s)` for s in [32, 62] and m > 0.
///
/// `sqdmulh` gives floor(acc * m / 2^31) (it saturates only at -2^31 * -2^31), and `srshl` by -(s - 31) adds 2^(s-32) before
/// its floor. Floors nest: floor((floor(P / 2^31) + 2^(s-32)) / 2^(s-31)) = floor((P + 2^(s-1)) / 2^s).
#[inline]
#[target_feature(enable = "neon")]
fn requantize(acc: int32x4_t, multiplier: int32x4_t, shift: int32x4_t) -> int32x4_t {
    vrshlq_s32(vqdmulhq_s32(acc, multiplier), vsubq_s32(vdupq_n_s32(31), shift))
}

/// The same for s in [16, 62], saturated: the quotient may need more than 32 bits, so the product stays in 64.
/// |P| + 2^(s-1) < 2^62 + 2^61 fits.
#[inline]
#[target_feature(enable = "neon")]
fn requantize_wide(acc: int32x4_t, multiplier: int32x4_t, shift: int32x4_t) -> int32x4_t {
    let right = vnegq_s32(shift);
    let low = vmull_s32(vget_low_s32(acc), vget_low_s32(multiplier));
    let high = vmull_high_s32(acc, multiplier);
    let low = vqmovn_s64(vrshlq_s64(low, vmovl_s32(vget_low_s32(right))));
    vqmovn_high_s64(low, vrshlq_s64(high, vmovl_high_s32(right)))
}

/// Zero point, clamp to int16 limits.
#[inline]
#[target_feature(enable = "neon")]
fn narrow_wide(y: [int32x4_t; 2], zero_point: i8, min: i16, max: i16) -> int16x8_t {
    let y = y.map(|y| vqaddq_s32(y, vdupq_n_s32(zero_point.into())));
    let y = vqmovn_high_s32(vqmovn_s32(y[0]), y[1]);
    vminq_s16(vmaxq_s16(y, vdupq_n_s16(min)), vdupq_n_s16(max))
}

/// Zero point, clamp to int8 limits. Saturating at int16 first is harmless: +-32767 and a zero point still lie beyond every
/// one of them.
#[inline]
#[target_feature(enable = "neon")]
fn narrow(y: [int32x4_t; 2], zero_point: i8, min: i16, max: i16) -> int8x8_t {
    let y = vqmovn_high_s32(vqmovn_s32(y[0]), y[1]);
    let y = vqaddq_s16(y, vdupq_n_s16(zero_point.into()));
    vqmovn_s16(vminq_s16(vmaxq_s16(y, vdupq_n_s16(min)), vdupq_n_s16(max)))
}
