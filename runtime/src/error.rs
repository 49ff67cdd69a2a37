//! What can be wrong, located.

use core::fmt;

/// Why a model was refused or a call could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A kernel was called with slices that do not fit together. [`crate::Session`] never does that.
    Kernel,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Kernel => f.write_str("kernel: the slices do not fit together"),
        }
    }
}

impl core::error::Error for Error {}
