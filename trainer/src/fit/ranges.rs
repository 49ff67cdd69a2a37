//! What the tensors of a trained net hold, for the converter: their range, and channels that are out of proportion.
//!
//! Measured in evaluation, on training samples as they are, up to the end of each: what the exported file will compute, not what batch
//! statistics, noise and augmentation made of it during training.

use escarp_converter::{metadata::Activation, ranges::outliers};

use crate::{
    data::{Samples, batch, lengths},
    layers::numbers,
    nets::{Batch, Net, NetError, Shape, export::names},
};

/// Samples looked at, spread evenly over the training samples: as many as the converter calibrates on.
const SAMPLES: usize = 500;

/// Samples prepared together.
const CHUNK: usize = 64;

/// At most `SAMPLES` of `indices`, evenly spread.
pub fn spread(indices: &[u32]) -> Vec<u32> {
    let count = indices.len().min(SAMPLES);
    (0..count).map(|i| indices[i * indices.len() / count]).collect()
}

/// What the net's input and each of its nodes hold on the samples `indices`, under the names of the exported graph.
/// Tokens have no range, and what is not finite has none either.
///
/// # Errors
/// [`NetError`] if the samples do not fit the net.
pub fn activations(net: &mut Net, samples: &dyn Samples, indices: &[u32]) -> Result<Vec<Activation>, NetError> {
    let names = names(net);
    let mut channels: Vec<Vec<(f32, f32)>> = vec![Vec::new(); names.len()];
    let mut finite = vec![true; names.len()];
    for indices in indices.chunks(CHUNK) {
        let (x, _) = batch(samples, indices, None);
        let lengths = lengths(samples, indices);
        // A chunk is one part of what the net runs at once, so rows are counted from its first sample.
        net.observe(Batch { x: &x, lengths: lengths.as_deref() }, |at, values| {
            let width = *values.shape().last().expect("a batch of something");
            // The extremes skip NaN, so ask for it.
            finite[at] &= numbers(values).iter().all(|v| v.is_finite());
            let ranges = &mut channels[at];
            ranges.resize(width, (f32::INFINITY, f32::NEG_INFINITY));
            let counts = |row: usize| match (&lengths, values.shape()) {
                (Some(lengths), &[_, frames, _]) => row % frames < lengths[row / frames],
                _ => true,
            };
            let rows = numbers(values).chunks_exact(width).enumerate();
            for (_, pixel) in rows.filter(|(row, _)| counts(*row)) {
                for ((min, max), &v) in ranges.iter_mut().zip(pixel) {
                    (*min, *max) = (v.min(*min), v.max(*max));
                }
            }
        })?;
    }
    let first = if let Shape::Tokens(_) = net.arch().input { 1 } else { 0 };
    let mut taken = std::collections::HashSet::new();
    let all = names.into_iter().zip(channels).zip(finite).skip(first);
    // Layers that only lay numbers in another order show a tensor again.
    let known = all.filter(|((name, channels), finite)| *finite && !channels.is_empty() && taken.insert(name.clone()));
    let quantized = net.stand_in().map_or(Vec::new(), |stand_in| stand_in.ranges());
    let activation = |((tensor, channels), _): ((String, Vec<(f32, f32)>), bool)| Activation {
        range: quantized.iter().find(|(name, _)| *name == tensor).map(|&(_, range)| range),
        tensor,
        min: channels.iter().map(|c| c.0).fold(f32::INFINITY, f32::min),
        max: channels.iter().map(|c| c.1).fold(f32::NEG_INFINITY, f32::max),
        outliers: outliers(&channels),
    };
    Ok(known.map(activation).collect())
}
