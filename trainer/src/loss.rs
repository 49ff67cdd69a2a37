//! Softmax cross-entropy with label smoothing.
//!
//! With `p = softmax(z)` and target `t = (1 - s) onehot(y) + s / classes`, the loss of a sample is `-sum t log p` and
//! its gradient `dz = p - t`; both are divided by the batch. `log p = z - max - log sum exp(z - max)` cannot overflow.

use ndarray::{Array2, ArrayView2};

use crate::scalar::Scalar;

/// Loss of a batch, its gradient and how many samples were right.
#[derive(Clone, Debug)]
pub struct Loss<T> {
    /// Summed over the samples given and divided by `batch`.
    pub loss: f64,
    /// Samples whose largest logit is their label's.
    pub correct: usize,
    /// Of `loss` by the logits, `[samples, classes]`.
    pub gradient: Array2<T>,
}

/// The loss of `logits` `[samples, classes]`, a part of a batch of `batch` samples, against `labels`.
pub fn softmax_cross_entropy<T: Scalar>(
    logits: ArrayView2<'_, T>,
    labels: &[usize],
    smoothing: f32,
    batch: usize,
) -> Loss<T> {
    let classes = logits.ncols();
    let (off, on) = (f64::from(smoothing) / classes as f64, 1.0 - f64::from(smoothing));
    let mut gradient = Array2::zeros(logits.dim());
    let (mut loss, mut correct) = (0.0, 0);
    for ((z, mut dz), &label) in logits.outer_iter().zip(gradient.outer_iter_mut()).zip(labels) {
        let largest = z.iter().fold(f64::NEG_INFINITY, |m, v| m.max(v.wide()));
        let sum: f64 = z.iter().map(|v| (v.wide() - largest).exp()).sum();
        for (k, (&z, dz)) in z.iter().zip(&mut dz).enumerate() {
            let log_p = z.wide() - largest - sum.ln();
            let target = off + if k == label { on } else { 0.0 };
            loss -= target * log_p;
            *dz = T::of((log_p.exp() - target) / batch as f64);
        }
        correct += usize::from(crate::loss::argmax(z.iter().copied()) == label);
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
    use super::softmax_cross_entropy;
    use ndarray::array;

    #[test]
    fn gradient_is_that_of_finite_differences() {
        let z = array![[0.3, -1.2, 2.0], [500.0, 499.0, -500.0]];
        let labels = [0, 1];
        let exact = softmax_cross_entropy(z.view(), &labels, 0.1, 2);
        assert_eq!(exact.correct, 0);
        for at in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
            let side = |h: f64| {
                let mut moved = z.clone();
                moved[at] += h;
                softmax_cross_entropy(moved.view(), &labels, 0.1, 2).loss
            };
            let slope = (side(1e-5) - side(-1e-5)) / 2e-5;
            assert!((slope - exact.gradient[at]).abs() < 1e-8, "{at:?}");
        }
    }

    #[test]
    fn uniform_logits_cost_the_logarithm_of_the_classes() {
        let loss = softmax_cross_entropy(array![[0.0f32; 10]].view(), &[3], 0.1, 1).loss;
        assert!((loss - 10f64.ln()).abs() < 1e-6);
    }
}
