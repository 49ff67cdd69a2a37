//! The two number types the engine runs in: `f32` to train, `f64` to check gradients against finite differences.

use ndarray::NdFloat;

/// A number type of the engine.
pub trait Scalar: NdFloat + Default + std::iter::Sum {
    /// The nearest value to `v`.
    fn of(v: f64) -> Self;

    /// This value in double precision.
    fn wide(self) -> f64;

    /// `e^self`, in a form that the compiler can vectorize.
    fn fast_exp(self) -> Self;

    /// `1 / (1 + e^-x)`. Accurate in the absolute sense: 1e-7 in `f32`.
    #[inline(always)]
    fn sigmoid(self) -> Self {
        Self::one() / (Self::one() + (-self).fast_exp())
    }

    /// `tanh x = 2 sigmoid(2x) - 1`. Accurate in the absolute sense: 2e-7 in `f32`.
    #[inline(always)]
    fn fast_tanh(self) -> Self {
        let two = Self::one() + Self::one();
        two / (Self::one() + (-two * self).fast_exp()) - Self::one()
    }
}

impl Scalar for f32 {
    #[inline(always)]
    fn of(v: f64) -> Self {
        v as f32
    }

    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }

    /// `e^x = 2^n e^r` with `n = round(x / ln 2)`, `|r| <= ln 2 / 2`; the series of `e^r` to the seventh power
    /// leaves 5e-9. `ln 2` is split in two so that `n ln 2` is exact in its high part. A NaN stays a NaN.
    #[inline(always)]
    fn fast_exp(self) -> Self {
        const LN2_HIGH: f32 = 0.693_359_4;
        const LN2_LOW: f32 = -2.121_944_4e-4;
        // Adding 1.5 * 2^23 rounds to an integer and leaves that integer in the low mantissa bits.
        const ROUND: f32 = 12_582_912.0;
        let x = if self > 88.0 { 88.0 } else { self };
        let x = if x < -87.0 { -87.0 } else { x };
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = (x - n * LN2_HIGH) - n * LN2_LOW;
        let series = 1.0 / 5040.0;
        let series = series * r + 1.0 / 720.0;
        let series = series * r + 1.0 / 120.0;
        let series = series * r + 1.0 / 24.0;
        let series = series * r + 1.0 / 6.0;
        let series = series * r + 0.5;
        let series = series * r + 1.0;
        let series = series * r + 1.0;
        let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
        series * power
    }
}

impl Scalar for f64 {
    #[inline(always)]
    fn of(v: f64) -> Self {
        v
    }

    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }

    #[inline(always)]
    fn fast_exp(self) -> Self {
        self.exp()
    }
}

#[cfg(test)]
mod tests {
    use super::Scalar;

    #[test]
    fn exp_is_exact_to_two_ulp_and_keeps_nan() {
        for i in -86_000..88_000 {
            let x = i as f32 * 1e-3;
            let exact = f64::from(x).exp();
            let error = (f64::from(x.fast_exp()) - exact).abs() / exact;
            assert!(error < 2.5e-7, "e^{x}: relative error {error:e}");
        }
        assert!(f32::NAN.fast_exp().is_nan());
        assert!(f32::NAN.fast_tanh().is_nan());
    }

    #[test]
    fn saturates_without_overflow() {
        assert_eq!(1e30f32.sigmoid(), 1.0);
        assert!((-1e30f32).sigmoid() < 1e-30);
        assert_eq!(1e30f32.fast_tanh(), 1.0);
        assert_eq!((-1e30f32).fast_tanh(), -1.0);
    }

    #[test]
    fn squashing_functions_agree_with_double_precision() {
        for i in -12_000..12_000 {
            let x = i as f32 * 1e-3;
            assert!((x.fast_tanh().wide() - f64::from(x).tanh()).abs() < 2.5e-7, "tanh {x}");
            let exact = 1.0 / (1.0 + (-f64::from(x)).exp());
            assert!((x.sigmoid().wide() - exact).abs() < 1.5e-7, "sigmoid {x}");
        }
    }
}
