//! Inputs and outputs by place or by name.

use core::fmt::{self, Write};

use crate::{
    error::{Error, Field},
    format::{Tensor, number},
    model::Ports,
};

/// Which input or output: its place or its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'k> {
    /// The first is 0.
    At(usize),
    /// As the model names it.
    Named(&'k str),
}

impl From<usize> for Key<'_> {
    fn from(at: usize) -> Self {
        Key::At(at)
    }
}

impl<'k> From<&'k str> for Key<'k> {
    fn from(name: &'k str) -> Self {
        Key::Named(name)
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::At(at) => write!(f, "number {at}"),
            Key::Named(name) => write!(f, "`{name}`"),
        }
    }
}

/// Why an input was not set or an output not read. It stands for itself: neither file nor session is borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessError {
    /// The model has no such one.
    Unknown {
        /// Which of the two.
        field: Field,
        /// How many there are.
        count: u16,
        /// What was asked for.
        asked: Text<31>,
        /// The names that there are.
        names: Text<79>,
    },
    /// It does not go with the values, or the moment.
    Error(Error),
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccessError::Unknown { field, asked, names, .. } => write!(f, "no {field} {asked}; there are: {names}"),
            AccessError::Error(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for AccessError {}

impl From<Error> for AccessError {
    fn from(error: Error) -> Self {
        AccessError::Error(error)
    }
}

/// A text in an error, cut after at most `N` bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: u8,
    cut: bool,
}

impl<const N: usize> Text<N> {
    fn of(text: impl fmt::Display) -> Text<N> {
        let mut cut = Text { bytes: [0; N], len: 0, cut: false };
        // It never fails: what does not fit is left out.
        let _ = write!(cut, "{text}");
        cut
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let (start, mut utf8) = (self.len as usize, [0; 4]);
            let utf8 = character.encode_utf8(&mut utf8).as_bytes();
            let target = self.bytes.get_mut(start..start + utf8.len()).filter(|_| !self.cut);
            let Some(target) = target else {
                self.cut = true;
                return Ok(());
            };
            target.iter_mut().zip(utf8).for_each(|(target, &byte)| *target = byte);
            self.len = u8::try_from(start + utf8.len()).unwrap_or(self.len);
        }
        Ok(())
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes.get(..self.len as usize).unwrap_or_default();
        f.write_str(core::str::from_utf8(bytes).unwrap_or_default())?;
        if self.cut { f.write_str("...") } else { Ok(()) }
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// For functions that know the runtime's errors only; the names are lost.
impl From<AccessError> for Error {
    fn from(error: AccessError) -> Error {
        match error {
            AccessError::Unknown { field, count, .. } => Error::NoPort { field, count },
            AccessError::Error(error) => error,
        }
    }
}

/// The port with its place.
pub(super) fn find(ports: Ports, asked: Key) -> Result<(usize, Tensor), AccessError> {
    let at = match asked {
        Key::At(at) => Some(at),
        Key::Named(name) => ports.number_of(name),
    };
    let found = at.and_then(|at| Some((at, ports.tensor(at)?)));
    found.ok_or_else(|| AccessError::Unknown {
        field: ports.field,
        count: number(ports.len()),
        asked: Text::of(asked),
        names: Text::of(&ports),
    })
}
