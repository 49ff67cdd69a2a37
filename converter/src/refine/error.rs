//! How far int8 values are from float ones, and the mean of that for each channel.

use super::{scores::softmax, walk::Values};
use crate::scale::Scale;

/// Squared values and squared differences.
#[derive(Clone, Copy, Debug, Default)]
pub struct Error {
    /// Of the float values.
    pub signal: f64,
    /// Of their differences from the int8 values.
    pub noise: f64,
}

impl Error {
    /// Over all samples.
    pub fn new(floats: &Values<f32>, ints: &Values<i8>, scale: Scale) -> Error {
        Error::of_output(floats, ints, scale, false)
    }

    /// Over all samples; of scores, over their probabilities.
    pub fn of_output(floats: &Values<f32>, ints: &Values<i8>, scale: Scale, scores: bool) -> Error {
        let mut sum = Error::default();
        let mut add = |float: f64, int: f64| {
            sum.signal += float * float;
            sum.noise += (float - int) * (float - int);
        };
        for (floats, ints) in floats.iter().zip(ints) {
            let floats = floats.iter().map(|&v| f64::from(v));
            let ints = ints.iter().map(|&q| f64::from(scale.dequantize(q)));
            match scores {
                true => softmax(floats).zip(softmax(ints)).for_each(|(float, int)| add(float, int)),
                false => floats.zip(ints).for_each(|(float, int)| add(float, int)),
            }
        }
        sum
    }

    /// Noise for each unit of signal.
    pub fn share(self) -> f64 {
        self.noise / self.signal.max(f64::MIN_POSITIVE)
    }
}

/// Mean difference, float minus int8, for each channel, over values that lie within the limits: what is clamped has no error that a bias
/// could mend.
pub fn offsets(
    (floats, ints): (&Values<f32>, &Values<i8>),
    scale: Scale,
    (low, high): (i16, i16),
    channels: usize,
) -> Vec<f64> {
    let mut sums = vec![(0.0, 0u64); channels];
    for (floats, ints) in floats.iter().zip(ints) {
        for (floats, ints) in floats.chunks_exact(channels).zip(ints.chunks_exact(channels)) {
            for ((sum, &float), &int) in sums.iter_mut().zip(floats).zip(ints) {
                if low < int.into() && i16::from(int) < high {
                    sum.0 += f64::from(float) - f64::from(scale.dequantize(int));
                    sum.1 += 1;
                }
            }
        }
    }
    sums.iter().map(|&(sum, count)| if count > 0 { sum / count as f64 } else { 0.0 }).collect()
}
