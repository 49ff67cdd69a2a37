//! Random numbers that depend on a position, not on what was drawn before.
//!
//! A run that is interrupted and continued, or spread over any number of threads, must draw what an
//! uninterrupted run on one thread draws. So every sample of every epoch has its own ChaCha stream,
//! named by (seed, purpose, epoch, sample index), and nothing has to be saved in a checkpoint.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What the numbers are for; different purposes never share a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights.
    Weights = 1,
    /// The order of the samples in an epoch.
    Order = 2,
    /// The augmentation of one sample.
    Augment = 3,
    /// Which samples are held out for validation.
    Split = 4,
    /// Generated images.
    Images = 5,
    /// Generated gestures.
    Gestures = 6,
    /// What is mixed with what in a batch (`index`), and how much of it.
    Mixup = 7,
    /// Samples of a study: of the parts `epoch`, for its step `index`.
    Study = 8,
    /// What a layer (`index`) drops in a step (`epoch`).
    Dropout = 9,
    /// An input at which Jacobians are taken.
    Jacobian = 10,
    /// Generated reviews.
    Reviews = 11,
    /// Generated recordings of several gestures.
    Recordings = 12,
}

/// The stream for one sample or batch (`index`) of one epoch.
pub fn stream(seed: u64, purpose: Purpose, epoch: u32, index: u32) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(u64::from(epoch) << 32 | u64::from(index));
    rng
}

/// Shuffles in place (Fisher and Yates).
pub fn shuffle<T>(items: &mut [T], rng: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, rng.random_range(0..=last as u64) as usize);
    }
}

/// The order in which `indices` are visited in `epoch`.
pub fn epoch_order(indices: &[u32], seed: u64, epoch: u32) -> Vec<u32> {
    let mut order = indices.to_vec();
    shuffle(&mut order, &mut stream(seed, Purpose::Order, epoch, 0));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_named_by_position() {
        let first = |s, p, e, i| stream(s, p, e, i).random::<u64>();
        let here = first(1, Purpose::Augment, 2, 3);
        assert_eq!(here, first(1, Purpose::Augment, 2, 3));
        for other in [
            first(2, Purpose::Augment, 2, 3),
            first(1, Purpose::Order, 2, 3),
            first(1, Purpose::Augment, 3, 3),
            first(1, Purpose::Augment, 2, 4),
        ] {
            assert_ne!(here, other);
        }
    }

    #[test]
    fn an_epoch_visits_every_sample_once_in_its_own_order() {
        let all: Vec<u32> = (0..100).collect();
        let one = epoch_order(&all, 7, 1);
        let mut sorted = one.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, all);
        assert_ne!(one, epoch_order(&all, 7, 2));
        assert_eq!(one, epoch_order(&all, 7, 1));
    }
}
