//! ONNX to one int8 file.

pub mod metadata;
