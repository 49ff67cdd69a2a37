//! Element-wise sum, maximum or minimum.

use core::arch::aarch64::*;

use super::{
    super::add::{Add, Combine, portable},
    load, narrow,
};

/// See [`Add`]: `(combine((a - za) * ma, (b - zb) * mb) + 2^11) >> 12`; |sum| <= 255 * 2^22 + 2^11 fits 32 bits.
#[target_feature(enable = "neon")]
pub fn add(add: &Add, out: &mut [i8], b: &[i8]) {
    match add.combine {
        // One instruction multiplies and adds.
        Combine::Sum => each(add, out, b, |a, y, m| vmlaq_n_s32(a, y, m)),
        Combine::Maximum => each(add, out, b, |a, y, m| vmaxq_s32(a, vmulq_n_s32(y, m))),
        Combine::Minimum => each(add, out, b, |a, y, m| vminq_s32(a, vmulq_n_s32(y, m))),
    }
}

/// `combine` takes the first operand in Q12, and the second one's difference and multiplier.
#[inline]
#[target_feature(enable = "neon")]
fn each(add: &Add, out: &mut [i8], b: &[i8], combine: impl Fn(int32x4_t, int32x4_t, i32) -> int32x4_t) {
    let [za, zb] = add.zero_points.map(|z| vdup_n_s8(z));
    let [ma, mb] = add.multipliers;
    let (chunks, b_rest) = b.as_chunks::<8>();
    for out in out.chunks_exact_mut(b.len().max(1)) {
        let (out, rest) = out.as_chunks_mut::<8>();
        for (a, b) in out.iter_mut().zip(chunks) {
            let (x, y) = (vsubl_s8(load(a), za), vsubl_s8(load(b), zb));
            let low = combine(vmulq_n_s32(vmovl_s16(vget_low_s16(x)), ma), vmovl_s16(vget_low_s16(y)), mb);
            let high = combine(vmulq_n_s32(vmovl_high_s16(x), ma), vmovl_high_s16(y), mb);
            let sum = [vrshrq_n_s32::<12>(low), vrshrq_n_s32::<12>(high)];
            let sum = narrow(sum, add.zero_point, add.min, add.max);
            // SAFETY: `a` is eight writable bytes; the store has no alignment requirement.
            unsafe { vst1_s8(a.as_mut_ptr(), sum) };
        }
        portable(add, rest, b_rest);
    }
}
