//! What to build: an input and a list of layers, as a preset or a user writes it.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

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

/// One layer, or one group of layers that always come together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LayerSpec {
    /// Convolution, padded by half its kernel, so that stride 1 keeps the size.
    Convolution {
        /// Its name; without it the kind and a number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Channels out.
        outputs: usize,
        /// Edge of the square kernel.
        #[serde(default = "three")]
        kernel: usize,
        /// Distance between neighbouring windows.
        #[serde(default = "one")]
        stride: usize,
        /// Batch normalization behind it, in place of a bias.
        #[serde(default)]
        normalize: bool,
        /// ReLU behind that.
        #[serde(default)]
        relu: bool,
    },
    /// Residual blocks (He et al., CVPR 2016): `y = relu(F(x) + shortcut(x))`. The shortcut is `x` itself (identity
    /// block) where the shape stays, else `norm(conv1x1 x)` (convolution block).
    Residual {
        /// Its name; without it the kind and a number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Channels out of every block.
        outputs: usize,
        /// Blocks one after the other.
        #[serde(default = "one")]
        blocks: usize,
        /// Stride of the first block.
        #[serde(default = "one")]
        stride: usize,
        /// 2: two 3x3; 3: the bottleneck 1x1, 3x3, 1x1 whose inner layers have a quarter of the channels.
        #[serde(default = "two")]
        convolutions: usize,
        /// `false` is the plain twin: the same layers, no shortcut.
        #[serde(default = "yes")]
        shortcut: bool,
    },
    /// Mean over all pixels.
    GlobalAveragePool {
        /// Its name; without it the kind and a number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Fully connected.
    Dense {
        /// Its name; without it the kind and a number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Numbers out; without it one for each class.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outputs: Option<usize>,
    },
    /// Gated recurrent unit.
    Gru {
        /// Its name; without it the kind and a number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Numbers in a state.
        hidden: usize,
        /// Every state is the output, not only the last.
        #[serde(default)]
        every_step: bool,
    },
}

fn one() -> usize {
    1
}

fn two() -> usize {
    2
}

fn three() -> usize {
    3
}

fn yes() -> bool {
    true
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
        let stem = LayerSpec::Convolution {
            name: named("stem"),
            outputs: width,
            kernel: 3,
            stride: 1,
            normalize: true,
            relu: true,
        };
        let stage = |stage: usize| LayerSpec::Residual {
            name: Some(format!("stage{}", stage + 1)),
            outputs: width << stage,
            blocks,
            stride: if stage > 0 { 2 } else { 1 },
            convolutions: 2,
            shortcut: true,
        };
        let pool = LayerSpec::GlobalAveragePool { name: named("pool") };
        let head = LayerSpec::Dense { name: named("head"), outputs: None };
        Self { input: Shape::Map(input), classes, layers: vec![stem, stage(0), stage(1), stage(2), pool, head] }
    }

    /// Stacked GRUs (reset after the product) whose last state is classified.
    pub fn gru(inputs: usize, hidden: usize, layers: usize, frames: usize, classes: usize) -> Self {
        let gru = |i| LayerSpec::Gru { name: Some(format!("gru{}", i + 1)), hidden, every_step: i + 1 < layers };
        let mut all: Vec<LayerSpec> = (0..layers).map(gru).collect();
        all.push(LayerSpec::Dense { name: Some("head".into()), outputs: None });
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
