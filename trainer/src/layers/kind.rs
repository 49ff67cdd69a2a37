//! What a layer computes, in the words of the doctor and of its logs.

use serde::{Deserialize, Serialize};

/// An output is saturated within this share of the range from one of its ends: sigmoid below 0.025 or above 0.975,
/// tanh beyond 0.95 in magnitude. There the derivative is below a tenth of its largest value.
pub const SATURATED: f64 = 0.025;

/// What a layer computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerKind {
    /// Matrix times vector.
    Dense,
    /// Two-dimensional convolution, depthwise too.
    Convolution,
    /// Gated recurrent unit.
    Gru,
    /// Long short-term memory.
    Lstm,
    /// Recurrence without gates.
    Rnn,
    /// Batch or layer normalization.
    Norm,
    /// Table look-up.
    Embedding,
    /// Sum of two branches, with the activation behind it: the end of a residual block. It has no weights.
    Add,
    /// Anything else, and words that are not listed here.
    #[default]
    #[serde(other)]
    Other,
}

impl LayerKind {
    /// Whether it carries a state from step to step.
    pub fn recurrent(self) -> bool {
        matches!(self, Self::Gru | Self::Lstm | Self::Rnn)
    }
}

/// What a layer's output goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `max(0, x)`.
    Relu,
    /// `x` above zero, a small multiple of it below.
    LeakyRelu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `x` times sigmoid of `x`.
    Silu,
    /// The piecewise approximation of SiLU.
    HardSwish,
    /// The piecewise approximation of the sigmoid.
    HardSigmoid,
    /// None.
    Linear,
    /// Anything else, and words that are not listed here.
    #[serde(other)]
    Other,
}

impl Activation {
    /// Whether its derivative goes to zero at both ends.
    pub fn saturates(self) -> bool {
        matches!(self, Self::Sigmoid | Self::HardSigmoid | Self::Tanh)
    }

    /// Outside of which its output is [`SATURATED`], if its derivative goes to zero at both ends.
    pub fn saturates_beyond(self) -> Option<(f32, f32)> {
        let share = SATURATED as f32;
        match self {
            Self::Sigmoid | Self::HardSigmoid => Some((share, 1.0 - share)),
            Self::Tanh => Some((2.0 * share - 1.0, 1.0 - 2.0 * share)),
            _ => None,
        }
    }

    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu => "ReLU",
            Self::LeakyRelu => "LeakyReLU",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Silu => "SiLU",
            Self::HardSwish => "hard-swish",
            Self::HardSigmoid => "hard sigmoid",
            Self::Linear => "linear",
            Self::Other => "other",
        }
    }
}
