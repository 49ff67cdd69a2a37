//! Element-wise sums and products where a tensor is int16: arguments, what they must fulfil, and the definitions.
//!
//! Both operands come as int16, their zero points taken off: what int8 holds less its zero point is -255 to 255, and int16 has
//! none. Results leave as int16 too; the limits see to it that those of an int8 tensor fit.

use super::Combine;
use crate::{
    error::Error,
    quant::{requantize, sat16},
};

/// Fraction bits of [`AddWide::multipliers`]: beside 12 of them, an operand of 16 bits would be off by several units.
pub const WIDE_BITS: u32 = 20;

/// An element-wise sum, maximum or minimum: both operands rescaled to Q20 of the output scale, combined, one rounding shift.
#[derive(Clone, Copy, Debug)]
pub struct AddWide {
    /// What is done.
    pub combine: Combine,
    /// Operand scales over the output scale, Q20, -2^30 to 2^30.
    pub multipliers: [i32; 2],
    /// Zero point of the output.
    pub zero_point: i8,
    /// Lower clamp.
    pub min: i16,
    /// Upper clamp.
    pub max: i16,
}

/// An element-wise product.
#[derive(Clone, Copy, Debug)]
pub struct MulWide {
    /// Mantissa of the operands' scales over the output's, 2^30 to 2^31 - 1.
    pub multiplier: i32,
    /// Its shift, 16 to 62.
    pub shift: u8,
    /// Zero point of the output.
    pub zero_point: i8,
    /// Lower clamp.
    pub min: i16,
    /// Upper clamp.
    pub max: i16,
}

/// A fast form of [`add`], which it equals bit for bit.
pub(super) type AddFunction = unsafe fn(add: &AddWide, out: &mut [i16], b: &[i16]);
/// A fast form of [`mul`], likewise.
pub(super) type MulFunction = unsafe fn(mul: &MulWide, out: &mut [i16], b: &[i16]);

/// As many operands.
pub(super) fn check(out: &[i16], b: &[i16]) -> Result<(), Error> {
    if out.len() == b.len() { Ok(()) } else { Err(Error::Kernel) }
}

/// `out = (combine(out * m0, b * m1) + 2^19 >> 20)`, plus the zero point, clamped. A sum is at most `2 * 2^15 * 2^30` in size.
pub(super) fn add(add: &AddWide, out: &mut [i16], b: &[i16]) {
    let [m0, m1] = add.multipliers.map(i64::from);
    for (a, &b) in out.iter_mut().zip(b) {
        let (x, y) = (*a as i64 * m0, b as i64 * m1);
        let combined = match add.combine {
            Combine::Sum => x + y,
            Combine::Maximum => x.max(y),
            Combine::Minimum => x.min(y),
        };
        let y = (combined + (1 << (WIDE_BITS - 1))) >> WIDE_BITS;
        *a = limited(saturated(y), add.zero_point, add.min, add.max);
    }
}

/// `out = requantize(out * b, m, s)`, plus the zero point, clamped. A product is at most 2^30.
pub(super) fn mul(mul: &MulWide, out: &mut [i16], b: &[i16]) {
    for (a, &b) in out.iter_mut().zip(b) {
        let y = requantize(*a as i32 * b as i32, mul.multiplier, mul.shift);
        *a = limited(y, mul.zero_point, mul.min, mul.max);
    }
}

#[inline(always)]
fn limited(y: i32, zero_point: i8, min: i16, max: i16) -> i16 {
    // `max` then `min`, not `clamp`: that one panics on an empty range.
    sat16(y.saturating_add(zero_point as i32).max(min as i32).min(max as i32))
}

#[expect(clippy::cast_possible_truncation, reason = "at most 2^26 + 1 in size")]
#[inline(always)]
fn saturated(y: i64) -> i32 {
    y as i32
}
