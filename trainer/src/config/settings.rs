//! All settings of a run, as `config.json` keeps them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{
    config::freeze::Freeze,
    data::{images::Augmentation, source::Source},
    doctor::verdict::{Illness, Prescription},
    nets::LayerSpec,
    optim::{Rule, clip::Clip, penalty::Penalty, schedule::Schedule},
};

/// `--data builtin`: the generated data.
pub const BUILTIN: &str = "builtin";

/// What is trained, on what, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of the program that began the run.
    pub version: String,
    /// The kind of data and the network for it.
    pub task: Task,
    /// Where the samples come from.
    pub source: Source,
    /// How the network is fitted.
    pub settings: Settings,
    /// What repairs have changed in all of this, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<Repair>,
}

/// One thing that was done to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Repair {
    /// What was wrong.
    pub illness: Illness,
    /// What was seen of it.
    pub evidence: String,
    /// What was changed.
    pub prescription: Prescription,
    /// The step from which the run went on; 0 is the beginning.
    pub from_step: u64,
}

/// The kind of data and the network for it; `None` is found out from the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Task {
    /// Pictures.
    Image {
        /// The network.
        net: Vec<LayerSpec>,
        /// Side of the network's input in pixels.
        size: Option<usize>,
        /// How training pictures vary; absent: not at all.
        augmentation: Option<Augmentation>,
    },
    /// Log-mel frames of sound.
    Sound {
        /// Hz.
        rate: Option<u32>,
        /// Mel bands.
        bands: usize,
        /// Frames in a decision.
        frames: Option<u16>,
        /// The network.
        net: Vec<LayerSpec>,
        /// Whether training clips vary.
        augment: bool,
    },
    /// Windows of sensor samples.
    Motion {
        /// Samples a second, as the model file states it.
        rate: f32,
        /// Samples in a window.
        frames: u16,
        /// The network.
        net: Vec<LayerSpec>,
        /// Whether training windows vary.
        augment: bool,
    },
    /// Texts as the numbers of their words.
    Text {
        /// Entries of the vocabulary, at most.
        words: usize,
        /// Words that are looked at.
        tokens: Option<u16>,
        /// The network.
        net: Vec<LayerSpec>,
        /// Whether it was drawn for one number, yes or no: of two classes the second.
        binary: bool,
    },
}

impl Task {
    /// The network's layers.
    pub fn net_mut(&mut self) -> &mut Vec<LayerSpec> {
        match self {
            Self::Image { net, .. } | Self::Sound { net, .. } | Self::Motion { net, .. } | Self::Text { net, .. } => {
                net
            }
        }
    }

    /// The command that begins and continues such a run.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Image { .. } => "image",
            Self::Sound { .. } => "sound",
            Self::Motion { .. } => "motion",
            Self::Text { .. } => "text",
        }
    }

    /// The network.
    pub fn net(&self) -> &[LayerSpec] {
        match self {
            Self::Image { net, .. } | Self::Sound { net, .. } | Self::Motion { net, .. } | Self::Text { net, .. } => {
                net
            }
        }
    }
}

/// How the network is fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Passes over the training samples; the most there may be if there is a budget.
    pub epochs: u32,
    /// Samples in a step.
    pub batch: usize,
    /// Highest learning rate.
    pub rate: f32,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Time budget.
    pub minutes: Option<f64>,
    /// Of initial weights, order, augmentation, split and generated data.
    pub seed: u64,
    /// Share of each class to validate on.
    pub validation: f64,
    /// Share of each label's probability that is spread over all classes.
    pub label_smoothing: f32,
    /// How gradients move the weights.
    pub rule: Rule,
    /// How gradients are bounded.
    pub clip: Clip,
    /// Penalties on weights.
    pub penalty: Penalty,
    /// Decay of the averaged weights that are evaluated and exported; absent: the latest weights are.
    pub average: Option<f32>,
    /// Steps from one look of the doctor to the next; 0: none.
    pub watch: u64,
    /// Whether an ill run is repaired.
    pub repair: bool,
    /// Parameter of the Beta distribution by which batches are mixed; absent: they are not.
    pub mixup: Option<f32>,
    /// A trained net whose numbers the run begins with.
    #[serde(default)]
    pub init_from: Option<PathBuf>,
    /// What is not trained.
    #[serde(default)]
    pub freeze: Freeze,
    /// Whether the forward pass is that of the int8 network.
    #[serde(default)]
    pub qat: bool,
}
