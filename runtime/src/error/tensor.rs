//! What can be wrong with a tensor record.

use core::fmt;

/// Why a tensor record was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TensorError {
    /// An unknown type of element.
    Dtype {
        /// The code found.
        found: u8,
    },
    /// A flag or a reserved byte that means nothing here.
    Reserved {
        /// Which byte of the record.
        at: u8,
    },
    /// A zero point where only int8 has one.
    ZeroPoint {
        /// What was found.
        found: i8,
    },
    /// A dimension is zero.
    Empty,
    /// The scale is not a positive finite number.
    Scale,
    /// The offset is not a multiple of 16.
    Unaligned {
        /// The offset.
        offset: u32,
    },
    /// It does not lie where it must: states first, then activations, then scratch.
    Range {
        /// Its last byte + 1.
        end: u32,
        /// The end of its part of the arena.
        limit: u32,
    },
    /// An activation starts inside the part kept for states.
    InState {
        /// Where it starts.
        start: u32,
        /// Where activations may start.
        limit: u32,
    },
    /// Two states share bytes, or are not in ascending order.
    StateOverlap {
        /// Where it starts.
        start: u32,
        /// Where the previous state ends.
        limit: u32,
    },
}

impl fmt::Display for TensorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            TensorError::Dtype { found } => write!(f, "element type {found}, allowed: 0 (int8), 1 (int16), 2 (int32)"),
            TensorError::Reserved { at } => write!(f, "byte {at} of the record means nothing here"),
            TensorError::ZeroPoint { found } => write!(f, "zero point {found}; only int8 may have another than 0"),
            TensorError::Empty => f.write_str("a dimension is zero"),
            TensorError::Scale => f.write_str("the scale is not a positive finite number"),
            TensorError::Unaligned { offset } => write!(f, "offset {offset} is not a multiple of 16"),
            TensorError::Range { end, limit } => write!(f, "ends at {end}, its part of the arena ends at {limit}"),
            TensorError::InState { start, limit } => {
                write!(f, "starts at {start}, inside the states, which end at {limit}")
            }
            TensorError::StateOverlap { start, limit } => {
                write!(f, "state starts at {start}, the previous one ends at {limit}")
            }
        }
    }
}

impl core::error::Error for TensorError {}
