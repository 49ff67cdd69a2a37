//! What can be wrong, located: which byte, which tensor, which step, what was found and what is allowed.

use core::fmt;

use crate::ops::TensorId;

/// Why a model was refused or a call could not be done.
///
/// Positions are bytes from the start of the file. Numbers too large for 32 bits are shown as 4294967295.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The file ends early.
    Truncated {
        /// Bytes that the header states, or that a header needs.
        needed: u32,
        /// Bytes given.
        got: u32,
    },
    /// Bytes follow the end that the header states.
    Trailing {
        /// Bytes that the header states.
        stated: u32,
        /// Bytes given.
        got: u32,
    },
    /// Not a model file.
    Magic,
    /// A newer major version of the format.
    Version {
        /// The file's major version.
        major: u16,
    },
    /// The file is damaged.
    Checksum {
        /// What the header states.
        stated: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// The model needs operators that this runtime lacks.
    Features {
        /// The feature bits unknown here.
        unknown: u32,
    },
    /// A section lies outside the file, overlaps the one before, or is not aligned.
    Section {
        /// Which one.
        field: Field,
        /// Where it starts.
        start: u32,
        /// Where it ends.
        end: u32,
    },
    /// A number in the header contradicts the rest.
    Header {
        /// Which one.
        field: Field,
        /// What the header states.
        stated: u32,
        /// What the model needs.
        needed: u32,
    },
    /// The input or the output is a tensor that does not exist, or no int8 activation.
    Port {
        /// Which of the two.
        field: Field,
        /// The tensor named.
        id: TensorId,
    },
    /// A tensor record is wrong.
    Tensor {
        /// Which one.
        index: u16,
        /// Why.
        reason: TensorError,
    },
    /// A step record is wrong.
    Step {
        /// Which one.
        index: u16,
        /// Why.
        reason: StepError,
    },
    /// A metadata entry is wrong.
    Meta {
        /// Where the entry starts, from the start of the metadata section.
        at: u32,
        /// Why.
        reason: MetaError,
    },
    /// The arena is too small.
    Arena {
        /// Bytes needed, from a 16-byte boundary.
        needed: u32,
        /// Bytes given, from the first 16-byte boundary.
        got: u32,
    },
    /// The input has the wrong length.
    Input {
        /// Elements needed.
        needed: u32,
        /// Elements given.
        got: u32,
    },
    /// The saved state belongs to another model.
    StateModel {
        /// The model at hand.
        model: u32,
        /// The model that was saved.
        saved: u32,
    },
    /// The saved state has the wrong length.
    StateLength {
        /// Bytes needed.
        needed: u32,
        /// Bytes given.
        got: u32,
    },
    /// A kernel was called with slices that do not fit together. A session on an unchanged model file never does that.
    Kernel,
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the name of a field in format.md; Display spells it")]
pub enum Field {
    Tensors,
    Steps,
    Constants,
    Metadata,
    Arena,
    Scratch,
    State,
    Macs,
    Sequence,
    Input,
    Output,
    Weights,
    Parameters,
    StateWeights,
    StateParameters,
    Kernel,
    Stride,
    Dilation,
    Padding,
    Maximum,
    Multiplier,
    Shift,
    Hidden,
}

/// Why a tensor record was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TensorError {
    /// An unknown type of element.
    Dtype {
        /// The code found.
        found: u8,
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

/// Why a step record was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepError {
    /// An unknown operator, or one whose feature bit the header lacks.
    Kind {
        /// The code found.
        found: u8,
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
    /// The step needs more scratch than the header states.
    Scratch {
        /// Bytes needed.
        needed: u32,
        /// Bytes that the header states.
        stated: u32,
    },
}

/// Why a metadata entry was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetaError {
    /// It goes beyond the end of the section.
    Truncated,
    /// Its tag was there before.
    Twice {
        /// The tag.
        tag: u16,
    },
    /// Text that is not UTF-8.
    Utf8,
    /// Content of the wrong length.
    Length,
    /// An unknown code.
    Code {
        /// The code found.
        found: u8,
    },
    /// A front end that cannot be; `frontend::FrontEnd::parse` says why.
    FrontEnd,
    /// There are labels, but not one for each output.
    Labels {
        /// How many there are.
        found: u16,
    },
}

const _: () = assert!(size_of::<Error>() <= 16 && size_of::<StepError>() <= 12);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::Truncated { needed, got } => write!(f, "model: {needed} bytes needed, the file ends at {got}"),
            Error::Trailing { stated, got } => write!(f, "model: ends at {stated}, but the file goes on to {got}"),
            Error::Magic => f.write_str("model: does not start with the mark of an Escarp model"),
            Error::Version { major } => {
                write!(f, "model: format version {major}, this runtime reads version {}", crate::format::MAJOR)
            }
            Error::Checksum { stated, computed } => {
                write!(f, "model: damaged, checksum {computed:#010x} instead of {stated:#010x}")
            }
            Error::Features { unknown } => write!(f, "model: needs features unknown here (bits {unknown:#x})"),
            Error::Section { field, start, end } => {
                write!(f, "model: section of {field} from {start} to {end} is out of place or unaligned")
            }
            Error::Header { field, stated, needed } => {
                write!(f, "model: header states {field} {stated}, the model needs {needed}")
            }
            Error::Port { field, id } => write!(f, "model: {field} {id} does not exist, or is no int8 activation"),
            Error::Tensor { index, reason } => write!(f, "tensor {index}: {reason}"),
            Error::Step { index, reason } => write!(f, "step {index}: {reason}"),
            Error::Meta { at, reason } => write!(f, "metadata entry at {at}: {reason}"),
            Error::Arena { needed, got } => write!(f, "arena: {needed} bytes needed, {got} given"),
            Error::Input { needed, got } => write!(f, "input: {needed} values needed, {got} given"),
            Error::StateModel { model, saved } => {
                write!(f, "state: saved from model {saved:#010x}, this is model {model:#010x}")
            }
            Error::StateLength { needed, got } => write!(f, "state: {needed} bytes needed, {got} given"),
            Error::Kernel => f.write_str("kernel: the slices do not fit together"),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::Tensors => "tensors",
            Field::Steps => "steps",
            Field::Constants => "constants",
            Field::Metadata => "metadata",
            Field::Arena => "arena",
            Field::Scratch => "scratch",
            Field::State => "state",
            Field::Macs => "multiply-accumulates",
            Field::Sequence => "sequence",
            Field::Input => "input tensor",
            Field::Output => "output tensor",
            Field::Weights => "weights",
            Field::Parameters => "parameters",
            Field::StateWeights => "state weights",
            Field::StateParameters => "state parameters",
            Field::Kernel => "kernel",
            Field::Stride => "stride",
            Field::Dilation => "dilation",
            Field::Padding => "padding",
            Field::Maximum => "upper clamp",
            Field::Multiplier => "multiplier",
            Field::Shift => "shift",
            Field::Hidden => "hidden size",
        })
    }
}

impl fmt::Display for TensorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            TensorError::Dtype { found } => write!(f, "element type {found}, allowed: 0 (int8), 1 (int16)"),
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

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            StepError::Kind { found } => write!(f, "operator {found} is unknown or not among the header's features"),
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
            StepError::Range { field, end, limit } => write!(f, "{field} end at {end}, constants end at {limit}"),
            StepError::Order { field, start, previous } => {
                write!(f, "{field} start at {start}, before the end of earlier constants at {previous}")
            }
            StepError::Unaligned { field, offset } => write!(f, "{field} at offset {offset} are not aligned"),
            StepError::Weight { at } => write!(f, "weight at {at} is -128, allowed: -127 to 127"),
            StepError::Scratch { needed, stated } => {
                write!(f, "needs {needed} bytes of scratch, the header states {stated}")
            }
        }
    }
}

impl fmt::Display for MetaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            MetaError::Truncated => f.write_str("goes beyond the end of the metadata"),
            MetaError::Twice { tag } => write!(f, "tag {tag} was there before"),
            MetaError::Utf8 => f.write_str("text is not UTF-8"),
            MetaError::Length => f.write_str("content of the wrong length"),
            MetaError::Code { found } => write!(f, "code {found} is unknown"),
            MetaError::FrontEnd => f.write_str("not a front end that this runtime has"),
            MetaError::Labels { found } => write!(f, "{found} labels, not one for each output"),
        }
    }
}

impl core::error::Error for Error {}
impl core::error::Error for TensorError {}
impl core::error::Error for StepError {}
impl core::error::Error for MetaError {}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn messages_say_where() {
        let reason = StepError::Range { field: Field::Weights, end: 86_528, limit: 86_016 };
        assert_eq!(
            Error::Step { index: 14, reason }.to_string(),
            "step 14: weights end at 86528, constants end at 86016"
        );
        assert_eq!(Error::Arena { needed: 40_960, got: 1024 }.to_string(), "arena: 40960 bytes needed, 1024 given");
    }
}
