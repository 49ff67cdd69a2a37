//! What can be wrong with a file, and where.

use std::path::Path;

/// An error in a file's content, in a listing, or from the system. [`Error::File`] puts the file's name (for a tar,
/// `archive.tar: member`) in front of the others.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Any other error, with the file it was found in.
    #[error("{file}: {source}")]
    File {
        /// Path, or `archive.tar: member`.
        file: String,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// The operating system said no.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A number in the file is beyond what this crate takes memory for.
    #[error("{what} is {value}; at most {max} is allowed")]
    Limit {
        /// The quantity.
        what: &'static str,
        /// What the file says.
        value: u64,
        /// The cap.
        max: u64,
    },
    /// Neither content nor name tells a format that is read here.
    #[error("unknown format: {0}")]
    Format(String),
    /// Not a JPEG that can be decoded.
    #[error("JPEG: {0}")]
    Jpeg(String),
    /// Not a PNG that can be decoded.
    #[error("PNG: {0}")]
    Png(#[from] png::DecodingError),
    /// The PNG library gave up in a way that it should not: a panic, caught by [`fence`](crate::fence()).
    #[error("PNG: the decoder cannot cope with it: {0}")]
    PngPanic(String),
    /// Not a WAV that can be decoded.
    #[error("WAV: {0}")]
    Wav(String),
    /// A line of a CSV file.
    #[error("CSV: line {line}: {reason}")]
    Csv {
        /// Counted from 1.
        line: usize,
        /// What is wrong there and what is allowed.
        reason: String,
    },
    /// Not a text.
    #[error("text: byte {byte}: {reason}")]
    Text {
        /// Counted from 0.
        byte: usize,
        /// What is wrong there and what is allowed.
        reason: &'static str,
    },
    /// Not an NPY array that can be read.
    #[error("NPY: {0}")]
    Npy(String),
    /// The content is sound, but not what the network takes.
    #[error("{0}")]
    Shape(String),
    /// Settings that a front end refuses.
    #[error(transparent)]
    FrontEnd(#[from] escarp_runtime::frontend::Error),
    /// A folder or archive that does not have one of the layouts of [`Folder`](crate::Folder).
    #[error("{0}")]
    Listing(String),
}

impl Error {
    /// Says in which file the error lies.
    #[must_use]
    pub fn in_file(self, file: impl std::fmt::Display) -> Error {
        Error::File { file: file.to_string(), source: Box::new(self) }
    }
}

/// Reads a whole file of at most `max` bytes.
///
/// # Errors
/// [`Error::Io`] and [`Error::Limit`], with the path.
pub fn read_file(path: &Path, max: u64) -> Result<Vec<u8>, Error> {
    use std::io::Read;
    let read = || -> Result<Vec<u8>, Error> {
        let file = std::fs::File::open(path)?;
        let mut bytes = Vec::new();
        // A pipe or a device has no length to ask for beforehand, so the cap is enforced while reading.
        file.take(max + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max {
            return Err(Error::Limit { what: "file length in bytes", value: bytes.len() as u64, max });
        }
        Ok(bytes)
    };
    read().map_err(|e| e.in_file(path.display()))
}
