//! Initial weights: neither vanishing nor exploding signals at the first step.

pub mod bias;

use nalgebra::DMatrix;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::engine::scalar::Scalar;

/// What weights start as. `U(-a, a)` is uniform, `N(v)` normal of mean 0 and variance `v`; `in` and `out` are the fans.
///
/// Names follow Keras; the meanings are PyTorch's: normal means normal, where Keras cuts its Glorot, He and LeCun normals
/// at two deviations (and scales them back to the same variance).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Init {
    /// `U(-a, a)`, `a = sqrt(6 / (in + out))`: [`glorot`].
    #[default]
    GlorotUniform,
    /// `N(2 / (in + out))`.
    GlorotNormal,
    /// `U(-a, a)`, `a = sqrt(6 / in)`.
    HeUniform,
    /// `N(2 / in)`: [`he`].
    HeNormal,
    /// `U(-a, a)`, `a = sqrt(3 / in)` (LeCun et al., Efficient BackProp, 1998).
    LecunUniform,
    /// `N(1 / in)`.
    LecunNormal,
    /// `gain` times a random matrix with orthonormal columns or, if it is wider than high, rows: [`orthogonal`].
    Orthogonal {
        /// 1 keeps lengths; `sqrt 2` makes up for ReLU.
        #[serde(default = "one")]
        gain: f64,
    },
    /// The same everywhere.
    Constant {
        /// That number.
        value: f64,
    },
    /// 0.
    Zeros,
    /// `N(std^2)`.
    Normal {
        /// The deviation.
        std: f64,
    },
    /// `U(-limit, limit)`.
    Uniform {
        /// The largest magnitude.
        limit: f64,
    },
}

fn one() -> f64 {
    1.0
}

/// An initializer whose number makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("init: {field} = {value}; allowed: {allowed}")]
pub struct InitError {
    field: &'static str,
    value: f64,
    allowed: &'static str,
}

/// The weights of one layer as a matrix, row after row, one column for each output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Numbers that feed one output.
    pub rows: usize,
    /// Outputs.
    pub columns: usize,
    /// Inputs that feed one output.
    pub fan_in: usize,
    /// Outputs that one input feeds.
    pub fan_out: usize,
}

impl Kernel {
    /// Of a dense layer.
    pub fn dense(inputs: usize, outputs: usize) -> Self {
        Self { rows: inputs, columns: outputs, fan_in: inputs, fan_out: outputs }
    }

    /// Of a convolution `[taps, inputs / groups, outputs]`, counted as Keras and PyTorch do: as if stride and edges did
    /// not matter, and `fan_out` as if there were no groups.
    pub fn convolution(taps: usize, inputs: usize, outputs: usize, groups: usize) -> Self {
        let rows = taps * (inputs / groups);
        Self { rows, columns: outputs, fan_in: rows, fan_out: taps * outputs }
    }
}

impl Init {
    /// Refuses numbers that make no weights.
    ///
    /// # Errors
    /// [`InitError`] with the field and what it may be.
    pub fn check(&self) -> Result<(), InitError> {
        let above_zero = |v: f64| v > 0.0 && v <= LARGEST;
        let (field, value, fits, allowed) = match *self {
            Self::Orthogonal { gain } => ("gain", gain, above_zero(gain), "above 0, at most 1000000"),
            Self::Normal { std } => ("std", std, above_zero(std), "above 0, at most 1000000"),
            Self::Uniform { limit } => ("limit", limit, above_zero(limit), "above 0, at most 1000000"),
            Self::Constant { value } => ("value", value, value.abs() <= LARGEST, "-1000000 to 1000000"),
            _ => return Ok(()),
        };
        if fits { Ok(()) } else { Err(InitError { field, value, allowed }) }
    }

    /// The weights of `kernel`, row after row.
    ///
    /// # Panics
    /// If [`Init::check`] refuses the initializer.
    pub fn fill<T: Scalar>(&self, kernel: Kernel, rng: &mut impl Rng) -> Vec<T> {
        let Kernel { rows, columns, fan_in, fan_out } = kernel;
        let (len, fan_in, both) = (rows * columns, fan_in as f64, (fan_in + fan_out) as f64);
        match *self {
            Self::GlorotUniform => uniform(len, (6.0 / both).sqrt(), rng),
            Self::GlorotNormal => normal(len, (2.0 / both).sqrt(), rng),
            Self::HeUniform => uniform(len, (6.0 / fan_in).sqrt(), rng),
            Self::HeNormal => normal(len, (2.0 / fan_in).sqrt(), rng),
            Self::LecunUniform => uniform(len, (3.0 / fan_in).sqrt(), rng),
            Self::LecunNormal => normal(len, (1.0 / fan_in).sqrt(), rng),
            Self::Orthogonal { gain } => orthonormal(rows, columns, gain, rng),
            Self::Constant { value } => vec![T::of(value); len],
            Self::Zeros => vec![T::zero(); len],
            Self::Normal { std } => normal(len, std, rng),
            Self::Uniform { limit } => uniform(len, limit, rng),
        }
    }
}

/// Numbers beyond this are a slip of the pen.
const LARGEST: f64 = 1e6;

fn uniform<T: Scalar>(len: usize, limit: f64, rng: &mut impl Rng) -> Vec<T> {
    (0..len).map(|_| T::of(rng.random_range(-limit..limit))).collect()
}

fn normal<T: Scalar>(len: usize, deviation: f64, rng: &mut impl Rng) -> Vec<T> {
    let normal = |rng: &mut _| -> f64 { StandardNormal.sample(rng) };
    (0..len).map(|_| T::of(deviation * normal(rng))).collect()
}

/// Glorot uniform: `U(-a, a)` with `a = sqrt(6 / (fan_in + fan_out))`, which keeps the variance of signals and of
/// gradients through layers without ReLU (Glorot and Bengio, AISTATS 2010). `len` numbers.
pub fn glorot<T: Scalar>(len: usize, fan_in: usize, fan_out: usize, rng: &mut impl Rng) -> Vec<T> {
    Init::GlorotUniform.fill(Kernel { rows: len, columns: 1, fan_in, fan_out }, rng)
}

/// He normal: `N(0, 2 / fan_in)`, which keeps the variance where ReLU halves it (He et al., ICCV 2015). `len` numbers.
pub fn he<T: Scalar>(len: usize, fan_in: usize, rng: &mut impl Rng) -> Vec<T> {
    Init::HeNormal.fill(Kernel { rows: len, columns: 1, fan_in, fan_out: 0 }, rng)
}

/// A random orthogonal `n` x `n` matrix, row after row: all singular values 1, so repeated products neither vanish nor
/// explode (Saxe et al., ICLR 2014).
pub fn orthogonal<T: Scalar>(n: usize, rng: &mut impl Rng) -> Vec<T> {
    orthonormal(n, n, 1.0, rng)
}

/// `gain` times a random matrix, row after row, with orthonormal columns or, if it is wider than high, rows.
///
/// It is Q of a normal matrix's QR; each column takes the sign of R's diagonal, without which the distribution would
/// depend on the algorithm instead of being uniform (Mezzadri, Notices of the AMS 54, 2007).
fn orthonormal<T: Scalar>(rows: usize, columns: usize, gain: f64, rng: &mut impl Rng) -> Vec<T> {
    let (long, short) = (rows.max(columns), rows.min(columns));
    let normal: DMatrix<f64> = DMatrix::from_fn(long, short, |_, _| StandardNormal.sample(rng));
    let (q, r) = normal.qr().unpack();
    let sign = |j: usize| if r[(j, j)] < 0.0 { -1.0 } else { 1.0 };
    let number = |i: usize, j: usize| gain * q[(i, j)] * sign(j);
    let at = |i: usize, j: usize| if rows >= columns { number(i, j) } else { number(j, i) };
    (0..rows * columns).map(|k| T::of(at(k / columns, k % columns))).collect()
}

#[cfg(test)]
mod tests {
    use super::{Init, Kernel, glorot, he, orthogonal};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(7)
    }

    /// Products of the columns of `m`, or of its rows, must be `square` on the diagonal and 0 elsewhere.
    fn check_products(m: &[f64], [rows, columns]: [usize; 2], of_columns: bool, square: f64) {
        let (count, len) = if of_columns { (columns, rows) } else { (rows, columns) };
        let at = |vector: usize, k: usize| if of_columns { m[k * columns + vector] } else { m[vector * columns + k] };
        for i in 0..count {
            for j in 0..count {
                let dot: f64 = (0..len).map(|k| at(i, k) * at(j, k)).sum();
                let wanted = if i == j { square } else { 0.0 };
                assert!((dot - wanted).abs() < 1e-12, "{rows}x{columns}, {i}, {j}: {dot}");
            }
        }
    }

    #[test]
    fn orthogonal_matrices_of_any_shape() {
        check_products(&orthogonal(24, &mut rng()), [24, 24], true, 1.0);
        for (rows, columns) in [(24, 24), (30, 7), (7, 30), (5, 1), (1, 5)] {
            let m: Vec<f64> = Init::Orthogonal { gain: 1.5 }.fill(Kernel::dense(rows, columns), &mut rng());
            assert_eq!(m.len(), rows * columns);
            check_products(&m, [rows, columns], rows >= columns, 2.25);
        }
    }

    #[test]
    fn variances_are_those_of_the_papers() {
        let variance = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>() / v.len() as f64;
        let kernel = Kernel { rows: 1000, columns: 100, fan_in: 30, fan_out: 70 };
        let (both, fan_in) = (2.0 / 100.0, 1.0 / 30.0);
        for (init, wanted, bounded) in [
            (Init::GlorotUniform, both, true),
            (Init::GlorotNormal, both, false),
            (Init::HeUniform, 2.0 * fan_in, true),
            (Init::HeNormal, 2.0 * fan_in, false),
            (Init::LecunUniform, fan_in, true),
            (Init::LecunNormal, fan_in, false),
            (Init::Normal { std: 0.3 }, 0.09, false),
            (Init::Uniform { limit: 0.3 }, 0.03, true),
        ] {
            let v: Vec<f64> = init.fill(kernel, &mut rng());
            assert!((variance(&v) / wanted - 1.0).abs() < 0.02, "{init:?}");
            // A uniform distribution ends at sqrt 3 deviations; a normal one of 100,000 numbers does not.
            assert_eq!(v.iter().all(|x| x.abs() <= (3.0 * wanted).sqrt()), bounded, "{init:?}");
        }
        let same = |a: Vec<f64>, b: Vec<f64>| assert_eq!(a, b);
        same(glorot(100_000, 30, 70, &mut rng()), Init::GlorotUniform.fill(kernel, &mut rng()));
        same(he(100_000, 30, &mut rng()), Init::HeNormal.fill(kernel, &mut rng()));
    }

    #[test]
    fn constants_are_constant() {
        let fill = |init: Init| -> Vec<f64> { init.fill(Kernel::dense(2, 2), &mut rng()) };
        assert_eq!(fill(Init::Constant { value: -0.5 }), [-0.5; 4]);
        assert_eq!(fill(Init::Zeros), [0.0; 4]);
    }

    #[test]
    fn fans_of_a_convolution() {
        // A 3x3 kernel on 16 channels to 32, whole and in 4 groups.
        let whole = Kernel { rows: 144, columns: 32, fan_in: 144, fan_out: 288 };
        let grouped = Kernel { rows: 36, columns: 32, fan_in: 36, fan_out: 288 };
        assert_eq!([1, 4].map(|groups| Kernel::convolution(9, 16, 32, groups)), [whole, grouped]);
    }

    #[test]
    fn names_and_numbers_are_checked() {
        let read = |text| serde_json::from_str::<Init>(text);
        assert_eq!(read(r#"{"kind":"he-normal"}"#).unwrap(), Init::HeNormal);
        assert_eq!(read(r#"{"kind":"orthogonal"}"#).unwrap(), Init::Orthogonal { gain: 1.0 });
        let error = read(r#"{"kind":"xavier"}"#).unwrap_err().to_string();
        assert!(error.contains("glorot-uniform"), "{error}");
        for bad in [
            Init::Orthogonal { gain: 0.0 },
            Init::Normal { std: f64::NAN },
            Init::Uniform { limit: -1.0 },
            Init::Constant { value: f64::INFINITY },
        ] {
            let error = bad.check().unwrap_err().to_string();
            assert!(error.contains("allowed"), "{error}");
        }
        assert_eq!(Init::Constant { value: -2.0 }.check(), Ok(()));
    }
}
