//! The kinds of layers a net is listed from: one file for each, with the keys it takes and how it is built.

mod activation;
mod batch_norm;
mod convolution;
mod dense;
mod dropout;
mod embedding;
mod gru;
mod initial;
mod join;
mod lstm;
mod padding;
mod pool;
mod residual;
mod rnn;
mod squeeze_excitation;
mod stack;

use serde::{Deserialize, Deserializer, Serialize};

pub use activation::Activation;
pub use batch_norm::BatchNorm;
pub use convolution::{Convolution, WIDTHS};
pub use dense::Dense;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use gru::{Gru, Reset};
pub use join::{Add, Branch, Flatten};
pub use lstm::Lstm;
pub use padding::Padding;
pub use pool::{AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool};
pub use residual::Residual;
pub use rnn::Rnn;
pub use squeeze_excitation::{Gate, SqueezeExcitation};
pub use stack::{HIDDEN, LAYERS};

use super::{NetError, builder::Builder};
use crate::engine::scalar::Scalar;

/// Declares [`LayerSpec`] and what goes through all kinds. Every struct has a field `name: Option<String>` and a
/// method `build(&self, name: &str, builder: &mut Builder<T>) -> Result<(), NetError>`.
macro_rules! kinds {
    ($($(#[$about:meta])* $kind:ident = $word:literal,)*) => {
        /// One layer, or one group of layers that always come together.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        pub enum LayerSpec {
            $($(#[$about])* #[serde(rename = $word)] $kind($kind),)*
        }

        impl LayerSpec {
            /// What users may write as `kind`.
            pub const KINDS: &[&str] = &[$($word),*];

            /// Reads the other keys of a layer whose `kind` is `word`; `None` if there is no such kind.
            pub(super) fn read<'de, D: Deserializer<'de>>(word: &str, keys: D) -> Option<Result<Self, D::Error>> {
                match word {
                    $($word => Some($kind::deserialize(keys).map(Self::$kind)),)*
                    _ => None,
                }
            }

            /// What the user calls it.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $word,)*
                }
            }

            /// The name that the user gave it.
            pub fn name(&self) -> Option<&str> {
                match self {
                    $(Self::$kind(layer) => layer.name.as_deref(),)*
                }
            }

            /// The name it is known by as layer number `at` of a net, from 0: the user's, or its kind and place.
            pub fn name_at(&self, at: usize) -> String {
                self.name().map_or_else(|| format!("{}{}", self.kind(), at + 1), str::to_owned)
            }

            /// Gives it that name for good, wherever it will stand.
            pub fn pin_name(&mut self, at: usize) {
                let name = Some(self.name_at(at));
                match self {
                    $(Self::$kind(layer) => layer.name = name,)*
                }
            }

            /// Adds its nodes behind what the builder has.
            pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
                match self {
                    $(Self::$kind(layer) => layer.build(name, builder),)*
                }
            }
        }
    };
}

kinds! {
    /// Convolution, normalization or bias, activation.
    Convolution = "convolution",
    /// Residual blocks.
    Residual = "residual",
    /// Fully connected.
    Dense = "dense",
    /// Gated recurrent units.
    Gru = "gru",
    /// Long short-term memory.
    Lstm = "lstm",
    /// Recurrence without gates.
    Rnn = "rnn",
    /// A row of numbers for each token.
    Embedding = "embedding",
    /// A function of one number.
    Activation = "activation",
    /// Batch normalization.
    BatchNorm = "batch-norm",
    /// Dropped numbers.
    Dropout = "dropout",
    /// The largest number of each window.
    MaxPool = "max-pool",
    /// The mean of each window.
    AveragePool = "average-pool",
    /// The largest number of all pixels or frames.
    GlobalMaxPool = "global-max-pool",
    /// Mean over all pixels or frames.
    GlobalAveragePool = "global-average-pool",
    /// A gate for each channel, of the mean of all.
    SqueezeExcitation = "squeeze-excitation",
    /// Back to an earlier layer.
    Branch = "branch",
    /// The end of a shortcut.
    Add = "add",
    /// All numbers in one vector.
    Flatten = "flatten",
}

/// Keys that all recurrent layers have.
pub(super) struct RecurrentKeys<'a> {
    pub name: Option<&'a mut String>,
    pub hidden: &'a mut usize,
    pub every_step: &'a mut bool,
}

impl LayerSpec {
    /// The channels that it gives, if it is a convolution or made of them.
    pub(super) fn channels_mut(&mut self) -> Option<&mut usize> {
        match self {
            Self::Convolution(layer) => Some(&mut layer.outputs),
            Self::Residual(layer) => Some(&mut layer.outputs),
            _ => None,
        }
    }

    /// Its keys, if it is recurrent.
    pub(super) fn recurrent_mut(&mut self) -> Option<RecurrentKeys<'_>> {
        let (name, hidden, every_step) = match self {
            Self::Gru(layer) => (&mut layer.name, &mut layer.hidden, &mut layer.every_step),
            Self::Lstm(layer) => (&mut layer.name, &mut layer.hidden, &mut layer.every_step),
            Self::Rnn(layer) => (&mut layer.name, &mut layer.hidden, &mut layer.every_step),
            _ => return None,
        };
        Some(RecurrentKeys { name: name.as_mut(), hidden, every_step })
    }

    /// Whether it learns from its batch's statistics.
    pub fn normalizes(&self) -> bool {
        match self {
            Self::Convolution(layer) => layer.normalize,
            Self::Residual(layer) => layer.normalize,
            Self::BatchNorm(_) => true,
            _ => false,
        }
    }

    /// Makes it what it is in evaluation: normalizations are part of the convolutions before them, nothing is dropped. A
    /// normalization of its own stays.
    pub fn settle(&mut self) {
        match self {
            Self::Convolution(layer) => layer.normalize = false,
            Self::Residual(layer) => layer.normalize = false,
            Self::Dropout(layer) => layer.rate = 0.0,
            _ => {}
        }
    }
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
