//! Element-wise sums and products of int16 values.

use core::arch::aarch64::*;

use super::{
    super::{
        Combine,
        wide::{AddWide, MulWide, add as portable_add, mul as portable_mul},
    },
    load_wide, narrow_wide, requantize, requantize_wide,
};

/// `(x * m + y * n + 2^19) >> 20` in 64 bits, which fits 32.
#[inline]
#[target_feature(enable = "neon")]
fn rescaled(x: int32x4_t, m: i32, y: int32x4_t, n: i32) -> int32x4_t {
    let low = vmlal_n_s32(vmull_n_s32(vget_low_s32(x), m), vget_low_s32(y), n);
    let high = vmlal_high_n_s32(vmull_high_n_s32(x, m), y, n);
    vrshrn_high_n_s64::<20>(vrshrn_n_s64::<20>(low), high)
}

/// The same of one operand.
#[inline]
#[target_feature(enable = "neon")]
fn rescaled_alone(x: int32x4_t, m: i32) -> int32x4_t {
    let (low, high) = (vmull_n_s32(vget_low_s32(x), m), vmull_high_n_s32(x, m));
    vrshrn_high_n_s64::<20>(vrshrn_n_s64::<20>(low), high)
}

/// See [`AddWide`]. Rounding keeps the order, so that the larger one may be chosen behind it.
#[target_feature(enable = "neon")]
pub fn add(add: &AddWide, out: &mut [i16], b: &[i16]) {
    let [m, n] = add.multipliers;
    match add.combine {
        Combine::Sum => sums(add, out, b, |x, y| rescaled(x, m, y, n)),
        Combine::Maximum => sums(add, out, b, |x, y| vmaxq_s32(rescaled_alone(x, m), rescaled_alone(y, n))),
        Combine::Minimum => sums(add, out, b, |x, y| vminq_s32(rescaled_alone(x, m), rescaled_alone(y, n))),
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn sums(add: &AddWide, out: &mut [i16], b: &[i16], sum: impl Fn(int32x4_t, int32x4_t) -> int32x4_t) {
    let ((out, rest), (b, b_rest)) = (out.as_chunks_mut::<8>(), b.as_chunks::<8>());
    for (a, b) in out.iter_mut().zip(b) {
        let (x, y) = (load_wide(a), load_wide(b));
        let low = sum(vmovl_s16(vget_low_s16(x)), vmovl_s16(vget_low_s16(y)));
        let high = sum(vmovl_high_s16(x), vmovl_high_s16(y));
        store(a, narrow_wide([low, high], add.zero_point, add.min, add.max));
    }
    portable_add(add, rest, b_rest);
}

/// See [`MulWide`].
#[target_feature(enable = "neon")]
pub fn mul(mul: &MulWide, out: &mut [i16], b: &[i16]) {
    let (multiplier, shift) = (vdupq_n_s32(mul.multiplier), vdupq_n_s32(mul.shift.into()));
    if mul.shift < 32 {
        products(mul, out, b, |product| requantize_wide(product, multiplier, shift));
    } else {
        products(mul, out, b, |product| requantize(product, multiplier, shift));
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn products(mul: &MulWide, out: &mut [i16], b: &[i16], scaled: impl Fn(int32x4_t) -> int32x4_t) {
    let ((out, rest), (b, b_rest)) = (out.as_chunks_mut::<8>(), b.as_chunks::<8>());
    for (a, b) in out.iter_mut().zip(b) {
        let (x, y) = (load_wide(a), load_wide(b));
        let low = scaled(vmull_s16(vget_low_s16(x), vget_low_s16(y)));
        let high = scaled(vmull_high_s16(x, y));
        store(a, narrow_wide([low, high], mul.zero_point, mul.min, mul.max));
    }
    portable_mul(mul, rest, b_rest);
}

#[inline]
#[target_feature(enable = "neon")]
fn store(out: &mut [i16; 8], y: int16x8_t) {
    // SAFETY: `out` is eight writable values; the store has no alignment requirement.
    unsafe { vst1q_s16(out.as_mut_ptr(), y) };
}
