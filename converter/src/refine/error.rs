//! How far quantized values are from float ones, and the mean of that for each channel.

use escarp_runtime::Dtype;

use crate::{
    epilogue::Limits,
    qgraph::QTensor,
    scale::{Scale, nearest_i16},
};

/// Squared values and squared differences.
#[derive(Clone, Copy, Debug, Default)]
pub struct Error {
    /// Of the float values.
    pub signal: f64,
    /// Of their differences from the quantized values.
    pub noise: f64,
}

impl Error {
    /// Over all samples.
    pub fn new(floats: &[Vec<f32>], ints: &[Vec<i16>], scale: Scale) -> Error {
        Error::within(floats, ints, scale, (f32::NEG_INFINITY, f32::INFINITY))
    }

    /// Over all samples, of float values as far as they lie within limits.
    pub fn within(floats: &[Vec<f32>], ints: &[Vec<i16>], scale: Scale, (low, high): (f32, f32)) -> Error {
        let mut sum = Error::default();
        for (&float, &int) in floats.iter().flatten().zip(ints.iter().flatten()) {
            let (float, int) = (f64::from(float.clamp(low, high)), f64::from(scale.dequantize(int)));
            sum.signal += float * float;
            sum.noise += (float - int) * (float - int);
        }
        sum
    }

    /// Noise for each unit of signal.
    pub fn share(self) -> f64 {
        self.noise / self.signal.max(f64::MIN_POSITIVE)
    }
}

/// Where values of a tensor are clamped.
pub fn ends(limits: Limits, tensor: &QTensor) -> (i16, i16) {
    match tensor.dtype {
        Dtype::I8 => limits.quantized(tensor.scale),
        _ => [limits.min, limits.max].map(|end| nearest_i16(f64::from(end) / f64::from(tensor.scale.scale))).into(),
    }
}

/// Mean difference, float minus quantized, for each channel, over values that lie within the limits: what is clamped has no error that a bias
/// could mend.
pub fn offsets(
    (floats, ints): (&[Vec<f32>], &[Vec<i16>]),
    scale: Scale,
    (low, high): (i16, i16),
    channels: usize,
) -> Vec<f64> {
    let mut sums = vec![(0.0, 0u64); channels];
    for (floats, ints) in floats.iter().zip(ints) {
        for (floats, ints) in floats.chunks_exact(channels).zip(ints.chunks_exact(channels)) {
            for ((sum, &float), &int) in sums.iter_mut().zip(floats).zip(ints) {
                if low < int && int < high {
                    sum.0 += f64::from(float) - f64::from(scale.dequantize(int));
                    sum.1 += 1;
                }
            }
        }
    }
    sums.iter().map(|&(sum, count)| if count > 0 { sum / count as f64 } else { 0.0 }).collect()
}
