//! The kinds of layers a net is listed from: one file for each, with the keys it takes and how it is built.

mod convolution;
mod dense;
mod gru;
mod lstm;
mod pool;
mod residual;
mod rnn;
mod stack;

use serde::{Deserialize, Serialize};

pub use convolution::Convolution;
pub use dense::Dense;
pub use gru::{Gru, Reset};
pub use lstm::Lstm;
pub use pool::GlobalAveragePool;
pub use residual::Residual;
pub use rnn::Rnn;

use super::NetError;
use super::build::Builder;
use crate::scalar::Scalar;

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
    /// Convolution, normalization or bias, ReLU.
    Convolution = "convolution",
    /// Residual blocks.
    Residual = "residual",
    /// Mean over all pixels.
    GlobalAveragePool = "global-average-pool",
    /// Fully connected.
    Dense = "dense",
    /// Gated recurrent units.
    Gru = "gru",
    /// Long short-term memory.
    Lstm = "lstm",
    /// Recurrence without gates.
    Rnn = "rnn",
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
