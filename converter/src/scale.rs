//! From real numbers to int8 and fixed-point factors.

use escarp_runtime::{
    Dtype,
    frontend::{quantize, quantize_wide},
    quant::{MULTIPLIER_MIN, SHIFT_MAX},
};

/// Fraction bits of sums of tensors, and of what goes into gates: Q12.
pub const Q12: f64 = 4096.0;

/// Fraction bits of sums of tensors of which one is int16: Q20.
pub const Q20: f64 = 1_048_576.0;

/// What numbers are stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// int8: -128 to 127.
    Int8,
    /// int16, with the zero point 0: from minus this number to this number. No sum that reads them leaves i32, so it may be less
    /// than int16 holds.
    Int16(i16),
}

/// What an activation means: `value = scale * (q - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Real value of one unit.
    pub scale: f32,
    /// The `q` that means 0.
    pub zero_point: i8,
    /// Which `q` there are.
    pub width: Width,
}

impl Scale {
    /// Of int8 numbers.
    pub const fn int8(scale: f32, zero_point: i8) -> Scale {
        Scale { scale, zero_point, width: Width::Int8 }
    }

    /// Of int16 numbers up to `most` that reach from `-reach` to `reach`; a unit is at least `smallest`.
    pub fn int16(reach: f64, most: i16, smallest: f64) -> Scale {
        let unit = (reach / f64::from(most)).max(smallest).max(f64::from(f32::MIN_POSITIVE) * 1e6);
        Scale { scale: narrow(unit).max(f32::MIN_POSITIVE), zero_point: 0, width: Width::Int16(most) }
    }

    /// Whether its numbers are int16.
    pub fn is_wide(self) -> bool {
        self.width != Width::Int8
    }

    /// The type of its numbers.
    pub fn dtype(self) -> Dtype {
        if self.is_wide() { Dtype::I16 } else { Dtype::I8 }
    }

    /// The smallest and the largest number.
    pub fn ends(self) -> (i16, i16) {
        match self.width {
            Width::Int8 => (i8::MIN.into(), i8::MAX.into()),
            Width::Int16(most) => (-most, most),
        }
    }

    /// The scale that spans `low..=high`, widened to hold 0 exactly, as padding and ReLU need it; a unit is at least
    /// `smallest`.
    pub fn of_range(low: f32, high: f32, smallest: f64) -> Scale {
        let (low, high) = (f64::from(low.min(0.0)), f64::from(high.max(0.0)));
        // Ranges of nothing but zeros still need a scale: any will do.
        let unit = ((high - low) / 255.0).max(smallest).max(f64::from(f32::MIN_POSITIVE) * 1e6);
        let scale = narrow(unit).max(f32::MIN_POSITIVE);
        let zero_point = nearest_i8(-128.0 - low / f64::from(scale));
        Scale::int8(scale, zero_point)
    }

    /// The int8 for a value: the runtime's own rounding.
    pub fn quantize(self, v: f32) -> i8 {
        quantize(v, self.scale, self.zero_point)
    }

    /// The number for a value, of its own width.
    pub fn number(self, v: f32) -> i16 {
        match self.width {
            Width::Int8 => self.quantize(v).into(),
            Width::Int16(most) => quantize_wide(v, self.scale).clamp(-most, most),
        }
    }

    /// The value of a number.
    pub fn dequantize(self, q: impl Into<f32>) -> f32 {
        self.scale * (q.into() - f32::from(self.zero_point))
    }
}

/// The nearest f32; infinite where that is beyond the largest, which whoever reads numbers of a model refuses.
#[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
pub fn narrow(v: f64) -> f32 {
    v as f32
}

/// The nearest i8; the first or last for what lies beyond, 0 for NaN, as `as` is defined.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
pub fn nearest_i8(v: f64) -> i8 {
    v.round() as i8
}

/// The nearest i16, as [`nearest_i8`].
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
pub fn nearest_i16(v: f64) -> i16 {
    v.round() as i16
}

/// The nearest i64, as [`nearest_i8`].
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
pub fn nearest_i64(v: f64) -> i64 {
    v.round() as i64
}

/// The nearest i32, as [`nearest_i8`].
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
pub fn nearest_i32(v: f64) -> i32 {
    v.round() as i32
}

/// The smallest factor that every epilogue takes: far below one output step, for tensors of (nearly) nothing.
pub const SMALLEST_FACTOR: f64 = 1.0 / (1u64 << 31) as f64;

/// The least number of units of a sum that an output's unit is, `wide` for an int16 output: a plain epilogue takes factors below 1/2,
/// that of an int16 output up to 2^14.
pub fn least_unit(wide: bool) -> f64 {
    if wide { 1.0 / f64::from(1 << 14) } else { 2.000_001 }
}

/// A real factor as `m / 2^s` with `m` in `[2^30, 2^31)` and the least error; `None` if `s` would leave
/// `smallest_shift..=62`.
pub fn multiplier(real: f64, smallest_shift: u8) -> Option<(i32, u8)> {
    if !(real.is_finite() && real > 0.0) {
        return None;
    }
    // real = f * 2^e with f in [1, 2): m = f * 2^30, s = 30 - e.
    let mut exponent = nearest_i32(real.log2().floor());
    let mantissa = |e: i32| nearest_i64(real * 2f64.powi(30 - e));
    // log2 may round across a power of two, and so may the mantissa.
    if mantissa(exponent) >= 2 * i64::from(MULTIPLIER_MIN) {
        exponent += 1;
    } else if mantissa(exponent) < i64::from(MULTIPLIER_MIN) {
        exponent -= 1;
    }
    let shift = u8::try_from(30 - exponent).ok()?;
    let m = i32::try_from(mantissa(exponent)).ok()?;
    (smallest_shift..=SHIFT_MAX).contains(&shift).then_some((m, shift))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn multipliers_are_normal_and_close(exponent in -31.9f64..-1.001) {
            let real = 2f64.powf(exponent);
            let (m, s) = multiplier(real, 32).unwrap();
            prop_assert!(m >= MULTIPLIER_MIN);
            prop_assert!((f64::from(m) / 2f64.powi(s.into()) / real - 1.0).abs() <= 2f64.powi(-31));
        }

        #[test]
        fn zero_is_exact(low in -100f32..100.0, span in 0f32..100.0) {
            let s = Scale::of_range(low, low + span, 0.0);
            prop_assert_eq!(s.dequantize(s.quantize(0.0)), 0.0);
        }
    }

    #[test]
    fn powers_of_two_and_ends() {
        assert_eq!(multiplier(0.25, 32), Some((1 << 30, 32)));
        assert_eq!(multiplier(0.5, 32), None);
        assert_eq!(multiplier(0.5, 16), Some((1 << 30, 31)));
        assert_eq!(multiplier(0.25 - 1e-17, 32), Some((1 << 30, 32)));
        assert_eq!(multiplier(0.0, 32), None);
        assert_eq!(multiplier(f64::NAN, 32), None);
        assert_eq!(multiplier(2f64.powi(-33), 32), None);
    }

    #[test]
    fn pixels_are_exact() {
        let s = Scale::of_range(0.0, 255.0, 0.0);
        assert_eq!(s, Scale::int8(1.0, -128));
    }
}
