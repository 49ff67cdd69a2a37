//! Element-wise product.

use core::arch::aarch64::*;

use super::{
    super::mul::{Mul, portable},
    load, narrow, requantize,
};

/// See [`Mul`]: a product of two differences has 17 bits.
#[target_feature(enable = "neon")]
pub fn mul(mul: &Mul, out: &mut [i8], b: &[i8]) {
    let [za, zb] = mul.zero_points.map(|z| vdup_n_s8(z));
    let (multiplier, shift) = (vdupq_n_s32(mul.multiplier), vdupq_n_s32(mul.shift.into()));
    let (chunks, b_rest) = b.as_chunks::<8>();
    for out in out.chunks_exact_mut(b.len().max(1)) {
        let (out, rest) = out.as_chunks_mut::<8>();
        for (a, b) in out.iter_mut().zip(chunks) {
            let (x, y) = (vsubl_s8(load(a), za), vsubl_s8(load(b), zb));
            let low = requantize(vmull_s16(vget_low_s16(x), vget_low_s16(y)), multiplier, shift);
            let high = requantize(vmull_high_s16(x, y), multiplier, shift);
            let product = narrow([low, high], mul.zero_point, mul.min, mul.max);
            // SAFETY: `a` is eight writable bytes; the store has no alignment requirement.
            unsafe { vst1_s8(a.as_mut_ptr(), product) };
        }
        portable(mul, rest, b_rest);
    }
}
