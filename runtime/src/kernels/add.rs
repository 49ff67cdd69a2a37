//! Element-wise sum: arguments, what they must fulfil, and the definition.

use crate::error::Error;

/// An element-wise sum: both operands rescaled to Q12 of the output scale, added, one rounding shift.
#[derive(Clone, Copy, Debug)]
pub struct Add {
    /// Zero points of the operands.
    pub zero_points: [i8; 2],
    /// Operand scales over the output scale, Q12, at most 2^21.
    pub multipliers: [i32; 2],
    /// Zero point of the output.
    pub zero_point: i8,
    /// Lower clamp.
    pub min: i8,
    /// Upper clamp.
    pub max: i8,
}

/// A fast form of [`portable`], which it equals bit for bit.
pub(super) type Function = unsafe fn(add: &Add, out: &mut [i8], b: &[i8]);

/// The lengths agree.
pub(super) fn check(out: &[i8], b: &[i8]) -> Result<(), Error> {
    if out.len() == b.len() { Ok(()) } else { Err(Error::Kernel) }
}

/// `out = ((out - z0) * m0 + (b - z1) * m1 + 2^11) >> 12`, plus the zero point, clamped.
///
/// At most `2 * 255 * 2^21 + 2^11 < 2^31`: no overflow.
#[expect(clippy::cast_possible_truncation, reason = "clamped to int8 limits")]
pub(super) fn portable(add: &Add, out: &mut [i8], b: &[i8]) {
    let ([z0, z1], [m0, m1]) = (add.zero_points, add.multipliers);
    for (a, &b) in out.iter_mut().zip(b) {
        let a_q12 = (*a as i32 - z0 as i32).wrapping_mul(m0);
        let b_q12 = (b as i32 - z1 as i32).wrapping_mul(m1);
        let y = (a_q12.wrapping_add(b_q12).wrapping_add(1 << 11) >> 12) + add.zero_point as i32;
        *a = y.max(add.min as i32).min(add.max as i32) as i8;
    }
}
