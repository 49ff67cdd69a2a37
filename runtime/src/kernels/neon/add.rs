//! Element-wise sum.

use core::arch::aarch64::*;

use super::{
    super::add::{Add, portable},
    load, narrow,
};

/// See [`Add`]: `((a - za) * ma + (b - zb) * mb + 2^11) >> 12`; |sum| <= 255 * 2^22 + 2^11 fits 32 bits.
#[target_feature(enable = "neon")]
pub fn add(add: &Add, out: &mut [i8], b: &[i8]) {
    let [za, zb] = add.zero_points.map(|z| vdup_n_s8(z));
    let [ma, mb] = add.multipliers;
    let ((out, out_rest), (b, b_rest)) = (out.as_chunks_mut::<8>(), b.as_chunks::<8>());
    for (a, b) in out.iter_mut().zip(b) {
        let (x, y) = (vsubl_s8(load(a), za), vsubl_s8(load(b), zb));
        let low = vmulq_n_s32(vmovl_s16(vget_low_s16(x)), ma);
        let low = vmlaq_n_s32(low, vmovl_s16(vget_low_s16(y)), mb);
        let high = vmulq_n_s32(vmovl_high_s16(x), ma);
        let high = vmlaq_n_s32(high, vmovl_high_s16(y), mb);
        let sum = [vrshrq_n_s32::<12>(low), vrshrq_n_s32::<12>(high)];
        let sum = narrow(sum, add.zero_point, add.min, add.max);
        // SAFETY: `a` is eight writable bytes; the store has no alignment requirement.
        unsafe { vst1_s8(a.as_mut_ptr(), sum) };
    }
    portable(add, out_rest, b_rest);
}
