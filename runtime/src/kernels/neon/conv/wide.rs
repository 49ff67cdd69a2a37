//! Sums of int16 pixels: weights are widened, and products go to int32 at once, four a `smlal`.

use core::arch::aarch64::*;

use super::{
    super::{super::WEIGHT_STEP, channel, load_wide, multiply},
    Starts,
};

/// Sums over all taps and depth steps for two pixels, whose tap offsets are given. `lines`: `[taps][steps]`.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn accumulate(
    starts: Starts<i16>,
    lines: &[[i8; WEIGHT_STEP]],
    first: &[u32],
    second: &[u32],
) -> [[int32x4_t; 8]; 2] {
    let mut lanes = [[vdupq_n_s32(0); 8]; 2];
    let mut line = lines.as_ptr();
    for (&first, &second) in first.iter().zip(second) {
        let (mut x, mut y) = (starts.of(first), starts.of(second));
        for _ in 0..starts.steps {
            // SAFETY: `lines` holds taps * steps lines and each run `steps` entries, as `Kernels::conv` has checked; every line
            // and every entry is taken once, in order.
            unsafe {
                let pixels = [load_wide(&*x), load_wide(&*y)];
                for c in 0..8 {
                    let w = vmovl_s8(channel(&*line, c));
                    for (lanes, x) in lanes.iter_mut().zip(pixels) {
                        lanes[c] = multiply(lanes[c], x, w);
                    }
                }
                (line, x, y) = (line.add(1), x.add(1), y.add(1));
            }
        }
    }
    lanes
}
