//! From real numbers to int8 and fixed-point factors.

use escarp_runtime::{
    frontend::quantize,
    quant::{MULTIPLIER_MIN, SHIFT_MAX},
};

/// Fraction bits of sums of tensors, and of what goes into gates: Q12.
pub const Q12: f64 = 4096.0;

/// What an int8 activation means: `value = scale * (q - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Real value of one unit.
    pub scale: f32,
    /// The `q` that means 0.
    pub zero_point: i8,
}

impl Scale {
    /// The scale that spans `low..=high`, widened to hold 0 exactly, as padding and ReLU need it; a unit is at least
    /// `smallest`.
    pub fn of_range(low: f32, high: f32, smallest: f64) -> Scale {
        let (low, high) = (f64::from(low.min(0.0)), f64::from(high.max(0.0)));
        // Ranges of nothing but zeros still need a scale: any will do.
        let unit = ((high - low) / 255.0).max(smallest).max(f64::from(f32::MIN_POSITIVE) * 1e6);
        let scale = narrow(unit).max(f32::MIN_POSITIVE);
        let zero_point = nearest_i8(-128.0 - low / f64::from(scale));
        Scale { scale, zero_point }
    }

    /// The int8 for a value: the runtime's own rounding.
    pub fn quantize(self, v: f32) -> i8 {
        quantize(v, self.scale, self.zero_point)
    }

    /// The value of an int8.
    pub fn dequantize(self, q: i8) -> f32 {
        self.real(q.into())
    }

    /// The value of a number of a tensor that may be wider.
    pub fn real(self, q: i16) -> f32 {
        self.scale * (f32::from(q) - f32::from(self.zero_point))
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
        assert_eq!(s, Scale { scale: 1.0, zero_point: -128 });
    }
}
