//! Losses: what a net should have said decides how its outputs are judged.
//!
//! | targets | loss of a sample | gradient by the output `z` |
//! |---|---|---|
//! | classes | softmax cross-entropy `-sum t log p`, `p = softmax(z)` | `p - t` |
//! | yes or no | sigmoid cross-entropy `-t log p - (1 - t) log(1 - p)`, `p = sigmoid(z)` | `p - t` |
//! | numbers | mean of the squared errors `(z - t)^2` over the outputs | `2 (z - t) / outputs` |
//!
//! All are divided by the number of samples. With label smoothing `s`, `t = (1 - s) y + s / classes`, where `y` is
//! `onehot(label)` or, of a sample that mixup made of two, `share onehot(first) + (1 - share) onehot(second)`.
//! `log p = z - max - log sum exp(z - max)` cannot overflow, nor can `log sigmoid(z) = min(z, 0) - log(1 + exp(-|z|))`.

use ndarray::{Array2, ArrayView2};

use crate::{engine::scalar::Scalar, nets::NetError};

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
    /// Yes or no for each output.
    Binary(&'a [bool]),
    /// A number for each output.
    Numbers(&'a [f32]),
}

/// As a class: a sample that does not count, such as a frame behind the end of its sequence.
pub const IGNORED: usize = usize::MAX;

impl Targets<'_> {
    /// Refuses targets that do not fit `samples` rows of `outputs` numbers.
    ///
    /// # Errors
    /// [`NetError::Labels`] and [`NetError::Label`].
    pub fn check(&self, samples: usize, outputs: usize) -> Result<(), NetError> {
        let labels = match *self {
            Self::Classes(labels) => vec![labels],
            Self::Mixed { first, second, .. } => vec![first, second],
            Self::Binary(answers) => return count(answers.len(), samples * outputs),
            Self::Numbers(numbers) => return count(numbers.len(), samples * outputs),
        };
        for labels in labels {
            count(labels.len(), samples)?;
            if let Some(sample) = labels.iter().position(|&l| l >= outputs && l != IGNORED) {
                return Err(NetError::Label { sample, label: labels[sample], classes: outputs });
            }
        }
        Ok(())
    }
}

fn count(labels: usize, samples: usize) -> Result<(), NetError> {
    if labels == samples { Ok(()) } else { Err(NetError::Labels { labels, samples }) }
}

/// Loss of a batch, its gradient and how many samples were right.
#[derive(Clone, Debug)]
pub struct Loss<T> {
    /// Mean over the samples that count.
    pub loss: f64,
    /// Samples that are right: the largest output is that of the class (of a mixed sample that of the larger part, of
    /// equal parts the first), every yes is above zero and every no is not. No sample of numbers.
    pub correct: usize,
    /// Samples that count.
    pub samples: usize,
    /// Of `loss` by the outputs, `[samples, outputs]`.
    pub gradient: Array2<T>,
}

/// The loss of `outputs` `[samples, outputs]` against `targets`, which [`Targets::check`] has found to fit. `smoothing`
/// concerns classes alone.
pub fn loss<T: Scalar>(outputs: ArrayView2<'_, T>, targets: Targets<'_>, smoothing: f32) -> Loss<T> {
    masked_loss(outputs, targets, smoothing, None)
}

/// [`loss`] of the samples for which `counted`, one entry for each, is true; the others have no gradient. As if they
/// were not there: means are over those that count. Keras' and PyTorch's per-step losses with a mask, divided by its sum.
pub fn masked_loss<T: Scalar>(
    outputs: ArrayView2<'_, T>,
    targets: Targets<'_>,
    smoothing: f32,
    counted: Option<&[bool]>,
) -> Loss<T> {
    let counts = |sample: usize| counted.is_none_or(|counted| counted[sample]);
    match targets {
        Targets::Classes(labels) => softmax(outputs, labels, labels, 1.0, smoothing, counts),
        Targets::Mixed { first, second, share } => softmax(outputs, first, second, share, smoothing, counts),
        Targets::Binary(answers) => sigmoid(outputs, answers, counts),
        Targets::Numbers(numbers) => squares(outputs, numbers, counts),
    }
}

fn softmax<T: Scalar>(
    logits: ArrayView2<'_, T>,
    first: &[usize],
    second: &[usize],
    share: f32,
    smoothing: f32,
    counts: impl Fn(usize) -> bool,
) -> Loss<T> {
    let classes = logits.ncols();
    let (off, on) = (f64::from(smoothing) / classes as f64, 1.0 - f64::from(smoothing));
    let counts = |sample: usize| first[sample] != IGNORED && counts(sample);
    let samples = (0..first.len()).filter(|&sample| counts(sample)).count();
    let mut gradient = Array2::zeros(logits.dim());
    let (mut loss, mut correct) = (0.0, 0);
    let rows = logits.outer_iter().zip(gradient.outer_iter_mut()).zip(first.iter().zip(second));
    for (_, ((z, mut dz), (&first, &second))) in rows.enumerate().filter(|(sample, _)| counts(*sample)) {
        let share_of_first = f64::from(share);
        let largest = z.iter().fold(f64::NEG_INFINITY, |m, v| m.max(v.wide()));
        let sum: f64 = z.iter().map(|v| (v.wide() - largest).exp()).sum();
        for (k, (&z, dz)) in z.iter().zip(&mut dz).enumerate() {
            let log_p = z.wide() - largest - sum.ln();
            let part = |class: usize, share: f64| if k == class { on * share } else { 0.0 };
            let target = off + part(first, share_of_first) + part(second, 1.0 - share_of_first);
            loss -= target * log_p;
            *dz = T::of((log_p.exp() - target) / samples as f64);
        }
        correct += usize::from(argmax(z.iter().copied()) == if share >= 0.5 { first } else { second });
    }
    Loss { loss: loss / samples.max(1) as f64, correct, samples, gradient }
}

fn sigmoid<T: Scalar>(logits: ArrayView2<'_, T>, answers: &[bool], counts: impl Fn(usize) -> bool) -> Loss<T> {
    let (rows, outputs) = logits.dim();
    let samples = (0..rows).filter(|&sample| counts(sample)).count();
    let mut gradient = Array2::zeros(logits.dim());
    let (mut loss, mut correct) = (0.0, 0);
    let rows = logits.outer_iter().zip(gradient.outer_iter_mut()).zip(answers.chunks(outputs));
    for (_, ((z, mut dz), answers)) in rows.enumerate().filter(|(sample, _)| counts(*sample)) {
        for ((z, dz), &yes) in z.iter().zip(&mut dz).zip(answers) {
            let z = z.wide();
            let tail = (-z.abs()).exp().ln_1p();
            loss -= if yes { z.min(0.0) - tail } else { (-z).min(0.0) - tail };
            *dz = T::of((1.0 / (1.0 + (-z).exp()) - f64::from(u8::from(yes))) / (samples * outputs) as f64);
        }
        correct += usize::from(z.iter().zip(answers).all(|(z, &yes)| (z.wide() > 0.0) == yes));
    }
    Loss { loss: loss / (samples * outputs).max(1) as f64, correct, samples, gradient }
}

fn squares<T: Scalar>(outputs: ArrayView2<'_, T>, numbers: &[f32], counts: impl Fn(usize) -> bool) -> Loss<T> {
    let width = outputs.ncols().max(1);
    let samples = (0..outputs.nrows()).filter(|&sample| counts(sample)).count();
    let count = (samples * width) as f64;
    let mut gradient = Array2::zeros(outputs.dim());
    let mut loss = 0.0;
    let all = outputs.iter().zip(&mut gradient).zip(numbers).enumerate();
    for (_, ((z, dz), &t)) in all.filter(|(i, _)| counts(i / width)) {
        let error = z.wide() - f64::from(t);
        loss += error * error / count;
        *dz = T::of(2.0 * error / count);
    }
    Loss { loss, correct: 0, samples, gradient }
}

/// Where the first of the largest values is; 0 where nothing can be compared.
pub fn argmax<T: Scalar>(values: impl IntoIterator<Item = T>) -> usize {
    let largest = |best: (usize, T), (i, v): (usize, T)| if v > best.1 { (i, v) } else { best };
    values.into_iter().enumerate().fold((0, T::neg_infinity()), largest).0
}

#[cfg(test)]
mod tests {
    use super::{IGNORED, Targets, loss, masked_loss};
    use ndarray::{Array2, array};

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let z: Array2<f64> = array![[0.3, -1.2, 2.0], [500.0, 499.0, -500.0]];
        let mixed = Targets::Mixed { first: &[0, 1], second: &[1, 1], share: 0.3 };
        for (targets, correct, samples) in [
            (Targets::Classes(&[0, 1]), 0, 2),
            (Targets::Classes(&[2, 0]), 2, 2),
            (Targets::Classes(&[IGNORED, 0]), 1, 1),
            (mixed, 0, 2),
            (Targets::Binary(&[true, false, true, true, true, true]), 1, 2),
            (Targets::Numbers(&[0.5, 0.0, 1.0, 499.5, 499.5, -499.5]), 0, 2),
        ] {
            targets.check(2, 3).unwrap();
            let exact = loss(z.view(), targets, 0.1);
            assert_eq!((exact.correct, exact.samples), (correct, samples), "{targets:?}");
            for at in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
                let side = |h: f64| {
                    let mut moved = z.clone();
                    moved[at] += h;
                    loss(moved.view(), targets, 0.1).loss
                };
                let slope = (side(1e-5) - side(-1e-5)) / 2e-5;
                assert!((slope - exact.gradient[at]).abs() < 1e-7, "{targets:?} {at:?}");
            }
        }
    }

    #[test]
    fn what_does_not_count_is_as_if_it_were_not_there() {
        let z: Array2<f64> = array![[0.3, -1.2, 2.0], [9.0, -9.0, 9.0], [1.0, 0.5, -0.5]];
        let kept = array![[0.3, -1.2, 2.0], [1.0, 0.5, -0.5]];
        let answers = [true, false, true, true, true, true, false, true, false];
        let numbers = [0.5, 0.0, 1.0, 7.0, f32::NAN, 7.0, 2.0, 1.0, 0.0];
        let without = |i: &usize| i / 3 != 1;
        let kept_answers: Vec<bool> = (0..9).filter(without).map(|i| answers[i]).collect();
        let kept_numbers: Vec<f32> = (0..9).filter(without).map(|i| numbers[i]).collect();
        for (all, part) in [
            (Targets::Classes(&[2, 1, 0]), Targets::Classes(&[2, 0])),
            (Targets::Binary(&answers), Targets::Binary(&kept_answers)),
            (Targets::Numbers(&numbers), Targets::Numbers(&kept_numbers)),
        ] {
            let masked = masked_loss(z.view(), all, 0.1, Some(&[true, false, true]));
            let part = loss(kept.view(), part, 0.1);
            assert_eq!((masked.loss, masked.correct, masked.samples), (part.loss, part.correct, 2), "{all:?}");
            assert_eq!(masked.gradient.row(0), part.gradient.row(0));
            assert_eq!(masked.gradient.row(1).sum(), 0.0);
            assert_eq!(masked.gradient.row(2), part.gradient.row(1));
            let none = masked_loss(z.view(), all, 0.1, Some(&[false; 3]));
            assert_eq!((none.loss, none.samples, none.gradient.sum()), (0.0, 0, 0.0));
        }
    }

    #[test]
    fn losses_by_hand() {
        let of = |z: Array2<f32>, targets| loss(z.view(), targets, 0.1).loss;
        assert!((of(array![[0.0f32; 10]], Targets::Classes(&[3])) - 10f64.ln()).abs() < 1e-6);
        assert!((of(array![[0.0]], Targets::Binary(&[true])) - 2f64.ln()).abs() < 1e-6);
        assert!((of(array![[800.0]], Targets::Binary(&[false])) - 800.0).abs() < 1e-3);
        assert_eq!(of(array![[1.0, 2.0], [0.0, 0.0]], Targets::Numbers(&[0.0, 0.0, 0.0, 1.0])), 1.5);
    }

    #[test]
    fn a_mixed_loss_is_the_mixture_of_the_losses() {
        let z: Array2<f64> = array![[0.3, -1.2, 2.0], [1.0, 0.5, -0.5]];
        let (first, second) = ([0, 2], [2, 1]);
        let mixed = loss(z.view(), Targets::Mixed { first: &first, second: &second, share: 0.3 }, 0.0);
        let [a, b] = [&first, &second].map(|l| loss(z.view(), Targets::Classes(l), 0.0));
        let share = f64::from(0.3f32);
        assert!((mixed.loss - (share * a.loss + (1.0 - share) * b.loss)).abs() < 1e-12);
        // The larger part is the second; of the first sample it is where the largest logit is.
        assert_eq!(mixed.correct, 1);
    }

    #[test]
    fn targets_that_do_not_fit_are_refused() {
        let refused = |targets: Targets<'_>| targets.check(2, 3).unwrap_err().to_string();
        assert!(refused(Targets::Classes(&[0])).contains("1 labels for 2 samples"));
        assert!(refused(Targets::Classes(&[0, 3])).contains("label 3 of sample 1"));
        assert!(refused(Targets::Numbers(&[0.0; 5])).contains("5 labels for 6 samples"));
    }
}
