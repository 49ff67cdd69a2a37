//! What can go wrong in a task, and the exit code it has.

use std::path::PathBuf;

/// Every error names the thing to change.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A board profile that does not parse or says something impossible.
    #[error("{file}: {reason}")]
    Board {
        /// The profile.
        file: PathBuf,
        /// Key, value and what is allowed.
        reason: String,
    },
    /// A board, CPU or toolchain nobody knows.
    #[error("{what} `{given}` is unknown; there are: {allowed}")]
    Unknown {
        /// The noun.
        what: &'static str,
        /// What was asked for.
        given: String,
        /// What could have been.
        allowed: String,
    },
    /// The machine lacks something.
    #[error("missing: {what}\n  {remedy}")]
    Missing {
        /// What is not there.
        what: String,
        /// The command that brings it.
        remedy: String,
    },
    /// A program we started failed; its log's tail has been shown.
    #[error("{title} failed ({status}); the whole log: {log}")]
    Step {
        /// What was being done.
        title: String,
        /// Exit code or signal.
        status: String,
        /// Where all of its output is.
        log: PathBuf,
    },
    /// The same of a program that spoke on our terminal.
    #[error("{title} failed ({status}); what it said stands above")]
    Shown {
        /// What was being done.
        title: String,
        /// Exit code or signal.
        status: String,
    },
    /// A program could not be started.
    #[error("cannot start `{program}`: {source}")]
    Start {
        /// Its name.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file could not be read or written.
    #[error("{file}: {source}")]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Fuzzing found inputs that break something.
    #[error("{0}")]
    Finds(String),
    /// A rule of the house is broken.
    #[error("{0}")]
    Rule(String),
}

impl Error {
    /// 2: the request is at fault; 1: the run failed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Unknown { .. } | Error::Board { .. } => 2,
            _ => 1,
        }
    }
}

/// `map_err` for a file operation.
pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
    let file = path.into();
    move |source| Error::File { file, source }
}
