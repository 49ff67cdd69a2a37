//! What the doctor says: the illness, the evidence, and what to do.

use serde::{Deserialize, Serialize};

/// Steps of the warm-up that is prescribed.
pub const WARM_UP: u64 = 500;

/// What is wrong with a training run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Illness {
    /// The gradient shrinks on its way from the output to the input until the first layers stand still.
    Vanishing,
    /// The gradient grows on its way, or from step to step, until a step throws the weights far away.
    Exploding,
    /// Most ReLU units are zero whatever the input, and get no gradient that could wake them.
    DyingRelu,
    /// Sigmoids, tanhs or gates sit at the ends of their range, where the derivative is zero.
    Saturation,
    /// NaN or infinity without an explosion before it.
    NonFinite,
    /// The loss swings up and down instead of falling.
    OscillatingLoss,
    /// The loss does not fall, or too slowly for the run.
    SlowConvergence,
    /// The weights began so large that signals grow, or saturate, on their way through the net.
    InitialWeightsTooLarge,
    /// Steps are so long that they jump across what they should descend into.
    LearningRateTooHigh,
}

impl Illness {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Vanishing,
        Self::Exploding,
        Self::DyingRelu,
        Self::Saturation,
        Self::NonFinite,
        Self::OscillatingLoss,
        Self::SlowConvergence,
        Self::InitialWeightsTooLarge,
        Self::LearningRateTooHigh,
    ];

    /// As people say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vanishing => "vanishing gradient",
            Self::Exploding => "exploding gradient",
            Self::DyingRelu => "dying ReLU",
            Self::Saturation => "saturation",
            Self::NonFinite => "NaN or infinity",
            Self::OscillatingLoss => "oscillating loss",
            Self::SlowConvergence => "slow convergence",
            Self::InitialWeightsTooLarge => "initial weights too large",
            Self::LearningRateTooHigh => "learning rate too high",
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The run learns, but worse than it could.
    Warning,
    /// The run does not learn.
    Ill,
    /// The run's numbers are lost; only an earlier checkpoint helps.
    Fatal,
}

impl Severity {
    /// As people say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Ill => "ill",
            Self::Fatal => "fatal",
        }
    }
}

/// One illness with all that belongs to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The root; what follows from it is in the evidence.
    pub illness: Illness,
    /// How bad it is.
    pub severity: Severity,
    /// Layers concerned, from the input on; empty where it is the run's illness and not a layer's.
    pub layers: Vec<String>,
    /// First observed step of the signs that led here without a longer break.
    pub since_step: u64,
    /// What was seen, with its numbers.
    pub evidence: String,
    /// What to do, the most promising first; nothing that the run does already, as far as that is known.
    pub prescriptions: Vec<Prescription>,
}

impl Verdict {
    /// The prescriptions as sentences; where there are none, that one.
    pub fn advice(&self) -> Vec<String> {
        match self.prescriptions.is_empty() {
            true => vec!["All that the doctor knows against it is done already.".into()],
            false => self.prescriptions.iter().map(Prescription::sentence).collect(),
        }
    }
}

/// What cures: for a repair to apply, and in words for a person.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Prescription {
    /// Multiply the learning rate.
    LowerRate {
        /// Below 1.
        factor: f64,
    },
    /// Multiply the learning rate.
    RaiseRate {
        /// Above 1.
        factor: f64,
    },
    /// Let the rate rise slowly at the start.
    WarmUp,
    /// Scale all gradients together.
    ClipGlobalNorm {
        /// Largest norm that stays as it is.
        limit: f64,
    },
    /// Begin again from other weights.
    Reinitialize {
        /// How they are drawn.
        init: Init,
    },
    /// Other activations in the hidden layers.
    ReplaceActivation {
        /// What to use.
        to: Replacement,
    },
    /// Batch normalization after each convolution or dense layer.
    AddNorm,
    /// Shortcuts around every two or three layers.
    AddShortcuts,
    /// A recurrent layer with gates.
    GatedCell,
    /// An optimizer that scales each weight's step.
    AdaptiveOptimizer,
    /// More samples in a step.
    LargerBatch {
        /// How many times as many.
        factor: u32,
    },
    /// Input of mean 0 and deviation 1.
    StandardizeInputs,
    /// NaN, infinities and labels out of range in the data.
    CheckData,
}

/// How weights are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// Variance 2 over the inputs: for ReLU.
    He,
    /// Variance 2 over inputs and outputs together: for sigmoid and tanh.
    Glorot,
    /// Orthogonal: for recurrence.
    Orthogonal,
}

/// Activations that cure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replacement {
    /// Against saturation and vanishing.
    Relu,
    /// Against dying.
    LeakyRelu,
}

impl Prescription {
    /// A sentence for a person, with the flag of `escarp-train` where there is one.
    pub fn sentence(&self) -> String {
        match *self {
            Self::LowerRate { factor } => format!("Lower the learning rate to {factor} of what it is (--lr)."),
            Self::RaiseRate { factor } => format!("Raise the learning rate {factor} times (--lr)."),
            Self::WarmUp => format!("Let the learning rate rise slowly over the first steps (--warm-up {WARM_UP})."),
            Self::ClipGlobalNorm { limit } => {
                format!("Clip all gradients together to a norm of {limit} (--clip).")
            }
            Self::Reinitialize { init: Init::He } => {
                "Begin again with He's initial weights, which keep the variance through ReLU layers.".into()
            }
            Self::Reinitialize { init: Init::Glorot } => {
                "Begin again with Glorot's initial weights, which keep the variance through sigmoid and tanh layers."
                    .into()
            }
            Self::Reinitialize { init: Init::Orthogonal } => {
                "Begin again with orthogonal recurrent weights, which keep the norm of a state over time.".into()
            }
            Self::ReplaceActivation { to: Replacement::Relu } => {
                "Use ReLU in the hidden layers: its derivative is 1 wherever it is active.".into()
            }
            Self::ReplaceActivation { to: Replacement::LeakyRelu } => {
                "Use LeakyReLU: a unit below zero still gets a gradient.".into()
            }
            Self::AddNorm => "Put batch normalization after each convolution or dense layer.".into(),
            Self::AddShortcuts => "Add shortcuts around every two or three layers, as ResNets have them.".into(),
            Self::GatedCell => "Use a GRU or LSTM: their gates carry the gradient through time.".into(),
            Self::AdaptiveOptimizer => {
                "Use AdamW, which scales each weight's step by the size of its gradients (--optimizer adamw).".into()
            }
            Self::LargerBatch { factor } => format!("Take {factor} times as many samples in a step (--batch)."),
            Self::StandardizeInputs => "Standardize the inputs to mean 0 and deviation 1.".into(),
            Self::CheckData => "Look for NaN, infinities and labels out of range in the data.".into(),
        }
    }
}
