//! The board program as a library: a model with its front end at work on files.
//!
//! ```text
//! model file --Model::parse--> Model --Runner::new--> Runner --decide(file)--> Decision
//! ```
//!
//! Everything allocates here, around the session; `Session::run` itself does not.
#![warn(missing_docs)]

pub mod bench;
mod error;
pub mod info;
pub mod limits;
mod runner;

pub use error::Error;
pub use limits::Limits;
pub use runner::{Decision, Runner, read_input, read_model};
