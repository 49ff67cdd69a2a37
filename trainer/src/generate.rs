//! Built-in data: drawn images and simulated gestures, so that everything can be tried and tested
//! without a download.
//!
//! The tasks are made so that a bad network fails: what has to be recognised is a shape or a
//! movement, while position, size, rotation, colour and speed vary at random and clutter and noise
//! are added. The test `a_linear_model_fails` in each module trains a softmax regression on the
//! raw numbers and holds it below 40 %; chance is 12.5 % for both.

use std::path::Path;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::error::TrainError;
use crate::files::write_atomically;

pub mod gestures;
pub mod images;

/// Training and test parts of a generated data set: a number of samples for each class.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Training samples of each class.
    pub train: u32,
    /// Test samples of each class.
    pub test: u32,
}

/// Writes `folder/train/CLASS/NNNN.EXT` and `folder/test/CLASS/NNNN.EXT`, the content of each file
/// made by `content(part, class, index)` where part 0 is training and 1 is test.
/// Refuses a folder that already has a `train` or `test` in it.
fn write_folders(
    folder: &Path,
    labels: &[&str],
    extension: &str,
    counts: Counts,
    content: impl Fn(u32, usize, u32) -> Result<Vec<u8>, TrainError>,
) -> Result<(), TrainError> {
    let parts = [("train", counts.train), ("test", counts.test)];
    for (part, _) in parts {
        let part = folder.join(part);
        if part.exists() {
            return Err(TrainError::Usage {
                flag: "--out",
                reason: format!("{} already exists; name another folder", part.display()),
            });
        }
    }
    for (number, (part, count)) in (0..).zip(parts) {
        for (class, label) in labels.iter().enumerate() {
            let folder = folder.join(part).join(label);
            std::fs::create_dir_all(&folder).map_err(TrainError::io(&folder))?;
            for index in 0..count {
                let bytes = content(number, class, index)?;
                write_atomically(&folder.join(format!("{index:04}.{extension}")), &bytes)?;
            }
        }
    }
    Ok(())
}

/// Roughly normal, mean 0, variance 1: the sum of twelve uniform numbers less its mean. Used instead
/// of a library's normal distribution because it needs no transcendental function and so gives the
/// same bits on every machine.
fn normal(rng: &mut ChaCha8Rng) -> f32 {
    (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0
}

#[cfg(test)]
pub(crate) mod linear {
    //! The yardstick: softmax regression on standardized inputs, plain stochastic gradient descent.

    /// Trains on `train` and returns the accuracy on `test`; both are (inputs, class) of one length.
    pub fn accuracy(train: &[(Vec<f32>, usize)], test: &[(Vec<f32>, usize)], classes: usize, epochs: usize) -> f32 {
        let n = train[0].0.len();
        let mut weights = vec![vec![0f32; n + 1]; classes];
        let scores = |weights: &[Vec<f32>], x: &[f32]| -> Vec<f32> {
            weights.iter().map(|w| w[n] + w.iter().zip(x).map(|(w, x)| w * x).sum::<f32>()).collect()
        };
        for epoch in 0..epochs {
            let rate = 0.1 / n as f32 / (1.0 + epoch as f32);
            for (x, class) in train {
                let s = scores(&weights, x);
                let top = s.iter().cloned().fold(f32::MIN, f32::max);
                let sum: f32 = s.iter().map(|s| (s - top).exp()).sum();
                for (c, w) in weights.iter_mut().enumerate() {
                    let error = (s[c] - top).exp() / sum - f32::from(u8::from(c == *class));
                    w.iter_mut().zip(x).for_each(|(w, x)| *w -= rate * error * x);
                    w[n] -= rate * error;
                }
            }
        }
        let right = test.iter().filter(|(x, class)| {
            let s = scores(&weights, x);
            (0..classes).all(|c| s[c] <= s[*class])
        });
        right.count() as f32 / test.len() as f32
    }

    /// It can learn what a linear model can learn, so its failure elsewhere means something.
    #[test]
    fn the_yardstick_learns_a_linear_task() {
        let samples: Vec<(Vec<f32>, usize)> = (0..400u32)
            .map(|i| {
                let x: Vec<f32> = (0..8).map(|k| ((i * 37 + k * 101) % 97) as f32 / 48.0 - 1.0).collect();
                let class = usize::from(x[1] + x[4] > 0.0);
                (x, class)
            })
            .collect();
        let (train, test) = samples.split_at(300);
        assert!(accuracy(train, test, 2, 60) > 0.85);
    }
}
