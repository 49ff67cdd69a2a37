//! What can be wrong with a step record.

use core::fmt;

use super::Field;
use crate::id::TensorId;

/// Why a step record was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepError {
    /// An unknown operator.
    Kind {
        /// The code found.
        found: u16,
    },
    /// A flag or a reserved byte that means nothing here.
    Reserved {
        /// Which byte of the record.
        at: u8,
    },
    /// A tensor that does not exist.
    NoTensor {
        /// The tensor named.
        id: TensorId,
        /// How many there are.
        count: u16,
    },
    /// A tensor of the wrong element type.
    Dtype {
        /// The tensor.
        id: TensorId,
    },
    /// A state where an activation must stand, or the reverse.
    State {
        /// The tensor.
        id: TensorId,
    },
    /// A tensor whose shape does not follow from the others.
    Shape {
        /// The tensor.
        id: TensorId,
    },
    /// A tensor whose scale or zero point this operator does not allow.
    Quantization {
        /// The tensor.
        id: TensorId,
    },
    /// Two tensors share bytes that this step needs apart.
    Overlap {
        /// The one.
        a: TensorId,
        /// The other.
        b: TensorId,
    },
    /// A number outside its range.
    Value {
        /// Which one.
        field: Field,
        /// What was found.
        found: i32,
    },
    /// A number outside its range, in one output channel.
    Channel {
        /// Which one.
        field: Field,
        /// The channel, modulo 65536.
        channel: u16,
        /// What was found.
        found: i32,
    },
    /// Values moved from or to where their tensor has none.
    Element {
        /// The tensor.
        id: TensorId,
        /// The first or last element that is reached.
        at: i32,
    },
    /// Constants that go beyond the end of their section.
    Range {
        /// Which constants.
        field: Field,
        /// Where they end in the file.
        end: u32,
        /// Where the constants section ends in the file.
        limit: u32,
    },
    /// Constants that start before the ones of an earlier step end: they lie in the order of the steps and are not shared.
    Order {
        /// Which constants.
        field: Field,
        /// Where they start in the file.
        start: u32,
        /// Where the previous ones end in the file.
        previous: u32,
    },
    /// Constants at an offset that is not aligned.
    Unaligned {
        /// Which constants.
        field: Field,
        /// Their offset in the section.
        offset: u32,
    },
    /// A weight of -128, which the kernels exclude (allowed: -127 to 127).
    Weight {
        /// Where in the file.
        at: u32,
    },
    /// The step reads bytes that nothing has written in this run, or that another tensor has been written to since.
    Unwritten {
        /// The tensor that is read; for a residual operand, which the record does not name, the output at its place.
        id: TensorId,
    },
    /// All reads up to this step look back over more steps than a loader may.
    Lifetimes {
        /// How many it may.
        limit: u32,
    },
    /// The step needs more scratch than the header states.
    Scratch {
        /// Bytes needed.
        needed: u32,
        /// Bytes that the header states.
        stated: u32,
    },
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            StepError::Kind { found } => write!(f, "operator {found} is unknown here: a newer runtime is needed"),
            StepError::Reserved { at } => write!(f, "byte {at} of the record means nothing here"),
            StepError::NoTensor { id, count } => write!(f, "names tensor {id}, there are {count}"),
            StepError::Dtype { id } => write!(f, "tensor {id} has the wrong element type"),
            StepError::State { id } => write!(f, "tensor {id}: a state where an activation must be, or the reverse"),
            StepError::Shape { id } => write!(f, "tensor {id} has a shape that does not follow from the others"),
            StepError::Quantization { id } => write!(f, "tensor {id} has a scale or zero point not allowed here"),
            StepError::Overlap { a, b } => write!(f, "tensors {a} and {b} share bytes"),
            StepError::Value { field, found } => write!(f, "{field} is out of range ({found})"),
            StepError::Channel { field, channel, found } => {
                write!(f, "{field} of channel {channel} is out of range ({found})")
            }
            StepError::Element { id, at } => write!(f, "reaches element {at}, outside tensor {id}"),
            StepError::Range { field, end, limit } => write!(f, "{field} end at {end}, constants end at {limit}"),
            StepError::Order { field, start, previous } => {
                write!(f, "{field} start at {start}, before the end of earlier constants at {previous}")
            }
            StepError::Unaligned { field, offset } => write!(f, "{field} at offset {offset} are not aligned"),
            StepError::Weight { at } => write!(f, "weight at {at} is -128, allowed: -127 to 127"),
            StepError::Unwritten { id } => {
                write!(f, "reads tensor {id}, which no earlier step has left there, nor is it an input")
            }
            StepError::Lifetimes { limit } => {
                write!(f, "tensors live so long that all reads look back over more than {limit} steps")
            }
            StepError::Scratch { needed, stated } => {
                write!(f, "needs {needed} bytes of scratch, the header states {stated}")
            }
        }
    }
}

impl core::error::Error for StepError {}
