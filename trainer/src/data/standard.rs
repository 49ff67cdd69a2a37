//! Mean and standard deviation of each channel, by which inputs are standardized.

use escarp_runtime::frontend::Norm;
use serde::{Deserialize, Serialize};

/// `value = (x - mean) / std` for each channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standard {
    /// One for each channel.
    pub mean: Vec<f32>,
    /// One for each channel, at least `LEAST`.
    pub std: Vec<f32>,
}

/// A channel that never changes has no spread to divide by.
const LEAST: f64 = 1e-3;

impl Standard {
    /// Over `values`, in which the channels alternate; sums in f64, in order.
    pub fn of(channels: usize, values: impl IntoIterator<Item = f32>) -> Self {
        let mut sums = vec![(0f64, 0f64, 0f64); channels];
        for (i, value) in values.into_iter().enumerate() {
            let (count, sum, squares) = &mut sums[i % channels];
            *count += 1.0;
            *sum += f64::from(value);
            *squares += f64::from(value) * f64::from(value);
        }
        let statistics = sums.iter().map(|&(count, sum, squares)| {
            let mean = sum / count.max(1.0);
            let variance = (squares / count.max(1.0) - mean * mean).max(0.0);
            (mean as f32, variance.sqrt().max(LEAST) as f32)
        });
        let (mean, std) = statistics.unzip();
        Self { mean, std }
    }

    /// Standardizes in place as the board does; the channels alternate in `values`.
    pub fn apply(&self, values: &mut [f32]) {
        let norm = Norm::new(&self.mean, &self.std);
        for row in values.chunks_exact_mut(norm.len()) {
            row.iter_mut().enumerate().for_each(|(c, v)| *v = norm.apply(c, *v));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Standard;

    #[test]
    fn statistics_by_channel() {
        let standard = Standard::of(2, [1.0, 5.0, 3.0, 5.0]);
        assert_eq!(standard, Standard { mean: vec![2.0, 5.0], std: vec![1.0, 1e-3] });
        let mut values = [1.0, 5.0, 4.0, 5.002];
        standard.apply(&mut values);
        assert_eq!(values[..3], [-1.0, 0.0, 2.0]);
    }
}
