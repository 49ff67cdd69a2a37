//! Element-wise sum, maximum or minimum: arguments, what they must fulfil, and the definition.

pub(super) use super::mul::check;
use crate::element::Value;

/// How two operands become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    /// Their sum; with a negative multiplier their difference.
    Sum,
    /// The larger one.
    Maximum,
    /// The smaller one.
    Minimum,
}

/// An element-wise sum, maximum or minimum, the second operand repeated as often as it fits: both rescaled to Q12 of the
/// output scale, combined, one rounding shift.
#[derive(Clone, Copy, Debug)]
pub struct Add {
    /// What is done.
    pub combine: Combine,
    /// Zero points of the operands.
    pub zero_points: [i8; 2],
    /// Operand scales over the output scale, Q12, -2^21 to 2^21.
    pub multipliers: [i32; 2],
    /// Zero point of the output.
    pub zero_point: i8,
    /// Lower clamp.
    pub min: i16,
    /// Upper clamp.
    pub max: i16,
}

/// A fast form of [`portable`], which it equals bit for bit.
pub(super) type Function = unsafe fn(add: &Add, out: &mut [i8], b: &[i8]);

/// `out = combine((out - z0) * m0, (b - z1) * m1) + 2^11 >> 12`, plus the zero point, clamped.
///
/// A sum is at most `2 * 255 * 2^21 + 2^11 < 2^31` on either side of 0: no overflow.
pub(super) fn portable(add: &Add, out: &mut [i8], b: &[i8]) {
    match add.combine {
        Combine::Sum => each(add, out, b, i32::wrapping_add),
        Combine::Maximum => each(add, out, b, i32::max),
        Combine::Minimum => each(add, out, b, i32::min),
    }
}

#[inline(always)]
fn each(add: &Add, out: &mut [i8], b: &[i8], combine: impl Fn(i32, i32) -> i32) {
    let ([z0, z1], [m0, m1]) = (add.zero_points, add.multipliers);
    for out in out.chunks_exact_mut(b.len().max(1)) {
        for (a, &b) in out.iter_mut().zip(b) {
            let a_q12 = (*a as i32 - z0 as i32).wrapping_mul(m0);
            let b_q12 = (b as i32 - z1 as i32).wrapping_mul(m1);
            let y = (combine(a_q12, b_q12).wrapping_add(1 << 11) >> 12) + add.zero_point as i32;
            *a = i8::saturated(y.max(add.min as i32).min(add.max as i32));
        }
    }
}
