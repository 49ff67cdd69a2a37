//! What can go wrong on the board.

use escarp_media as media;

/// Every error names the file or the flag.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model file is not usable.
    #[error("{file}: {source}")]
    Model {
        /// The model file.
        file: String,
        /// What is wrong in it and where.
        source: escarp_runtime::Error,
    },
    /// The model is for [`escarp_runtime::Session::set_input`]: this program fills int8 inputs from files.
    #[error("a model with inputs {names}; this program reads files for inputs of int8")]
    Ports {
        /// Names and types.
        names: String,
    },
    /// Arguments that do not name a file for each input.
    #[error("{0}")]
    Arguments(String),
    /// Files that do not go together as the inputs of a model.
    #[error("{0}")]
    Files(String),
    /// The model's front end cannot feed its network.
    #[error("front end: {0}")]
    FrontEnd(media::Error),
    /// An input file; the error names it.
    #[error(transparent)]
    Input(#[from] media::Error),
    /// An instruction set that is not there.
    #[error("--isa {0}")]
    Isa(#[from] escarp_detect::Error),
    /// A run was refused by the runtime.
    #[error(transparent)]
    Runtime(#[from] escarp_runtime::Error),
    /// An input or output could not be reached.
    #[error(transparent)]
    Access(#[from] escarp_runtime::AccessError),
    /// A model that asks for more than the user allows.
    #[error("{file}: {what} {needed}; allowed: {allowed} ({flag} allows more)")]
    Limit {
        /// The model file.
        file: String,
        /// What it asks for, with the unit.
        what: &'static str,
        /// How much.
        needed: u64,
        /// How much there may be.
        allowed: u64,
        /// The flag that says so.
        flag: &'static str,
    },
    /// The board has less memory than the model needs.
    #[error("the model needs {needed} bytes of memory for its activations; the system does not give them")]
    Memory {
        /// Bytes.
        needed: usize,
    },
    /// The output could not be written.
    #[error("standard output: {0}")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// 2: the command line asks for what cannot be; 1: a file or a run failed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Isa(_) | Error::Arguments(_) => 2,
            _ => 1,
        }
    }
}
