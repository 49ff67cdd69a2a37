//! ONNX to one int8 file.
//!
//! ```text
//! ONNX -> Graph -> fold -> Graph -> quantize(samples) -> QGraph -> plan -> Plan -> pack -> Vec<u8>
//! ```

// What a cast loses, a model file would say wrongly: each is checked, or says why it may.
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers of our own"))]

mod axes;
mod blocks;
mod budget;
pub mod calibrate;
mod constant;
mod convert;
pub mod doubt;
mod epilogue;
mod error;
pub mod eval;
pub mod files;
mod fold;
pub mod front_end;
pub mod graph;
mod import;
mod importer;
pub mod measure;
pub mod metadata;
mod onnx;
mod ops;
mod oracle;
pub mod output;
pub mod pack;
pub mod plan;
pub mod qgraph;
pub mod quantize;
pub mod ranges;
pub mod report;
mod rows;
pub mod samples;
pub mod scale;
mod shape;
mod site;
mod view;
mod wire;

pub use convert::{Converted, Options, convert, read};
pub use error::Error;
pub use ops::names as operators;
pub use oracle::{FloatRunner, float_runner};
pub use samples::Samples;
