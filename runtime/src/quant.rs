//! Fixed-point requantization: the one formula by which an accumulator becomes an activation.
//!
//! An accumulator `acc` (int32, in units of `s_in * s_w`) becomes an output in units of `s_out` by the real factor
//! `f = s_in * s_w / s_out`. The converter writes `f = m / 2^s` with a 31-bit mantissa `m` in `[2^30, 2^31)`, which leaves a
//! relative error of at most `2^-31`, and the runtime computes
//!
//! ```text
//! y = floor((acc * m + 2^(s-1)) / 2^s)        one rounding, ties toward +inf
//! ```
//!
//! exactly, in int64: `|acc * m| < 2^31 * 2^31 = 2^62` and `2^(s-1) <= 2^61` for `s <= 62`, so nothing overflows.
//! With `s >= 32` the result is within `±2^30` and needs no saturation; smaller shifts (residual epilogues, GRU gates)
//! saturate to int32. On Neon the case `s >= 32` is `sqdmulh` and a rounding shift:
//! `floor((floor(P / 2^31) + 2^(s-32)) / 2^(s-31)) = floor((P + 2^(s-1)) / 2^s)`, because a floor of a floor by integer
//! divisors is one floor. `sqrdmulh` would round twice.

/// Smallest mantissa: `m` is normalized to `[2^30, 2^31)`, or 0 for a channel that is only padding.
pub const MULTIPLIER_MIN: i32 = 1 << 30;
/// Smallest shift of a plain epilogue.
pub const SHIFT_MIN: u8 = 32;
/// Smallest shift where the target has fraction bits of its own: residual epilogues (Q12), GRU gates (Q3.12), averages.
pub const SHIFT_MIN_WIDE: u8 = 16;
/// Largest shift.
pub const SHIFT_MAX: u8 = 62;

/// `clamp_i32(floor((acc * m + 2^(s-1)) / 2^s))`, for `s` in `1..=62` (the model's loader admits 16 to 62).
///
/// Total on all inputs: a shift outside that range is taken modulo 64, so that no argument can panic.
#[expect(clippy::cast_possible_truncation, reason = "compared just before")]
#[inline(always)]
pub const fn requantize(acc: i32, m: i32, s: u8) -> i32 {
    let product = acc as i64 * m as i64;
    let half = 1i64.wrapping_shl(s.wrapping_sub(1) as u32);
    let y = product.wrapping_add(half).wrapping_shr(s as u32);
    if y > i32::MAX as i64 {
        i32::MAX
    } else if y < i32::MIN as i64 {
        i32::MIN
    } else {
        y as i32
    }
}

/// Saturates to int16.
#[expect(clippy::cast_possible_truncation, reason = "compared just before")]
#[inline(always)]
pub const fn sat16(x: i32) -> i16 {
    if x > i16::MAX as i32 {
        i16::MAX
    } else if x < i16::MIN as i32 {
        i16::MIN
    } else {
        x as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_computed() {
        // m / 2^s = 1/4: ties (2/4, 6/4, -2/4) go up.
        let quarter = |acc| requantize(acc, 1 << 30, 32);
        assert_eq!([0, 1, 2, 3, 5, 6, -1, -2, -3, -6].map(quarter), [0, 0, 1, 1, 1, 2, 0, 0, -1, -1]);
        // 0.3 = 1288490189 / 2^32 (rounded): 100 * 0.3 = 30, 5 * 0.3 = 1.5 + 4e-10 -> 2, -5 * 0.3 -> -2.
        assert_eq!([100, 5, -5].map(|acc| requantize(acc, 1_288_490_189, 32)), [30, 2, -2]);
        assert_eq!(requantize(i32::MIN, i32::MAX, 32), -(1 << 30) + 1);
        assert_eq!(requantize(i32::MAX, i32::MAX, 62), 1);
        assert_eq!(requantize(1 << 20, 1 << 30, 16), i32::MAX, "a wide target saturates");
        assert_eq!(requantize(-(1 << 20), 1 << 30, 16), i32::MIN);
        assert_eq!(requantize(7, 0, 32), 0, "a padded channel");
    }

    #[test]
    fn equals_the_definition_in_wider_integers() {
        let mut seed = 1u64;
        for _ in 0..200_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let acc = (seed >> 32) as i32;
            let m = MULTIPLIER_MIN + ((seed >> 3) as i32 & (MULTIPLIER_MIN - 1));
            let s = SHIFT_MIN_WIDE + ((seed >> 40) % 47) as u8;
            let exact = (acc as i128 * m as i128 + (1i128 << (s - 1))).div_euclid(1i128 << s);
            assert_eq!(requantize(acc, m, s) as i128, exact.clamp(i32::MIN as i128, i32::MAX as i128), "{acc} {m} {s}");
        }
    }

    #[test]
    fn no_shift_panics() {
        for s in 0..=u8::MAX {
            for acc in [i32::MIN, -1, 0, i32::MAX] {
                requantize(acc, i32::MIN, s);
                requantize(acc, i32::MAX, s);
            }
        }
    }

    #[test]
    fn sat16_limits() {
        assert_eq!([40_000, -40_000, 32_767, -32_768, 5].map(sat16), [32_767, -32_768, 32_767, -32_768, 5]);
    }
}
