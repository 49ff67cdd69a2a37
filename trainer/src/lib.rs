//! Gradient-stable ResNet and GRU training on the CPU, exported as ONNX.
pub mod checkpoint;
pub mod data;
pub mod error;
pub mod events;
pub mod files;
pub mod generate;
pub mod plan;
pub mod progress;
pub mod run_folder;
