//! What to build: an input and a list of layers, as a preset or a user writes it.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{LayerSpec, NetError, NetFile, Shape, error::within, presets::Preset};

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

/// Channels of a residual net's first stage that can be built.
pub const WIDTHS: RangeInclusive<usize> = 1..=1024;
/// Numbers in a recurrent state that can be built.
pub const HIDDEN: RangeInclusive<usize> = 1..=4096;
/// Recurrent layers on top of each other that can be built.
pub const LAYERS: RangeInclusive<usize> = 1..=16;

fn preset(name: &str) -> NetFile {
    Preset::find(name).expect("built in").net()
}

impl Arch {
    /// ResNet-8's preset with `blocks` in a stage (1, 2, 3 make ResNet-8, -14, -20) and `width` channels in the first.
    /// `input` is height, width, channels.
    pub fn resnet(blocks: usize, width: usize, input: [usize; 3], classes: usize) -> Self {
        let mut net = preset("resnet8");
        net.widen(width);
        for layer in &mut net.layers {
            if let LayerSpec::Residual(stage) = layer {
                stage.blocks = blocks;
            }
        }
        Self { input: Shape::Map(input), classes, layers: net.layers }
    }

    /// The GRU's preset with `layers` of `hidden` numbers each.
    pub fn gru(inputs: usize, hidden: usize, layers: usize, frames: usize, classes: usize) -> Self {
        let mut net = preset("gru");
        net.set_hidden(hidden);
        net.stack(layers);
        Self { input: Shape::Sequence([frames, inputs]), classes, layers: net.layers }
    }

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
