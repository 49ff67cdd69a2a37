//! What can be wrong with a metadata entry.

use core::fmt;

/// Why a metadata entry was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetaError {
    /// It goes beyond the end of the section.
    Truncated,
    /// A tag below [`crate::meta::FOREIGN`] that means nothing here.
    Tag {
        /// The tag.
        tag: u16,
    },
    /// It is about an input or output that does not exist.
    Port {
        /// The number.
        port: u16,
    },
    /// Its tag was there before, for the same input or output.
    Twice {
        /// The tag.
        tag: u16,
    },
    /// Text that is not UTF-8.
    Utf8,
    /// Content of the wrong length, or bytes behind it that are not zero.
    Length,
    /// A front end that cannot be; `frontend::FrontEnd::parse` says why.
    FrontEnd,
    /// There are labels, but not one for each output.
    Labels {
        /// How many there are.
        found: u16,
    },
}

impl fmt::Display for MetaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            MetaError::Truncated => f.write_str("goes beyond the end of the metadata"),
            MetaError::Tag { tag } => write!(f, "tag {tag} is unknown here: a newer runtime is needed"),
            MetaError::Port { port } => write!(f, "is about input or output {port}, which does not exist"),
            MetaError::Twice { tag } => write!(f, "tag {tag} was there before"),
            MetaError::Utf8 => f.write_str("text is not UTF-8"),
            MetaError::Length => f.write_str("content of the wrong length, or bytes behind it that are not zero"),
            MetaError::FrontEnd => f.write_str("not a front end that this runtime has"),
            MetaError::Labels { found } => write!(f, "{found} labels, not one for each output"),
        }
    }
}

impl core::error::Error for MetaError {}
