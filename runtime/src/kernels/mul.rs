//! Element-wise product: arguments, what they must fulfil, and the definition.

use crate::{element::Value, error::Error, quant::requantize};

/// An element-wise product, the second operand repeated as often as it fits: a map times a value for each channel.
#[derive(Clone, Copy, Debug)]
pub struct Mul {
    /// Zero points of the operands.
    pub zero_points: [i8; 2],
    /// Mantissa of the operands' scales over the output's, 2^30 to 2^31 - 1.
    pub multiplier: i32,
    /// Its shift, 32 to 62.
    pub shift: u8,
    /// Zero point of the output.
    pub zero_point: i8,
    /// Lower clamp.
    pub min: i16,
    /// Upper clamp.
    pub max: i16,
}

/// A fast form of [`portable`], which it equals bit for bit.
pub(super) type Function = unsafe fn(mul: &Mul, out: &mut [i8], b: &[i8]);

/// `b` fits into `out` a whole number of times.
pub(super) fn check(out: &[i8], b: &[i8]) -> Result<(), Error> {
    if !b.is_empty() && out.len().is_multiple_of(b.len()) { Ok(()) } else { Err(Error::Kernel) }
}

/// `out = requantize((out - z0) * (b - z1), m, s)`, plus the zero point, clamped; a product is at most `255 * 255`.
pub(super) fn portable(mul: &Mul, out: &mut [i8], b: &[i8]) {
    let [z0, z1] = mul.zero_points.map(i32::from);
    for out in out.chunks_exact_mut(b.len().max(1)) {
        for (a, &b) in out.iter_mut().zip(b) {
            let product = (*a as i32 - z0).wrapping_mul(b as i32 - z1);
            let y = requantize(product, mul.multiplier, mul.shift).saturating_add(mul.zero_point as i32);
            *a = i8::saturated(y.max(mul.min as i32).min(mul.max as i32));
        }
    }
}
