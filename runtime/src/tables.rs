//! Sigmoid and tanh without floats: one table of 512 segments for |x| in [0, 8), linear in between.
//!
//! A segment spans 1/64, 64 units of Q3.12. The chord's error is at most `(1/64)^2 / 8 * max|tanh''| = 2.3e-5` (0.77 units of
//! Q0.15); with the rounding of the ends and of the interpolation the largest error over all 65,536 arguments is 1.52 units.
//! `sigma(x) = (1 + tanh(x / 2)) / 2` halves that, but `x / 2` loses a bit of x: 2.54 units.

const SEGMENTS: usize = 512;

/// Value at a segment's start and rise to its end, Q0.15.
static TANH: [(i16, i16); SEGMENTS] = segments();

/// `exp(1/32)` from its series; the terms after the twelfth are below 2^-60 of the sum.
const fn exp_of_a_32nd() -> f64 {
    let (mut sum, mut term, mut n) = (1.0, 1.0, 1.0);
    while n < 13.0 {
        term *= (1.0 / 32.0) / n;
        sum += term;
        n += 1.0;
    }
    sum
}

/// Evaluated by the compiler, in IEEE additions, products and quotients alone: the same table everywhere.
#[expect(clippy::cast_possible_truncation, reason = "0 to 32768.5, and 32767 at most")]
const fn segments() -> [(i16, i16); SEGMENTS] {
    let mut table = [(0, 0); SEGMENTS];
    let factor = exp_of_a_32nd();
    // e = exp(2 x) at the segment's end, x = (i + 1) / 64; tanh x = (e - 1) / (e + 1).
    let (mut e, mut start, mut i) = (1.0, 0, 0);
    while i < SEGMENTS {
        e *= factor;
        let rounded = ((e - 1.0) / (e + 1.0) * 32768.0 + 0.5) as i32;
        let end = if rounded > 32_767 { 32_767 } else { rounded as i16 };
        table[i] = (start, end - start);
        start = end;
        i += 1;
    }
    table
}

/// `tanh(x)`: Q3.12 to Q0.15, odd, at most 1.52 units off.
#[expect(clippy::cast_possible_truncation, reason = "|y| <= 32767")]
pub fn tanh(x: i16) -> i16 {
    let magnitude = x.unsigned_abs().min(i16::MAX as u16);
    let (start, rise) = TANH.get(magnitude as usize >> 6).copied().unwrap_or_default();
    let y = start as i32 + ((rise as i32 * (magnitude & 63) as i32 + 32) >> 6);
    (if x < 0 { -y } else { y }) as i16
}

/// `1 / (1 + exp(-x))`: Q3.12 to Q0.15, at most 2.54 units off.
#[expect(clippy::cast_possible_truncation, reason = "tanh of half the range: at most 32746 of 32768")]
pub fn sigmoid(x: i16) -> i16 {
    ((32_768 + tanh(x >> 1) as i32 + 1) >> 1) as i16
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    fn largest_error(f: fn(i16) -> i16, exact: fn(f64) -> f64) -> f64 {
        (i16::MIN..=i16::MAX).map(|x| (f(x) as f64 - exact(x as f64 / 4096.0) * 32768.0).abs()).fold(0.0, f64::max)
    }

    /// The errors that the documentation states, to their last digit.
    #[test]
    fn largest_errors() {
        let tanh_error = largest_error(tanh, f64::tanh);
        assert!((1.51..1.525).contains(&tanh_error), "{tanh_error}");
        let sigmoid_error = largest_error(sigmoid, |x| 1.0 / (1.0 + (-x).exp()));
        assert!((2.53..2.545).contains(&sigmoid_error), "{sigmoid_error}");
    }

    #[test]
    fn table_is_the_rounded_function() {
        for (i, &(start, rise)) in TANH.iter().enumerate() {
            let at = |i: usize| ((i as f64 / 64.0).tanh() * 32768.0).round().min(32767.0) as i16;
            assert_eq!((start, rise), (at(i), at(i + 1) - at(i)), "segment {i}");
        }
    }

    #[test]
    fn odd_monotonic_and_fixed_points() {
        assert_eq!([tanh(0), tanh(4096), tanh(-4096), sigmoid(0)], [0, 24_956, -24_956, 16_384]);
        for x in i16::MIN..i16::MAX {
            assert!(tanh(x) <= tanh(x + 1) && sigmoid(x) <= sigmoid(x + 1), "{x}");
            assert_eq!(tanh(x.saturating_neg()), -tanh(x), "{x}");
        }
    }
}
