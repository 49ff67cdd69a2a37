//! What can be wrong, located: which byte, which tensor, which step, what was found and what is allowed.

mod field;
mod meta;
mod port;
mod step;
mod tensor;

pub use field::Field;
pub use meta::MetaError;
pub use port::PortError;
pub use step::StepError;
pub use tensor::TensorError;

use core::fmt;

use crate::element::Dtype;

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
    /// Another version of the format.
    Version {
        /// The file's.
        found: u16,
        /// The one that this runtime reads.
        reads: u16,
    },
    /// The file is damaged.
    Checksum {
        /// What the header states.
        stated: u32,
        /// What the bytes give.
        computed: u32,
    },
    /// The model needs an extension of the format that this runtime lacks.
    Extension {
        /// The lowest bit unknown here.
        bit: u32,
    },
    /// A byte that is reserved, or unused between two sections, is not zero.
    Reserved {
        /// Where it stands.
        at: u32,
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
    /// An input or an output is wrong.
    Port {
        /// Which of the two.
        field: Field,
        /// Its number.
        index: u16,
        /// Why.
        reason: PortError,
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
    /// An input has the wrong length.
    Input {
        /// Its number.
        index: u16,
        /// Elements needed.
        needed: u32,
        /// Elements given.
        got: u32,
    },
    /// An input or output has elements of another type.
    Element {
        /// Which of the two.
        field: Field,
        /// Its number.
        index: u16,
        /// What it has.
        has: Dtype,
        /// What was given or asked for.
        asked: Dtype,
    },
    /// The model has no such input or output; [`crate::AccessError`] says which it has.
    NoPort {
        /// Which of the two.
        field: Field,
        /// How many there are.
        count: u16,
    },
    /// An inference was asked for before all inputs were set since the last one.
    Unset {
        /// The first input that lacks values.
        index: u16,
    },
    /// There is no result to read: the last inference lies before the inputs or the state that are set now.
    NoResult,
    /// [`crate::Session::run`] is for one input and one output.
    Several {
        /// Inputs of the model.
        inputs: u16,
        /// Outputs of the model.
        outputs: u16,
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

const _: () = assert!(size_of::<Error>() <= 16 && size_of::<StepError>() <= 12);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::Truncated { needed, got } => write!(f, "model: {needed} bytes needed, the file ends at {got}"),
            Error::Trailing { stated, got } => write!(f, "model: ends at {stated}, but the file goes on to {got}"),
            Error::Magic => f.write_str("model: does not start with the mark of an Escarp model"),
            Error::Version { found, reads } => {
                let remedy = if found < reads { "convert the model again" } else { "a newer runtime is needed" };
                write!(f, "model: format version {found}, this runtime reads version {reads}: {remedy}")
            }
            Error::Checksum { stated, computed } => {
                write!(f, "model: damaged, checksum {computed:#010x} instead of {stated:#010x}")
            }
            Error::Extension { bit } => {
                write!(f, "model: needs extension {bit} of the format, unknown here: a newer runtime is needed")
            }
            Error::Reserved { at } => {
                write!(f, "model: byte {at} is not zero, and means nothing here: a newer runtime may know it")
            }
            Error::Section { field, start, end } => {
                write!(f, "model: section of {field} from {start} to {end} is out of place or unaligned")
            }
            Error::Header { field, stated, needed } => {
                write!(f, "model: header states {field} {stated}, the model needs {needed}")
            }
            Error::Port { field, index, reason } => write!(f, "{field} {index}: {reason}"),
            Error::Tensor { index, reason } => write!(f, "tensor {index}: {reason}"),
            Error::Step { index, reason } => write!(f, "step {index}: {reason}"),
            Error::Meta { at, reason } => write!(f, "metadata entry at {at}: {reason}"),
            Error::Arena { needed, got } => write!(f, "arena: {needed} bytes needed, {got} given"),
            Error::Input { index, needed, got } => write!(f, "input {index}: {needed} values needed, {got} given"),
            Error::Element { field, index, has, asked } => {
                write!(f, "{field} {index}: its values are {}, not {}", has.name(), asked.name())
            }
            Error::NoPort { field, count } => write!(f, "{field}: no such one, the model has {count}"),
            Error::Unset { index } => write!(f, "input {index}: has no values for this run"),
            Error::NoResult => f.write_str("output: no run since inputs or state were set"),
            Error::Several { inputs, outputs } => {
                write!(f, "model: {inputs} inputs and {outputs} outputs, which are set and read one by one")
            }
            Error::StateModel { model, saved } => {
                write!(f, "state: saved from model {saved:#010x}, this is model {model:#010x}")
            }
            Error::StateLength { needed, got } => write!(f, "state: {needed} bytes needed, {got} given"),
            Error::Kernel => f.write_str("kernel: the slices do not fit together"),
        }
    }
}

impl core::error::Error for Error {}

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
