//! ONNX to one int8 file.
//!
//! ```text
//! ONNX -> Graph -> fold -> Graph -> quantize(samples) -> QGraph -> plan -> Plan -> pack -> Vec<u8>
//! ```

pub mod constant;
pub mod error;
pub mod eval;
pub mod fold;
pub mod graph;
pub mod import;
pub mod metadata;
pub mod onnx;
pub mod ops;
pub mod oracle;
pub mod view;

pub use error::Error;
