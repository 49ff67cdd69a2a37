//! What can be wrong with an input or output record.

use core::fmt;

use crate::id::TensorId;

/// Why an input or an output was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PortError {
    /// A reserved byte that means nothing here.
    Reserved {
        /// Which byte of the record.
        at: u8,
    },
    /// An unknown meaning.
    Meaning {
        /// The code found.
        found: u16,
    },
    /// Its tensor does not exist.
    NoTensor {
        /// The tensor named.
        id: TensorId,
    },
    /// Its name is empty, is not UTF-8, or does not lie within the names.
    Name,
    /// An earlier one has its name.
    NameTwice {
        /// The earlier one.
        index: u16,
    },
    /// An input's tensor is a state; saved states are restored instead.
    State {
        /// The tensor named.
        id: TensorId,
    },
    /// An input's bytes are also another input's, or an output's tensor is another output's.
    Shared {
        /// The earlier one.
        index: u16,
    },
    /// An output that is a state has several pixels and padding channels, so that it cannot be packed where it lies.
    Padded {
        /// The tensor named.
        id: TensorId,
    },
    /// An output is a tensor that no step has left there, nor is it an input.
    Unwritten {
        /// The tensor named.
        id: TensorId,
    },
    /// All reads together look back over too many steps.
    Lifetimes {
        /// How many are allowed.
        limit: u32,
    },
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            PortError::Reserved { at } => write!(f, "byte {at} of the record means nothing here"),
            PortError::Meaning { found } => write!(f, "meaning {found} is unknown"),
            PortError::NoTensor { id } => write!(f, "tensor {id} does not exist"),
            PortError::Name => f.write_str("the name is empty, not UTF-8, or not within the names"),
            PortError::NameTwice { index } => write!(f, "has the name of number {index}"),
            PortError::State { id } => write!(f, "tensor {id} is a state, which is restored and not set"),
            PortError::Shared { index } => write!(f, "shares its tensor with number {index}"),
            PortError::Padded { id } => {
                write!(f, "tensor {id} is a state of several pixels, with channels that are no multiple of 8")
            }
            PortError::Unwritten { id } => write!(f, "tensor {id} is left there by no step, nor is it an input"),
            PortError::Lifetimes { limit } => {
                write!(f, "tensors live so long that all reads look back over more than {limit} steps")
            }
        }
    }
}

impl core::error::Error for PortError {}
