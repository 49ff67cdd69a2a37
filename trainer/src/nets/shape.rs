//! The shape of one sample on its way through a net.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Numbers of one sample and how they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Height, width, channels.
    Map([usize; 3]),
    /// Frames, numbers in a frame.
    Sequence([usize; 2]),
    /// Frames, and how many different tokens there are; a frame is one token, a whole number from 0.
    Tokens([usize; 2]),
    /// Numbers.
    Vector(usize),
}

impl Shape {
    /// With the batch in front, as arrays have it.
    pub fn with_batch(self, batch: usize) -> Vec<usize> {
        match self {
            Self::Map([h, w, c]) => vec![batch, h, w, c],
            Self::Sequence([frames, numbers]) => vec![batch, frames, numbers],
            Self::Tokens([frames, _]) => vec![batch, frames],
            Self::Vector(numbers) => vec![batch, numbers],
        }
    }

    /// The last axis.
    pub fn channels(self) -> usize {
        match self {
            Self::Map([_, _, n]) | Self::Sequence([_, n]) | Self::Vector(n) => n,
            Self::Tokens(_) => 1,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map([h, w, c]) => write!(f, "maps of {h}x{w}, {c} channels"),
            Self::Sequence([frames, numbers]) => write!(f, "{frames} frames of {numbers} numbers"),
            Self::Tokens([frames, vocabulary]) => write!(f, "{frames} tokens of a vocabulary of {vocabulary}"),
            Self::Vector(numbers) => write!(f, "a vector of {numbers} numbers"),
        }
    }
}
