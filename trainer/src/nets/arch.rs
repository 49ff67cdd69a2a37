//! What to build: an input and a list of layers, as a preset or a user writes it.

use serde::{Deserialize, Serialize};

use super::{LayerSpec, NetError, Shape, error::within};

/// A net's shape: all that is needed, besides its numbers, to build it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arch {
    /// Shape of one sample.
    pub input: Shape,
    /// Classes to tell apart.
    pub classes: usize,
    /// From the input up.
    pub layers: Vec<LayerSpec>,
}

impl Arch {
    /// Shape of a batch of `batch` inputs.
    pub fn input_shape(&self, batch: usize) -> Vec<usize> {
        self.input.with_batch(batch)
    }

    /// Refuses inputs and classes that cannot be built.
    ///
    /// # Errors
    /// [`NetError::Number`] with the field and what it may be.
    pub fn check(&self) -> Result<(), NetError> {
        within("net", "classes", self.classes, 1..=10_000)?;
        match self.input {
            Shape::Map([h, w, c]) => {
                within("input", "height", h, 1..=1024)?;
                within("input", "width", w, 1..=1024)?;
                within("input", "channels", c, 1..=64)
            }
            Shape::Sequence([frames, numbers]) => {
                within("input", "frames", frames, 1..=65_535)?;
                within("input", "numbers in a frame", numbers, 1..=4096)
            }
            Shape::Tokens([frames, vocabulary]) => {
                within("input", "frames", frames, 1..=65_535)?;
                // Tokens are carried as floats, which are exact up to 2^24.
                within("input", "vocabulary", vocabulary, 1..=1 << 24)
            }
            Shape::Vector(numbers) => within("input", "numbers", numbers, 1..=1 << 20),
        }
    }
}
