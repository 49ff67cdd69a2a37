//! The nets: what to build ([`Arch`]), and one type for all of them ([`Net`]).

pub mod gru;
pub mod resnet;

use std::ops::RangeInclusive;

use ndarray::{Array2, Array4, ArrayD, ArrayViewD, Ix3, Ix4};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::loss::Targets;
use crate::parameter::{Parameter, gradient_norm};
use gru::GruNet;
use resnet::ResNet;

/// A net's shape: all that is needed, besides its numbers, to build it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Arch {
    /// Residual net of three stages, `width`, `2 width` and `4 width` channels wide, strides 1, 2, 2.
    #[serde(rename = "resnet")]
    ResNet {
        /// Blocks in a stage: 1, 2, 3 are ResNet-8, -14, -20.
        blocks: usize,
        /// Channels of the first stage; 16 in the paper.
        width: usize,
        /// Height, width, channels of an image.
        input: [usize; 3],
        /// Classes to tell apart.
        classes: usize,
    },
    /// Stacked GRU (reset after the product) whose last state is classified.
    Gru {
        /// Numbers in a frame.
        inputs: usize,
        /// Numbers in a state.
        hidden: usize,
        /// GRUs on top of each other.
        layers: usize,
        /// Frames in a sequence.
        frames: usize,
        /// Classes to tell apart.
        classes: usize,
    },
}

/// Channels of a residual net's first stage that can be built.
pub const WIDTHS: RangeInclusive<usize> = 1..=1024;
/// Numbers in a GRU's state that can be built.
pub const HIDDEN: RangeInclusive<usize> = 1..=4096;
/// GRUs on top of each other that can be built.
pub const LAYERS: RangeInclusive<usize> = 1..=16;

impl Arch {
    /// Shape of a batch of `batch` inputs.
    pub fn input_shape(&self, batch: usize) -> Vec<usize> {
        match *self {
            Self::ResNet { input: [h, w, c], .. } => vec![batch, h, w, c],
            Self::Gru { inputs, frames, .. } => vec![batch, frames, inputs],
        }
    }

    /// Classes told apart.
    pub fn classes(&self) -> usize {
        match *self {
            Self::ResNet { classes, .. } | Self::Gru { classes, .. } => classes,
        }
    }

    /// Refuses what cannot be built.
    ///
    /// # Errors
    /// [`NetError::Arch`] with the field and what it may be.
    pub fn check(&self) -> Result<(), NetError> {
        let within = |field, value: usize, allowed: RangeInclusive<usize>| {
            let (least, most) = allowed.clone().into_inner();
            if allowed.contains(&value) { Ok(()) } else { Err(NetError::Arch { field, value, least, most }) }
        };
        within("classes", self.classes(), 2..=10_000)?;
        match *self {
            Self::ResNet { blocks, width, input: [h, w, c], .. } => {
                within("blocks", blocks, 1..=64)?;
                within("width", width, WIDTHS)?;
                within("input height", h, 4..=1024)?;
                within("input width", w, 4..=1024)?;
                within("input channels", c, 1..=64)
            }
            Self::Gru { inputs, hidden, layers, frames, .. } => {
                within("inputs", inputs, 1..=4096)?;
                within("hidden", hidden, HIDDEN)?;
                within("layers", layers, LAYERS)?;
                within("frames", frames, 1..=65_535)
            }
        }
    }
}

/// Why a net cannot be built or used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// A number of the architecture is out of range.
    #[error("net: {field} = {value}; allowed: {least} to {most}")]
    Arch {
        /// Which number.
        field: &'static str,
        /// What it is.
        value: usize,
        /// The least allowed.
        least: usize,
        /// The most allowed.
        most: usize,
    },
    /// An input of the wrong shape.
    #[error("net: input of shape {got:?}; this net takes {expected:?}")]
    Shape {
        /// What came.
        got: Vec<usize>,
        /// What this net takes for that many samples.
        expected: Vec<usize>,
    },
    /// Not one label for each sample.
    #[error("net: {labels} labels for {samples} samples")]
    Labels {
        /// How many came.
        labels: usize,
        /// How many samples.
        samples: usize,
    },
    /// A label that names no class.
    #[error("net: label {label} of sample {sample}; this net tells classes 0 to {} apart", classes - 1)]
    Label {
        /// Which sample of the batch.
        sample: usize,
        /// Its label.
        label: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// No sample at all.
    #[error("net: an empty batch")]
    Empty,
}

/// What one batch says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepStats {
    /// Mean loss of the batch; not finite when the net has diverged.
    pub loss: f64,
    /// Samples classified rightly.
    pub correct: usize,
    /// Samples in the batch.
    pub samples: usize,
    /// Norm of all gradients together, before any clipping; not finite if any gradient is not.
    pub gradient_norm: f64,
}

/// A net of any kind with its numbers.
// One net lives in a program; boxing the larger kind would only add a pointer to every use.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub enum Net {
    /// For images.
    ResNet(ResNet<f32>),
    /// For sequences.
    Gru(GruNet<f32>),
}

/// Samples evaluated together: bounds the memory of [`Net::predict`].
const EVALUATION_BATCH: usize = 64;

impl Net {
    /// A fresh net; the same generator state gives the same numbers on every machine.
    ///
    /// # Errors
    /// [`NetError::Arch`], see [`Arch::check`].
    pub fn new(arch: &Arch, rng: &mut ChaCha8Rng) -> Result<Self, NetError> {
        arch.check()?;
        Ok(match arch {
            Arch::ResNet { .. } => Self::ResNet(ResNet::new(arch, rng)),
            Arch::Gru { .. } => Self::Gru(GruNet::new(arch, rng)),
        })
    }

    /// Its shape.
    pub fn arch(&self) -> &Arch {
        match self {
            Self::ResNet(net) => net.arch(),
            Self::Gru(net) => net.arch(),
        }
    }

    /// Forward and backward through one batch in training mode: afterwards [`Net::parameters`] holds the gradients of
    /// the mean loss, and the batch-norm statistics have moved. `x` is `[batch, height, width, channels]` or
    /// `[batch, frames, inputs]`, `targets` one class a sample or two, `label_smoothing` in 0..1.
    ///
    /// # Errors
    /// [`NetError`] if shapes or labels do not fit. A loss that is not finite is no error here: it is in the
    /// statistics, and [`crate::parameter::first_non_finite`] names the layer.
    pub fn gradients(
        &mut self,
        x: &ArrayD<f32>,
        targets: Targets<'_>,
        label_smoothing: f32,
    ) -> Result<StepStats, NetError> {
        self.check_input(x)?;
        let samples = x.shape()[0];
        let classes = self.arch().classes();
        let labels = match targets {
            Targets::Classes(labels) => vec![labels],
            Targets::Mixed { first, second, .. } => vec![first, second],
        };
        for labels in labels {
            if labels.len() != samples {
                return Err(NetError::Labels { labels: labels.len(), samples });
            }
            if let Some(sample) = labels.iter().position(|&l| l >= classes) {
                return Err(NetError::Label { sample, label: labels[sample], classes });
            }
        }
        let (loss, correct) = match self {
            Self::ResNet(net) => net.gradients(&images(x.view()), targets, label_smoothing),
            Self::Gru(net) => net.gradients(sequences(x.view()), targets, label_smoothing),
        };
        Ok(StepStats { loss, correct, samples, gradient_norm: gradient_norm(&self.parameters()) })
    }

    /// Logits `[batch, classes]` in evaluation mode.
    ///
    /// # Errors
    /// [`NetError::Shape`] or [`NetError::Empty`].
    pub fn predict(&self, x: &ArrayD<f32>) -> Result<Array2<f32>, NetError> {
        self.check_input(x)?;
        let mut logits = Array2::zeros((0, self.arch().classes()));
        for part in x.axis_chunks_iter(ndarray::Axis(0), EVALUATION_BATCH) {
            let part = match self {
                Self::ResNet(net) => net.predict(&images(part)),
                Self::Gru(net) => net.predict(sequences(part)),
            };
            logits.append(ndarray::Axis(0), part.view()).expect("the same classes");
        }
        Ok(logits)
    }

    fn check_input(&self, x: &ArrayD<f32>) -> Result<(), NetError> {
        let samples = x.shape().first().copied().unwrap_or(0);
        let expected = self.arch().input_shape(samples);
        if x.shape() != expected {
            return Err(NetError::Shape { got: x.shape().to_vec(), expected });
        }
        if samples == 0 { Err(NetError::Empty) } else { Ok(()) }
    }

    /// Everything an optimizer moves, from the input on.
    pub fn parameters(&mut self) -> Vec<Parameter<'_>> {
        match self {
            Self::ResNet(net) => net.parameters(),
            Self::Gru(net) => net.parameters(),
        }
    }

    /// What training moves without an optimizer: batch-norm statistics. A checkpoint needs them.
    pub fn buffers(&mut self) -> Vec<(String, &mut [f32])> {
        match self {
            Self::ResNet(net) => net.buffers(),
            Self::Gru(_) => Vec::new(),
        }
    }
}

/// The same numbers with four axes, row-major; the shape has been checked.
fn images(x: ArrayViewD<'_, f32>) -> Array4<f32> {
    let x = x.as_standard_layout().into_owned();
    x.into_dimensionality::<Ix4>().expect("four axes, checked")
}

/// The same numbers with three axes; the shape has been checked.
fn sequences(x: ArrayViewD<'_, f32>) -> ndarray::ArrayView3<'_, f32> {
    x.into_dimensionality::<Ix3>().expect("three axes, checked")
}
