//! What can be wrong with a net or with what it is given.

use std::ops::RangeInclusive;

use super::Shape;

/// Why a net cannot be built or used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// A number of the architecture is out of range.
    #[error("`{layer}`: {field} = {value}; allowed: {least} to {most}")]
    Number {
        /// Where.
        layer: String,
        /// Which number.
        field: &'static str,
        /// What it is.
        value: usize,
        /// The least allowed.
        least: usize,
        /// The most allowed.
        most: usize,
    },
    /// Two layers do not fit each other.
    #[error("{takes}; {below} gives {shape}")]
    Fit {
        /// Who takes what.
        takes: String,
        /// Who gives.
        below: String,
        /// What it gives.
        shape: Shape,
    },
    /// Keys of a layer that do not go together.
    #[error("`{layer}`: {reason}")]
    Layer {
        /// Where.
        layer: String,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// No layer that computes anything.
    #[error("net: no layers")]
    NoLayers,
    /// Two layers bear one name.
    #[error("`{name}`: another layer has this name already")]
    Name {
        /// The name.
        name: String,
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
    /// Not one length for each sample.
    #[error("net: {lengths} lengths for {samples} samples")]
    Lengths {
        /// How many came.
        lengths: usize,
        /// How many samples.
        samples: usize,
    },
    /// A sequence that is empty or longer than the batch has frames.
    #[error("net: length {length} of sample {sample}; allowed: 1 to {frames}")]
    Length {
        /// Which sample of the batch.
        sample: usize,
        /// Its length.
        length: usize,
        /// Frames that there are.
        frames: usize,
    },
    /// Lengths for inputs that are no sequences.
    #[error("net: lengths of {shape}; only sequences have lengths")]
    NoSequences {
        /// What this net takes.
        shape: Shape,
    },
    /// A token that is not in the vocabulary.
    #[error("net: token {token} in frame {frame} of sample {sample}; allowed: whole numbers 0 to {}", vocabulary - 1)]
    Token {
        /// Which sample of the batch.
        sample: usize,
        /// Which frame of the sample.
        frame: usize,
        /// What stands there.
        token: String,
        /// How many tokens there are.
        vocabulary: usize,
    },
    /// The arithmetic that stands in for the layers' own cannot compute this.
    #[error("{0}")]
    StandIn(String),
    /// Somebody asked the program to stop while this was computed, see [`crate::engine::interrupt`].
    #[error("interrupted")]
    Interrupted,
    /// No sample at all.
    #[error("net: an empty batch")]
    Empty,
}

impl NetError {
    /// Whether the net itself is wrong, as its file or flags say it, and not what it is given.
    pub fn is_of_the_net(&self) -> bool {
        matches!(self, Self::Number { .. } | Self::Fit { .. } | Self::Layer { .. } | Self::NoLayers | Self::Name { .. })
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
