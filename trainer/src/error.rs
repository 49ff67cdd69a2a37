//! What can go wrong in a training run, and which exit code it means.

use std::path::PathBuf;

use thiserror::Error;

/// A run that cannot start or cannot go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A flag, or a combination of flags, that makes no sense.
    #[error("{flag}: {reason}")]
    Usage {
        /// The flag as the user types it.
        flag: &'static str,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// The output folder already holds something.
    #[error("{folder} already exists: continue it with --resume {folder}, or name another folder with --out", folder = .0.display())]
    RunExists(PathBuf),
    /// The folder named by `--resume` is no run of ours.
    #[error("{}: {reason}", folder.display())]
    NoRun {
        /// The folder.
        folder: PathBuf,
        /// What is missing or does not fit.
        reason: String,
    },
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Data that cannot be trained on.
    #[error("{data}: {reason}")]
    Data {
        /// The folder, tar or file, with member and line where there is one.
        data: String,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// A file, folder or tar whose content is not what it should be.
    #[error(transparent)]
    Media(#[from] escarp_media::Error),
    /// A checkpoint, or a net to start from, that is damaged or belongs to something else.
    #[error("{}: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The loss or the gradient left the finite numbers.
    #[error(
        "training diverged at epoch {epoch}, step {step}: loss {loss:.4e}, gradient norm {norm:.4e}{place}; \
         try a lower --lr (now {rate}){clip}; last.ckpt holds the state before this epoch{cures}"
    )]
    Diverged {
        /// Counted from 1.
        epoch: u32,
        /// Steps done before this one.
        step: u64,
        /// Mean loss of the batch.
        loss: f64,
        /// Norm of all gradients together.
        norm: f64,
        /// The first parameter whose gradient is not finite, as `, first in NAME`, or nothing.
        place: String,
        /// The highest learning rate.
        rate: f32,
        /// That clipping is an option too, or nothing.
        clip: &'static str,
        /// What the doctor prescribes, each on a line of its own.
        cures: String,
    },
    /// A run that has come to its end and learned nothing.
    #[error(
        "the network is of no use: {what}; model.onnx holds it all the same, and the run folder what there is to see"
    )]
    Useless {
        /// What was measured, since when, and what to try.
        what: String,
    },
    /// A run that no repair has helped.
    #[error("{illness}: {evidence}; {repairs} repairs were made, and {end}{cures}")]
    Incurable {
        /// Why there is no other.
        end: &'static str,
        /// What is wrong.
        illness: &'static str,
        /// What was seen.
        evidence: String,
        /// How many repairs there were.
        repairs: usize,
        /// What a person may do, each on a line of its own.
        cures: String,
    },
    /// Threads or signals that the system does not grant.
    #[error("cannot start: {reason}")]
    Start {
        /// What the system says.
        reason: String,
    },
    /// A network that cannot be built or fed.
    #[error(transparent)]
    Net(#[from] crate::nets::NetError),
    /// A network's file that cannot be read.
    #[error(transparent)]
    NetFile(#[from] crate::nets::NetFileError),
    /// The network could not be written as ONNX.
    #[error("model.onnx: {0}")]
    Export(#[from] crate::layers::onnx::ExportError),
}

impl TrainError {
    /// 2 for wrong usage, which a net that cannot be built is too; 1 for a run that failed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::RunExists(_) | Self::NoRun { .. } | Self::NetFile(_) => 2,
            Self::Net(error) if error.is_of_the_net() => 2,
            _ => 1,
        }
    }

    /// An I/O error with the file it happened to.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// Data that cannot be used.
    pub fn data(data: impl ToString, reason: impl Into<String>) -> Self {
        Self::Data { data: data.to_string(), reason: reason.into() }
    }
}
