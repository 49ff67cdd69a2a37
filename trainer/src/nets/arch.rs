//! What to build: an input and a list of layers, as a preset or a user writes it.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::kinds::{Convolution, Dense, GlobalAveragePool, Gru, LayerSpec, Residual};
use super::{NetError, Shape};

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

impl Arch {
    /// Residual net of three stages, `width`, `2 width` and `4 width` channels wide, strides 1, 2, 2 (He et al., section
    /// 4.2). `blocks` in a stage: 1, 2, 3 are ResNet-8, -14, -20. `input` is height, width, channels.
    pub fn resnet(blocks: usize, width: usize, input: [usize; 3], classes: usize) -> Self {
        let named = |name: &str| Some(name.to_owned());
        let stem = LayerSpec::Convolution(Convolution {
            name: named("stem"),
            outputs: width,
            kernel: 3,
            stride: 1,
            normalize: true,
            relu: true,
        });
        let stage = |stage: usize| {
            LayerSpec::Residual(Residual {
                name: Some(format!("stage{}", stage + 1)),
                outputs: width << stage,
                blocks,
                stride: if stage > 0 { 2 } else { 1 },
                convolutions: 2,
                shortcut: true,
            })
        };
        let pool = LayerSpec::GlobalAveragePool(GlobalAveragePool { name: named("pool") });
        let head = LayerSpec::Dense(Dense { name: named("head"), outputs: None });
        Self { input: Shape::Map(input), classes, layers: vec![stem, stage(0), stage(1), stage(2), pool, head] }
    }

    /// Stacked GRUs (reset after the product) whose last state is classified.
    pub fn gru(inputs: usize, hidden: usize, layers: usize, frames: usize, classes: usize) -> Self {
        let gru = |i| {
            let name = Some(format!("gru{}", i + 1));
            LayerSpec::Gru(Gru { name, every_step: i + 1 < layers, ..Gru::new(hidden) })
        };
        let mut all: Vec<LayerSpec> = (0..layers).map(gru).collect();
        all.push(LayerSpec::Dense(Dense { name: Some("head".into()), outputs: None }));
        Self { input: Shape::Sequence([frames, inputs]), classes, layers: all }
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
            Shape::Vector(numbers) => within("input", "numbers", numbers, 1..=1 << 20),
        }
    }
}

/// A number of a layer that can be built.
pub(super) fn within(
    layer: &str,
    field: &'static str,
    value: usize,
    allowed: RangeInclusive<usize>,
) -> Result<(), NetError> {
    let (least, most) = allowed.clone().into_inner();
    if allowed.contains(&value) {
        Ok(())
    } else {
        Err(NetError::Number { layer: layer.into(), field, value, least, most })
    }
}
