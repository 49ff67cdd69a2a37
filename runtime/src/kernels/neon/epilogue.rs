//! From the sums of eight channels to eight outputs.

use core::arch::aarch64::*;

use super::{
    super::{Epilogue, MULTIPLIERS_AT, PARAM_BLOCK, Residual, SHIFTS_AT},
    narrow, narrow_wide, requantize, requantize_wide,
};
use crate::element::{Dtype, Value};

/// One channel block's parameters in registers.
pub(super) struct Params {
    /// For the sums, before [`finish`].
    pub bias: [int32x4_t; 2],
    multiplier: [int32x4_t; 2],
    shift: [int32x4_t; 2],
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn params(block: &[u8; PARAM_BLOCK]) -> Params {
    let p = block.as_ptr();
    // SAFETY: five loads of 16, 16, 16, 16 and 8 bytes at 0, 16, 32, 48 and 64 end at byte 72, the block's length; byte
    // loads, so alignment does not matter.
    let (bias, multiplier, shift) = unsafe {
        (
            [vld1q_u8(p), vld1q_u8(p.add(16))],
            [vld1q_u8(p.add(MULTIPLIERS_AT)), vld1q_u8(p.add(MULTIPLIERS_AT + 16))],
            vld1_u8(p.add(SHIFTS_AT)),
        )
    };
    let shift = vreinterpretq_s16_u16(vmovl_u8(shift));
    Params {
        bias: bias.map(|v| vreinterpretq_s32_u8(v)),
        multiplier: multiplier.map(|v| vreinterpretq_s32_u8(v)),
        shift: [vmovl_s16(vget_low_s16(shift)), vmovl_high_s16(shift)],
    }
}

/// `(t + (r - zero_point) * multiplier + 2^11) >> 12`; the limits on t and the multiplier keep the sum inside 32 bits.
#[inline]
#[target_feature(enable = "neon")]
fn add_residual(t: [int32x4_t; 2], r: int8x8_t, residual: &Residual) -> [int32x4_t; 2] {
    let r = vsubl_s8(r, vdup_n_s8(residual.zero_point));
    let m = residual.multiplier;
    [
        vrshrq_n_s32::<12>(vmlaq_n_s32(t[0], vmovl_s16(vget_low_s16(r)), m)),
        vrshrq_n_s32::<12>(vmlaq_n_s32(t[1], vmovl_high_s16(r), m)),
    ]
}

/// The same in Q20 and 64 bits: `(2^8 * t + (r - zero_point) * multiplier + 2^19) >> 20`, which fits 32.
#[inline]
#[target_feature(enable = "neon")]
fn add_residual_wide(t: [int32x4_t; 2], r: int16x8_t, residual: &Residual) -> [int32x4_t; 2] {
    let (zero_point, m) = (vdupq_n_s32(residual.zero_point.into()), residual.multiplier);
    let sum = |t: int32x4_t, r: int32x4_t| {
        let r = vsubq_s32(r, zero_point);
        let low = vmlal_n_s32(vshll_n_s32::<8>(vget_low_s32(t)), vget_low_s32(r), m);
        let high = vmlal_high_n_s32(vshll_high_n_s32::<8>(t), r, m);
        vrshrn_high_n_s64::<20>(vrshrn_n_s64::<20>(low), high)
    };
    [sum(t[0], vmovl_s16(vget_low_s16(r))), sum(t[1], vmovl_high_s16(r))]
}

/// What a residual is added to: quotients limited to +-2^30.
#[inline]
#[target_feature(enable = "neon")]
fn limited(y: [int32x4_t; 2]) -> [int32x4_t; 2] {
    y.map(|y| vmaxq_s32(vminq_s32(y, vdupq_n_s32(1 << 30)), vdupq_n_s32(-(1 << 30))))
}

/// From sums, with their biases, to eight outputs.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn finish<Y: Value>(acc: [int32x4_t; 2], params: &Params, epilogue: &Epilogue, out: &mut [Y; 8]) {
    let (m, s, out) = (&params.multiplier, &params.shift, out.as_mut_ptr());
    let wide = || [requantize_wide(acc[0], m[0], s[0]), requantize_wide(acc[1], m[1], s[1])];
    let &Epilogue { zero_point, min, max, .. } = epilogue;
    // SAFETY: `out` is eight values of type Y, to read and to write; no alignment requirement.
    unsafe {
        match Y::DTYPE {
            Dtype::I8 => {
                let y = match &epilogue.residual {
                    None => [requantize(acc[0], m[0], s[0]), requantize(acc[1], m[1], s[1])],
                    Some(residual) => add_residual(limited(wide()), vld1_s8(out.cast()), residual),
                };
                vst1_s8(out.cast(), narrow(y, zero_point, min, max));
            }
            _ => {
                let y = match &epilogue.residual {
                    None => wide(),
                    Some(residual) => add_residual_wide(limited(wide()), vld1q_s16(out.cast()), residual),
                };
                vst1q_s16(out.cast(), narrow_wide(y, zero_point, min, max));
            }
        }
    }
}
