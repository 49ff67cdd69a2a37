//! Inputs and outputs by place or by name.

use core::fmt;

use crate::{
    error::Error,
    format::number,
    model::{Port, Ports},
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

/// Why an input was not set or an output not read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AccessError<'m> {
    /// The model has no such one.
    Unknown {
        /// What was asked for.
        asked: Key<'m>,
        /// What there is.
        ports: Ports<'m>,
    },
    /// It does not go with the values, or the moment.
    Error(Error),
}

impl fmt::Display for AccessError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccessError::Unknown { asked, ports } => write!(f, "no {} {asked}; there are: {ports}", ports.field),
            AccessError::Error(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for AccessError<'_> {}

impl From<Error> for AccessError<'_> {
    fn from(error: Error) -> Self {
        AccessError::Error(error)
    }
}

/// For functions whose errors outlive the model.
impl From<AccessError<'_>> for Error {
    fn from(error: AccessError<'_>) -> Error {
        match error {
            AccessError::Unknown { ports, .. } => Error::NoPort { field: ports.field, count: number(ports.len()) },
            AccessError::Error(error) => error,
        }
    }
}

/// The port with its place.
pub(super) fn find<'k, 'm: 'k>(ports: Ports<'m>, asked: Key<'k>) -> Result<(usize, Port<'m>), AccessError<'k>> {
    let at = match asked {
        Key::At(at) => Some(at),
        Key::Named(name) => ports.number_of(name),
    };
    let found = at.and_then(|at| Some((at, ports.at(at)?)));
    found.ok_or(AccessError::Unknown { asked, ports })
}
