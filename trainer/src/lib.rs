//! Gradient-stable ResNet and GRU training on the CPU, exported as ONNX.
pub mod app;
pub mod cli;
pub mod config;
pub mod data;
pub mod doctor;
pub mod engine;
pub mod error;
pub mod fit;
pub mod layers;
pub mod nets;
pub mod optim;
pub mod run;
pub mod study;
