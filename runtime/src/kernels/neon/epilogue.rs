//! From the sums of eight channels to eight output bytes.

use core::arch::aarch64::*;

use super::{
    super::{Epilogue, MULTIPLIERS_AT, PARAM_BLOCK, Residual, SHIFTS_AT},
    load, narrow, requantize, requantize_wide,
};

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

/// From sums, with their biases, to eight output bytes.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn finish(acc: [int32x4_t; 2], params: &Params, epilogue: &Epilogue, out: &mut [i8; 8]) {
    let (m, s) = (&params.multiplier, &params.shift);
    let y = match &epilogue.residual {
        None => [requantize(acc[0], m[0], s[0]), requantize(acc[1], m[1], s[1])],
        Some(residual) => {
            let t = [requantize_wide(acc[0], m[0], s[0]), requantize_wide(acc[1], m[1], s[1])];
            add_residual(t, load(out), residual)
        }
    };
    let y = narrow(y, epilogue.zero_point, epilogue.min, epilogue.max);
    // SAFETY: `out` is eight writable bytes; the store has no alignment requirement.
    unsafe { vst1_s8(out.as_mut_ptr(), y) };
}
