//! Which channels a file has magnified: a conversion may bring the channels of a tensor together (`equalize`), and what reads them
//! takes it back. The file does not say so; what its tensors hold beside the float network does.

use crate::{scale::narrow, shape::TensorId};

/// For each tensor the factor of each channel; nothing where they are what they are.
pub type Factors = Vec<Option<Vec<f32>>>;

/// For each tensor and channel the sums over samples of `float * file`, `float^2` and `file^2`.
pub type Reach = Vec<Vec<[f64; 3]>>;

/// Channels are magnified, never the other way. What is less than that is an error like others.
const LEAST: f64 = 1.2;

/// How much of what the file has a factor must explain: a channel of a few units is not large, but rounded.
const EXPLAINED: f64 = 0.8;

/// Adds what a tensor holds in the float network and in the file.
pub fn reaches(reach: &mut [[f64; 3]], float: &[f32], file: &[f32]) {
    let channels = reach.len().max(1);
    for (float, file) in float.chunks_exact(channels).zip(file.chunks_exact(channels)) {
        for ((sums, &float), &file) in reach.iter_mut().zip(float).zip(file) {
            let (float, file) = (f64::from(float), f64::from(file));
            sums[0] += float * file;
            sums[1] += float * float;
            sums[2] += file * file;
        }
    }
}

/// The factors that explain the file best, least squares, for each of the sets that may have some. A file of another network has
/// some too, but what reads its channels does not take those back, and parts there.
pub fn magnified(sets: &[Option<TensorId>], parts: &[Reach]) -> Factors {
    let mut sums: Vec<Vec<[f64; 3]>> = vec![vec![]; sets.len()];
    for (id, set) in sets.iter().enumerate() {
        let Some(first) = *set else { continue };
        for tensor in parts.iter().map(|part| &part[id]) {
            sums[first].resize(tensor.len(), [0.0; 3]);
            for (sums, channel) in sums[first].iter_mut().zip(tensor) {
                sums.iter_mut().zip(channel).for_each(|(sum, v)| *sum += v);
            }
        }
    }
    let factor = |&[mixed, float, file]: &[f64; 3]| {
        let explains = mixed * mixed > EXPLAINED * float * file;
        if explains && mixed > LEAST * float { narrow(mixed / float) } else { 1.0 }
    };
    let factors: Vec<Vec<f32>> = sums.iter().map(|sums| sums.iter().map(factor).collect()).collect();
    let some =
        |first: TensorId| Some(&factors[first]).filter(|f| f.iter().any(|&f| f != 1.0 && f.is_finite())).cloned();
    sets.iter().map(|set| set.and_then(some)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_found_in_sets_that_may_have_them() {
        let float = [1.0, -2.0, 0.5, 4.0];
        let mut reach: Reach = vec![vec![[0.0; 3]; 2]; 3];
        for of_tensor in &mut reach {
            reaches(of_tensor, &float, &[4.0, -2.0, 2.0, 4.1]);
        }
        let factors = magnified(&[Some(0), Some(0), None], &[reach.clone(), reach]);
        assert_eq!(factors[0], Some(vec![4.0, 1.0]));
        assert_eq!((&factors[1], &factors[2]), (&factors[0], &None));
    }
}
