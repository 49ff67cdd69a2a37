//! Initial weights: neither vanishing nor exploding signals at the first step.

use nalgebra::DMatrix;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use crate::scalar::Scalar;

/// Glorot uniform: `U(-a, a)` with `a = sqrt(6 / (fan_in + fan_out))`, which keeps the variance of signals and of
/// gradients through layers without ReLU (Glorot and Bengio, AISTATS 2010). `len` numbers.
pub fn glorot<T: Scalar>(len: usize, fan_in: usize, fan_out: usize, rng: &mut impl Rng) -> Vec<T> {
    let a = (6.0 / (fan_in + fan_out) as f64).sqrt();
    (0..len).map(|_| T::of(rng.random_range(-a..a))).collect()
}

/// He normal: `N(0, 2 / fan_in)`, which keeps the variance where ReLU halves it (He et al., ICCV 2015). `len` numbers.
pub fn he<T: Scalar>(len: usize, fan_in: usize, rng: &mut impl Rng) -> Vec<T> {
    let deviation = (2.0 / fan_in as f64).sqrt();
    let normal = |rng: &mut _| -> f64 { StandardNormal.sample(rng) };
    (0..len).map(|_| T::of(deviation * normal(rng))).collect()
}

/// A random orthogonal `n` x `n` matrix, row after row: all singular values 1, so repeated products neither vanish nor
/// explode (Saxe et al., ICLR 2014).
///
/// It is Q of a normal matrix's QR; each column takes the sign of R's diagonal, without which the distribution would
/// depend on the algorithm instead of being uniform (Mezzadri, Notices of the AMS 54, 2007).
pub fn orthogonal<T: Scalar>(n: usize, rng: &mut impl Rng) -> Vec<T> {
    let normal: DMatrix<f64> = DMatrix::from_fn(n, n, |_, _| StandardNormal.sample(rng));
    let (q, r) = normal.qr().unpack();
    let sign = |j: usize| if r[(j, j)] < 0.0 { -1.0 } else { 1.0 };
    (0..n * n).map(|i| T::of(q[(i / n, i % n)] * sign(i % n))).collect()
}

#[cfg(test)]
mod tests {
    use super::{glorot, he, orthogonal};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(7)
    }

    #[test]
    fn orthogonal_columns_are_orthonormal() {
        let n = 24;
        let q: Vec<f64> = orthogonal(n, &mut rng());
        for i in 0..n {
            for j in 0..n {
                let dot: f64 = (0..n).map(|k| q[k * n + i] * q[k * n + j]).sum();
                assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-12, "columns {i}, {j}: {dot}");
            }
        }
    }

    #[test]
    fn variances_are_those_of_the_papers() {
        let variance = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>() / v.len() as f64;
        let v: Vec<f64> = he(100_000, 50, &mut rng());
        assert!((variance(&v) / (2.0 / 50.0) - 1.0).abs() < 0.02);
        let v: Vec<f64> = glorot(100_000, 30, 70, &mut rng());
        assert!((variance(&v) / (2.0 / 100.0) - 1.0).abs() < 0.02);
        let limit = (6.0f64 / 100.0).sqrt();
        assert!(v.iter().all(|x| x.abs() <= limit));
    }
}
