//! What happens to an accumulator.

use super::layout::{MULTIPLIERS_AT, PARAM_BLOCK, SHIFTS_AT};
use crate::{element::Value, quant::requantize};

/// What happens to an accumulator: `y = requantize(acc + bias, m, s)`, then [`Epilogue::residual`], zero point, clamp.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue {
    /// Zero point of the output.
    pub zero_point: i8,
    /// Lower clamp (ReLU: the zero point).
    pub min: i16,
    /// Upper clamp (ReLU6).
    pub max: i16,
    /// If set, `out` holds the other operand of a residual add when the kernel starts and the sum when it ends.
    pub residual: Option<Residual>,
}

/// The fused residual add, in place: with `t = requantize(acc + bias, m, s)` in Q12 of the output scale, limited to +-2^30,
/// `y = (t + (r - zero_point) * multiplier + 2^11) >> 12`. Shifts may then be as small as 16.
#[derive(Clone, Copy, Debug)]
pub struct Residual {
    /// Zero point of the operand that lies in `out`.
    pub zero_point: i8,
    /// Its scale over the output's scale, Q12, at most 2^21.
    pub multiplier: i32,
}

impl Epilogue {
    /// Turns the sums of one channel block into 8 outputs; `params` as [`PARAM_BLOCK`] lays them out.
    ///
    /// With a residual, `|t| <= 2^30`, `|(r - zero_point) * multiplier| < 2^29` and the rounding add stay below 2^31.
    #[inline(always)]
    pub(crate) fn apply(&self, acc: &[i32; 8], params: &[u8; PARAM_BLOCK], out: &mut [i8; 8]) {
        let (words, shifts) = params.split_at(SHIFTS_AT);
        let (words, _) = words.as_chunks::<4>();
        let (bias, multiplier) = words.split_at(MULTIPLIERS_AT / 4);
        for ((((out, &acc), bias), multiplier), &shift) in out.iter_mut().zip(acc).zip(bias).zip(multiplier).zip(shifts)
        {
            let acc = acc.wrapping_add(i32::from_le_bytes(*bias));
            let t = requantize(acc, i32::from_le_bytes(*multiplier), shift);
            let y = match self.residual {
                None => t,
                Some(residual) => {
                    let r = (*out as i32 - residual.zero_point as i32).wrapping_mul(residual.multiplier);
                    t.clamp(-(1 << 30), 1 << 30).wrapping_add(r).wrapping_add(1 << 11) >> 12
                }
            };
            // `max` then `min`, not `clamp`: that one panics on an empty range.
            let y = y.saturating_add(self.zero_point as i32);
            *out = i8::saturated(y.max(self.min as i32).min(self.max as i32));
        }
    }
}
