//! Built-in data: drawn images, simulated gestures and reviews by a small grammar, so that everything can be tried and tested
//! without a download.
//!
//! The tasks are made so that a bad network fails: what has to be recognised is a shape or a
//! movement, while position, size, rotation, colour and speed vary at random and clutter and noise
//! are added. The test `a_linear_model_fails` in each module trains a softmax regression on the
//! inputs and holds it below the module's `LINEAR_LIMIT`.

use std::path::Path;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::{error::TrainError, run::files::write_atomically};

pub mod gestures;
pub mod images;
#[cfg(test)]
mod linear;
pub mod recordings;
pub mod reviews;

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
    let classes = labels.len() as u32;
    let all = Counts { train: classes.saturating_mul(counts.train), test: classes.saturating_mul(counts.test) };
    write_parts(folder, all, |part, number| {
        let (class, index) = ((number % classes) as usize, number / classes);
        Ok((format!("{}/{index:04}.{extension}", labels[class]), content(part, class, index)?))
    })
}

/// The same without classes: name and content of each file made by `file(part, index)`.
fn write_parts(
    folder: &Path,
    counts: Counts,
    file: impl Fn(u32, u32) -> Result<(String, Vec<u8>), TrainError>,
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
        let folder = folder.join(part);
        std::fs::create_dir_all(&folder).map_err(TrainError::io(&folder))?;
        for index in 0..count {
            let (name, bytes) = file(number, index)?;
            let path = folder.join(name);
            let parent = path.parent().unwrap_or(&folder);
            std::fs::create_dir_all(parent).map_err(TrainError::io(parent))?;
            write_atomically(&path, &bytes)?;
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
