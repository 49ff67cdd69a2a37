//! The adding problem (Hochreiter and Schmidhuber, 1997), in the form of Bai, Kolter and Koltun (arXiv:1803.01271).
//!
//! A frame is a number, uniform in 0..1, and a mark. Two frames of a sequence, anywhere, are marked; the answer is the
//! sum of their numbers. Whoever always answers 1 errs by a variance of 2/12 = 0.167: to do better a net must carry a
//! number over as many steps as lie between the first mark and the end.

use ndarray::ArrayD;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::training::{Answers, Task};

/// Mean squared error of the best answer that does not look at the sequence.
pub const BASELINE: f64 = 1.0 / 6.0;

/// Sequences of one length.
#[derive(Clone, Copy, Debug)]
pub struct Adding {
    /// Frames, 2 or more.
    pub length: usize,
}

impl Task for Adding {
    /// `[count, length, 2]` and the sums.
    fn samples(&self, count: usize, rng: &mut ChaCha8Rng) -> (ArrayD<f32>, Answers) {
        let length = self.length;
        let mut x = ArrayD::zeros(vec![count, length, 2]);
        let sums = x.outer_iter_mut().map(|mut sequence| {
            for mut frame in sequence.outer_iter_mut() {
                frame[[0]] = rng.random_range(0.0f32..1.0);
            }
            let first = rng.random_range(0..length);
            // Any of the others.
            let second = (first + rng.random_range(1..length)) % length;
            sequence[[first, 1]] = 1.0;
            sequence[[second, 1]] = 1.0;
            sequence[[first, 0]] + sequence[[second, 0]]
        });
        let sums = sums.collect();
        (x, Answers::Numbers(sums))
    }
}

#[cfg(test)]
mod tests {
    use super::{Adding, Answers, BASELINE, Task};
    use crate::engine::random::{Purpose, stream};

    #[test]
    fn two_marks_and_their_sum() {
        let (x, answers) = Adding { length: 7 }.samples(3000, &mut stream(1, Purpose::Study, 0, 0));
        let Answers::Numbers(sums) = answers else { panic!("numbers") };
        let mut marked = [0; 7];
        for (sequence, sum) in x.outer_iter().zip(&sums) {
            let marks: Vec<usize> = (0..7).filter(|&t| sequence[[t, 1]] == 1.0).collect();
            assert_eq!(marks.len(), 2);
            marks.iter().for_each(|&t| marked[t] += 1);
            assert_eq!(*sum, sequence[[marks[0], 0]] + sequence[[marks[1], 0]]);
        }
        // 6000 marks on 7 frames: 857 on each, give or take 27.
        assert!(marked.iter().all(|n| (700..1000).contains(n)), "{marked:?}");
        let error = sums.iter().map(|s| (f64::from(*s) - 1.0).powi(2)).sum::<f64>() / 3000.0;
        assert!((error - BASELINE).abs() < 0.02, "{error}");
    }
}
