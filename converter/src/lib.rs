//! ONNX to one int8 file.
//!
//! ```text
//! ONNX -> Graph -> fold -> Graph -> quantize(samples) -> QGraph -> plan -> Plan -> pack -> Vec<u8>
//! ```

// What a cast loses, a model file would say wrongly: each is checked, or says why it may.
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers of our own"))]

mod axes;
pub mod budget;
pub mod calibrate;
pub mod constant;
pub mod convert;
pub mod doubt;
pub mod error;
pub mod eval;
pub mod files;
pub mod fold;
pub mod front_end;
pub mod graph;
pub mod import;
pub mod measure;
pub mod metadata;
pub mod onnx;
pub mod ops;
pub mod oracle;
pub mod output;
pub mod pack;
pub mod plan;
pub mod qgraph;
pub mod quantize;
pub mod ranges;
pub mod report;
pub mod samples;
pub mod scale;
mod shape;
pub mod view;
mod wire;

pub use convert::{Converted, Options, convert, read};
pub use error::Error;
pub use oracle::float_runner;
pub use samples::Samples;
