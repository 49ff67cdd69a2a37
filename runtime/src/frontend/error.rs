//! What a front end can refuse.

use core::fmt;

/// Why settings or data do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A slice is not as long as it must be (bytes of a meta entry, elements of an input or output).
    Length {
        /// What it must be.
        needed: usize,
        /// What it is.
        got: usize,
    },
    /// A meta entry of a kind this version does not know.
    Kind {
        /// Its first byte; 0 to 3 are known.
        found: u8,
    },
    /// A field outside its range.
    Field {
        /// The field.
        name: &'static str,
        /// Which element of it, 0 if it is one value.
        index: usize,
        /// The range.
        allowed: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Length { needed, got } => write!(f, "front end: length {needed} needed, {got} given"),
            Error::Kind { found } => write!(f, "front end: kind {found} is unknown; 0 to 3 are supported"),
            Error::Field { name, index: 0, allowed } => write!(f, "front end: {name} must be {allowed}"),
            Error::Field { name, index, allowed } => write!(f, "front end: {name}[{index}] must be {allowed}"),
        }
    }
}

impl core::error::Error for Error {}

/// `Ok` if `condition`, else [`Error::Field`] for a field of one value.
pub(super) fn require(condition: bool, name: &'static str, allowed: &'static str) -> Result<(), Error> {
    if condition { Ok(()) } else { Err(Error::Field { name, index: 0, allowed }) }
}
