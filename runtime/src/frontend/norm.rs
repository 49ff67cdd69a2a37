//! Mean and standard deviation of each channel, in place wherever they are stored.

use super::Error;

/// `value -> (value - mean) / std`, for each channel or band its own.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    mean: Values<'a>,
    std: Values<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Values<'a> {
    Floats(&'a [f32]),
    /// Little endian, of any alignment, as a model file has them.
    Bytes(&'a [[u8; 4]]),
}

impl Values<'_> {
    fn len(&self) -> usize {
        match self {
            Values::Floats(v) => v.len(),
            Values::Bytes(v) => v.len(),
        }
    }

    /// Element `i`, or NaN where there is none, which [`Norm::check`] refuses.
    fn get(&self, i: usize) -> f32 {
        match self {
            Values::Floats(v) => v.get(i).copied(),
            Values::Bytes(v) => v.get(i).map(|b| f32::from_le_bytes(*b)),
        }
        .unwrap_or(f32::NAN)
    }
}

impl<'a> Norm<'a> {
    /// From one mean and one standard deviation for each channel.
    #[must_use]
    pub const fn new(mean: &'a [f32], std: &'a [f32]) -> Self {
        Norm { mean: Values::Floats(mean), std: Values::Floats(std) }
    }

    /// From the bytes of all means, then of all standard deviations.
    pub(super) fn from_bytes(bytes: &'a [u8]) -> Self {
        let (values, _) = bytes.as_chunks::<4>();
        let (mean, std) = values.split_at(values.len() / 2);
        Norm { mean: Values::Bytes(mean), std: Values::Bytes(std) }
    }

    /// Number of channels.
    #[must_use]
    pub fn len(&self) -> usize {
        self.mean.len()
    }

    /// Whether there are no channels.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Mean of channel `i`; NaN if there is no such channel.
    #[must_use]
    pub fn mean(&self, i: usize) -> f32 {
        self.mean.get(i)
    }

    /// Standard deviation of channel `i`; NaN if there is no such channel.
    #[must_use]
    pub fn std(&self, i: usize) -> f32 {
        self.std.get(i)
    }

    /// `(value - mean) / std` of channel `i`.
    #[must_use]
    pub fn apply(&self, i: usize, value: f32) -> f32 {
        (value - self.mean(i)) / self.std(i)
    }

    pub(super) fn emit(&self, out: &mut [u8]) {
        let (slots, _) = out.as_chunks_mut::<4>();
        let values = (0..self.len()).map(|i| self.mean(i)).chain((0..self.len()).map(|i| self.std(i)));
        for (slot, value) in slots.iter_mut().zip(values) {
            *slot = value.to_le_bytes();
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if self.mean.len() != self.std.len() {
            return Err(Error::Length { needed: self.mean.len(), got: self.std.len() });
        }
        for i in 0..self.len() {
            if !self.mean(i).is_finite() {
                return Err(Error::Field { name: "mean", index: i, allowed: "finite" });
            }
            // A subnormal divisor would turn ordinary values into infinities.
            if !(self.std(i).is_normal() && self.std(i) > 0.0) {
                return Err(Error::Field { name: "std", index: i, allowed: "finite and above 0" });
            }
        }
        Ok(())
    }
}

impl PartialEq for Norm<'_> {
    /// By value, wherever the values are stored.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.std.len() == other.std.len()
            && (0..self.len()).all(|i| self.mean(i) == other.mean(i) && self.std(i) == other.std(i))
    }
}
