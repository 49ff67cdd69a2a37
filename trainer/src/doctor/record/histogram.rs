//! Magnitudes of gradients, counted in powers of four.

use serde::{Deserialize, Serialize};

/// Buckets of a [`Histogram`].
const BUCKETS: usize = 24;

/// Binary exponent at which the first bucket begins: `2^-40`, about `9.1e-13`.
const LOWEST: i32 = -40;

/// How many gradients have which magnitude: bucket `i` counts `2^(2i - 40) <= |g| < 2^(2i - 38)`.
///
/// Smaller ones go into the first bucket and larger ones (from `2^8`) into the last. Exact zeros, NaN and
/// infinities are not counted. Powers of two, because the exponent can be read off a float without a logarithm:
/// a whole layer is counted in the time of one pass over memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram([u32; BUCKETS]);

impl Histogram {
    /// Counts `gradients`.
    pub fn of(gradients: &[f32]) -> Self {
        let mut histogram = Self::default();
        histogram.add(gradients);
        histogram
    }

    /// Counts `gradients` too.
    pub fn add(&mut self, gradients: &[f32]) {
        for &g in gradients.iter().filter(|g| g.is_finite() && **g != 0.0) {
            let exponent = (g.to_bits() >> 23 & 0xff) as i32 - 127;
            let bucket = (exponent - LOWEST).div_euclid(2).clamp(0, BUCKETS as i32 - 1);
            self.0[bucket as usize] += 1;
        }
    }

    /// From the smallest magnitudes to the largest.
    pub fn counts(&self) -> &[u32] {
        &self.0
    }

    /// Decimal logarithm of where bucket `index` begins.
    pub fn log10_start(index: usize) -> f64 {
        f64::from(2 * index as i32 + LOWEST) * std::f64::consts::LOG10_2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitudes_fall_into_their_powers_of_four() {
        let h = Histogram::of(&[0.0, f32::NAN, 1.0, -1.5, 3.9, 4.0, 1e-30, 1e30]);
        let place = |x: f64| (0..BUCKETS).rfind(|&i| Histogram::log10_start(i) <= x.log10() + 1e-9).unwrap();
        let mut expected = [0; BUCKETS];
        expected[place(1.0)] = 3;
        expected[place(4.0)] = 1;
        expected[0] = 1;
        expected[BUCKETS - 1] = 1;
        assert_eq!(h.counts(), expected);
    }
}
