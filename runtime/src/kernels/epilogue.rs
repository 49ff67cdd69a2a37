//! What happens to an accumulator.

use super::{
    layout::{MULTIPLIERS_AT, PARAM_BLOCK, SHIFTS_AT},
    wide::WIDE_BITS,
};
use crate::{
    element::{Dtype, Value},
    quant::requantize,
};

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
/// `y = (t + (r - zero_point) * multiplier + 2^11) >> 12`. Shifts may then be as small as 16, as of an int16 output; there the
/// multiplier is Q20, and `y = (2^8 * t + r * multiplier + 2^19) >> 20` in 64 bits.
#[derive(Clone, Copy, Debug)]
pub struct Residual {
    /// Zero point of the operand that lies in `out`; 0 if that is int16.
    pub zero_point: i8,
    /// Its scale over the output's scale, Q12, at most 2^21; Q20, at most 2^30, of an int16 output.
    pub multiplier: i32,
}

impl Residual {
    /// `|t| <= 2^30`, `|(r - zero_point) * multiplier| < 2^29` and the rounding add stay below 2^31; of an int16 output
    /// `|2^8 * t| <= 2^38` and `|r * multiplier| <= 2^45`, so that the sum fits 32 bits.
    #[expect(clippy::cast_possible_truncation, reason = "at most 2^25 + 2^18 + 1")]
    #[inline(always)]
    fn sum<Y: Value>(&self, t: i32, r: i32) -> i32 {
        let r = r.wrapping_sub(self.zero_point as i32);
        match Y::DTYPE {
            Dtype::I8 => t.wrapping_add(r.wrapping_mul(self.multiplier)).wrapping_add(1 << 11) >> 12,
            _ => {
                let sum = ((t as i64) << (WIDE_BITS - 12)) + r as i64 * self.multiplier as i64;
                ((sum + (1 << (WIDE_BITS - 1))) >> WIDE_BITS) as i32
            }
        }
    }
}

impl Epilogue {
    /// Turns the sums of one channel block into 8 outputs; `params` as [`PARAM_BLOCK`] lays them out.
    #[inline(always)]
    pub(crate) fn apply<Y: Value>(&self, acc: &[i32; 8], params: &[u8; PARAM_BLOCK], out: &mut [Y; 8]) {
        // Limits that the type holds, once for all: then it holds the results too.
        let [min, max] = [self.min, self.max].map(|limit| Y::saturated(limit.into()).into());
        let (words, shifts) = params.split_at(SHIFTS_AT);
        let (words, _) = words.as_chunks::<4>();
        let (bias, multiplier) = words.split_at(MULTIPLIERS_AT / 4);
        for ((((out, &acc), bias), multiplier), &shift) in out.iter_mut().zip(acc).zip(bias).zip(multiplier).zip(shifts)
        {
            let acc = acc.wrapping_add(i32::from_le_bytes(*bias));
            let t = requantize(acc, i32::from_le_bytes(*multiplier), shift);
            let y = match self.residual {
                None => t,
                Some(residual) => residual.sum::<Y>(t.clamp(-(1 << 30), 1 << 30), (*out).into()),
            };
            // `max` then `min`, not `clamp`: that one panics on an empty range.
            *out = Y::wrapped(y.saturating_add(self.zero_point as i32).max(min).min(max));
        }
    }
}
