//! What a model must know besides its graph, as our trainer writes it into the ONNX `metadata_props`
//! under the key [`KEY`] and the converter reads it: labels, front end, provenance, what the tensors held in training.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The key in `ModelProto.metadata_props`; its value is JSON.
pub const KEY: &str = "escarp";

/// Labels, front end and where the model comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// One name for each output, in order, but two for [`Scores::Binary`]; empty if unknown.
    pub labels: Vec<String>,
    /// How files become the network's input.
    pub front_end: FrontEnd,
    /// What the outputs are.
    #[serde(default)]
    pub scores: Scores,
    /// Free facts: trainer version, seed, data, accuracy.
    #[serde(default)]
    pub provenance: BTreeMap<String, String>,
    /// What the tensors held when training was over; empty if unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub activations: Vec<Activation>,
}

/// What a tensor held: the exported network, in evaluation, on training samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activation {
    /// Its name in the graph.
    pub tensor: String,
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
    /// Channels that reach much further than the others, by the rule of [`crate::ranges::outliers`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outliers: Vec<Outlier>,
    /// Lower and upper end of the range for which a quantization-aware training has quantized it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(f32, f32)>,
}

/// A channel whose range is out of proportion.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outlier {
    /// Counted from 0.
    pub channel: usize,
    /// Its range over that of the median channel.
    pub times: f32,
}

/// What a network's outputs are, which the graph itself may not say: training keeps the softmax in the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scores {
    /// Whatever the graph computes.
    #[default]
    Plain,
    /// Logits: a softmax makes them probabilities.
    Softmax,
    /// One number: the probability of the second of two labels.
    Binary,
}

/// How a file becomes the network's float input, before quantization.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FrontEnd {
    /// Numbers as they are.
    #[default]
    Raw,
    /// `value = (pixel / 255 - mean) / std` for each channel, as torchvision writes it.
    Pixels {
        /// One for each channel, in units of the 0..1 pixel.
        mean: Vec<f32>,
        /// One for each channel, in units of the 0..1 pixel.
        std: Vec<f32>,
    },
    /// Log-mel frames of mono PCM; `value = (ln(energy + floor) - mean) / std` for each band.
    LogMel {
        /// Hz.
        sample_rate: u32,
        /// Samples in a frame (Hann window).
        frame: u16,
        /// Samples from one frame to the next.
        hop: u16,
        /// Length of the transform, a power of two, at least `frame`.
        fft: u16,
        /// Lowest edge of the mel bank, Hz.
        low_hz: f32,
        /// Highest edge, Hz.
        high_hz: f32,
        /// Added to each band's energy before the logarithm.
        floor: f32,
        /// Frames in a decision.
        frames: u16,
        /// One for each band.
        mean: Vec<f32>,
        /// One for each band.
        std: Vec<f32>,
    },
    /// Sensor samples; `value = (sample - mean) / std` for each channel.
    Sensor {
        /// Samples a second.
        rate: f32,
        /// Samples in a decision.
        frames: u16,
        /// One for each channel.
        mean: Vec<f32>,
        /// One for each channel.
        std: Vec<f32>,
        /// Which columns of a CSV file the channels are: by name or, of files without a header, by number counted from 1;
        /// empty: all, as they stand.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        columns: Vec<String>,
    },
    /// The words of a text as whole numbers. A word is the longest run of alphanumeric characters, in lower case; its
    /// number is its place in `vocabulary`, or 1 if it has none. The last `tokens` words count, and fewer have zeros in
    /// front of them.
    Text {
        /// Words in a decision.
        tokens: u16,
        /// Entries 0 and 1 stand for padding and unknown words and are no words.
        vocabulary: Vec<String>,
    },
}
