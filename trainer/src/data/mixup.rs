//! Mixup: straight lines between samples, so that the net behaves linearly there instead of swinging.
//!
//! A batch becomes `x <- share x + (1 - share) x[p]` with one `share` from `Beta(alpha, alpha)` and one random order `p`,
//! and so do its labels (Zhang et al., ICLR 2018; as the paper's own code and torchvision's `MixUp`, one share a batch).

use std::ops::RangeInclusive;

use ndarray::ArrayD;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution};

use crate::engine::random::shuffle;

/// What `alpha` may be. The paper takes 0.1 to 0.4 for images of ImageNet, 1 for CIFAR; 1 is uniform, smaller mixes less.
pub const ALPHAS: RangeInclusive<f32> = 0.01..=100.0;

/// The second part of every sample of a mixed batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixed {
    /// Its classes, sample for sample.
    pub second: Vec<usize>,
    /// Share of the first part, 0 to 1.
    pub share: f32,
}

/// Mixes a batch `[batch, ..]` of these classes in place.
///
/// # Panics
/// If `alpha` is not within [`ALPHAS`] or the batch has not as many samples as classes.
pub fn mix(inputs: &mut ArrayD<f32>, classes: &[usize], alpha: f32, rng: &mut ChaCha8Rng) -> Mixed {
    let alpha = f64::from(alpha);
    let share = Beta::new(alpha, alpha).expect("alpha is above zero").sample(rng) as f32;
    let mut order: Vec<usize> = (0..classes.len()).collect();
    shuffle(&mut order, rng);
    let before = inputs.clone();
    for (mut x, &other) in inputs.outer_iter_mut().zip(&order) {
        x.zip_mut_with(&before.index_axis(ndarray::Axis(0), other), |x, y| *x = share * *x + (1.0 - share) * y);
    }
    Mixed { second: order.into_iter().map(|i| classes[i]).collect(), share }
}

#[cfg(test)]
mod tests {
    use super::{ALPHAS, mix};
    use crate::engine::random::{Purpose, stream};
    use ndarray::ArrayD;

    #[test]
    fn inputs_and_labels_are_mixed_alike() {
        // Sample i is the class i written as a one-hot vector, so that the mixture shows in it.
        let one_hot = |n: usize| ArrayD::from_shape_fn(vec![n, n], |i| f32::from(u8::from(i[0] == i[1])));
        let classes: Vec<usize> = (0..8).collect();
        let mut inputs = one_hot(8);
        let mixed = mix(&mut inputs, &classes, 0.4, &mut stream(1, Purpose::Mixup, 0, 0));
        assert!(mixed.share > 0.0 && mixed.share < 1.0);
        let mut sorted = mixed.second.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, classes, "every sample is a second part once");
        assert_ne!(mixed.second, classes);
        for (i, &second) in mixed.second.iter().enumerate() {
            for k in 0..8 {
                let part = |of: usize, share: f32| if k == of { share } else { 0.0 };
                let wanted = part(i, mixed.share) + part(second, 1.0 - mixed.share);
                assert!((inputs[[i, k]] - wanted).abs() < 1e-6, "sample {i}, number {k}");
            }
        }
    }

    #[test]
    fn shares_are_of_the_beta_distribution() {
        for alpha in [*ALPHAS.start(), 0.2, 1.0, *ALPHAS.end()] {
            let share = |i| {
                let mut nothing = ArrayD::zeros(vec![1, 1]);
                f64::from(mix(&mut nothing, &[0], alpha, &mut stream(1, Purpose::Mixup, 0, i)).share)
            };
            let shares: Vec<f64> = (0..20_000).map(share).collect();
            assert!(shares.iter().all(|s| (0.0..=1.0).contains(s)), "{alpha}");
            // Mean 1/2, variance 1 / (4 (2 alpha + 1)).
            let variance = shares.iter().map(|s| (s - 0.5).powi(2)).sum::<f64>() / 2e4;
            let wanted = 0.25 / (2.0 * f64::from(alpha) + 1.0);
            assert!((variance / wanted - 1.0).abs() < 0.05, "{alpha}: {variance} for {wanted}");
            assert!((shares.iter().sum::<f64>() / 2e4 - 0.5).abs() < 0.02, "{alpha}");
        }
    }
}
