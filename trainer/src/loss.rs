//! Softmax cross-entropy with label smoothing and mixed labels.
//!
//! With `p = softmax(z)` and target `t = (1 - s) y + s / classes`, the loss of a sample is `-sum t log p` and its
//! gradient `dz = p - t`; both are divided by the batch. `log p = z - max - log sum exp(z - max)` cannot overflow. `y` is
//! `onehot(label)` or, of a sample that mixup made of two, `share onehot(first) + (1 - share) onehot(second)`.

use ndarray::{Array2, ArrayView2};

use crate::scalar::Scalar;

/// What a net should have said about each sample of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Targets<'a> {
    /// One class a sample.
    Classes(&'a [usize]),
    /// Two classes a sample: of inputs mixed as `share x_first + (1 - share) x_second` (mixup; Zhang et al., ICLR 2018).
    Mixed {
        /// Class of the first part of each sample.
        first: &'a [usize],
        /// Class of the second part, sample for sample.
        second: &'a [usize],
        /// Of the first part, 0 to 1; the same for the whole batch.
        share: f32,
    },
}

impl Targets<'_> {
    /// Samples.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(labels) => labels.len(),
            Self::Mixed { first, .. } => first.len(),
        }
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sample `i`: the first class, its share, the second class, which has the rest.
    ///
    /// # Panics
    /// If there is no such sample.
    pub fn sample(&self, i: usize) -> (usize, f32, usize) {
        match *self {
            Self::Classes(labels) => (labels[i], 1.0, labels[i]),
            Self::Mixed { first, second, share } => (first[i], share, second[i]),
        }
    }

    /// The class that counts as right: of a mixed sample that of the larger part, of equal parts the first.
    ///
    /// # Panics
    /// If there is no sample `i`.
    pub fn class(&self, i: usize) -> usize {
        let (first, share, second) = self.sample(i);
        if share >= 0.5 { first } else { second }
    }
}

/// Loss of a batch, its gradient and how many samples were right.
#[derive(Clone, Debug)]
pub struct Loss<T> {
    /// Summed over the samples given and divided by `batch`.
    pub loss: f64,
    /// Samples whose largest logit is that of [`Targets::class`].
    pub correct: usize,
    /// Of `loss` by the logits, `[samples, classes]`.
    pub gradient: Array2<T>,
}

/// The loss of `logits` `[samples, classes]`, a part of a batch of `batch` samples, against `targets`.
///
/// # Panics
/// If there are fewer targets than samples.
pub fn softmax_cross_entropy<T: Scalar>(
    logits: ArrayView2<'_, T>,
    targets: Targets<'_>,
    smoothing: f32,
    batch: usize,
) -> Loss<T> {
    let classes = logits.ncols();
    let (off, on) = (f64::from(smoothing) / classes as f64, 1.0 - f64::from(smoothing));
    let mut gradient = Array2::zeros(logits.dim());
    let (mut loss, mut correct) = (0.0, 0);
    for (i, (z, mut dz)) in logits.outer_iter().zip(gradient.outer_iter_mut()).enumerate() {
        let (first, share, second) = targets.sample(i);
        let share = f64::from(share);
        let largest = z.iter().fold(f64::NEG_INFINITY, |m, v| m.max(v.wide()));
        let sum: f64 = z.iter().map(|v| (v.wide() - largest).exp()).sum();
        for (k, (&z, dz)) in z.iter().zip(&mut dz).enumerate() {
            let log_p = z.wide() - largest - sum.ln();
            let part = |class: usize, share: f64| if k == class { on * share } else { 0.0 };
            let target = off + part(first, share) + part(second, 1.0 - share);
            loss -= target * log_p;
            *dz = T::of((log_p.exp() - target) / batch as f64);
        }
        correct += usize::from(argmax(z.iter().copied()) == targets.class(i));
    }
    Loss { loss: loss / batch as f64, correct, gradient }
}

/// Where the first of the largest values is; 0 where nothing can be compared.
pub fn argmax<T: Scalar>(values: impl IntoIterator<Item = T>) -> usize {
    let largest = |best: (usize, T), (i, v): (usize, T)| if v > best.1 { (i, v) } else { best };
    values.into_iter().enumerate().fold((0, T::neg_infinity()), largest).0
}

#[cfg(test)]
mod tests {
    use super::{Targets, softmax_cross_entropy};
    use ndarray::array;

    #[test]
    fn gradient_is_that_of_finite_differences() {
        let z = array![[0.3, -1.2, 2.0], [500.0, 499.0, -500.0]];
        let mixed = Targets::Mixed { first: &[0, 1], second: &[1, 1], share: 0.3 };
        for (targets, correct) in [(Targets::Classes(&[0, 1]), 0), (Targets::Classes(&[2, 0]), 2), (mixed, 0)] {
            let exact = softmax_cross_entropy(z.view(), targets, 0.1, 2);
            assert_eq!(exact.correct, correct);
            for at in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
                let side = |h: f64| {
                    let mut moved = z.clone();
                    moved[at] += h;
                    softmax_cross_entropy(moved.view(), targets, 0.1, 2).loss
                };
                let slope = (side(1e-5) - side(-1e-5)) / 2e-5;
                assert!((slope - exact.gradient[at]).abs() < 1e-8, "{targets:?} {at:?}");
            }
        }
    }

    #[test]
    fn uniform_logits_cost_the_logarithm_of_the_classes() {
        let loss = softmax_cross_entropy(array![[0.0f32; 10]].view(), Targets::Classes(&[3]), 0.1, 1).loss;
        assert!((loss - 10f64.ln()).abs() < 1e-6);
    }

    #[test]
    fn a_mixed_loss_is_the_mixture_of_the_losses() {
        let z = array![[0.3, -1.2, 2.0], [1.0, 0.5, -0.5]];
        let (first, second) = ([0, 2], [2, 1]);
        let mixed =
            softmax_cross_entropy(z.view(), Targets::Mixed { first: &first, second: &second, share: 0.3 }, 0.0, 2);
        let [a, b] = [&first, &second].map(|l| softmax_cross_entropy(z.view(), Targets::Classes(l), 0.0, 2));
        let share = f64::from(0.3f32);
        assert!((mixed.loss - (share * a.loss + (1.0 - share) * b.loss)).abs() < 1e-12);
        // The larger part is the second; of the first sample it is where the largest logit is.
        assert_eq!(mixed.correct, 1);
    }
}
