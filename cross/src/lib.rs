//! The board program as a library: a model with its front end at work on files.
//!
//! ```text
//! model file --Model::parse--> Model --Runner::new--> Runner --decide(files)--> Decision
//! ```
//!
//! Everything allocates here, around the session; `Session::run` itself does not.
//!
//! The rooms, from the top floor down; each imports from lower rows only, and not from its own:
//!
//! | room | what stands there |
//! |---|---|
//! | `main` | the program: arguments, what is printed, exit codes |
//! | `bench`, `info` | how long a model takes, for each kind of step; what is in its file |
//! | [`inputs`], [`limits`], `runner` | which files go together; what a model may ask of this machine; from a file's bytes to a decision |
//! | `error` | what can go wrong on the board |
#![warn(missing_docs)]

pub mod bench;
mod error;
pub mod info;
pub mod inputs;
pub mod limits;
mod runner;

pub use error::Error;
pub use limits::Limits;
pub use runner::{Decision, Given, Runner, read_input, read_model};
