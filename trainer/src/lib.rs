//! Gradient-stable ResNet and GRU training on the CPU, exported as ONNX.
//!
//! The rooms of this crate, from the top floor down. A room imports from lower floors only, those of one floor not from each
//! other; a test (`tests/tests/rooms.rs`) reads this table and holds every file to it.
//!
//! | room | what stands there |
//! |---|---|
//! | [`cli`] | the command line: flags to requests |
//! | [`study`] | experiments on vanishing and exploding gradients, with their tables and pages |
//! | [`app`] | from settings to a finished run: prepares data, fits, judges, repairs; `doctor` as a command |
//! | [`fit`] | the training loop: steps, time budget, validation, int8 arithmetic in training |
//! | [`config`] | all that a run is told, what it may be told, and what of it the doctor may know |
//! | [`doctor`] | the health of gradients: observations, verdicts, prescriptions, the report |
//! | [`data`] | labelled samples: files decoded, split, varied; the generated data |
//! | [`run`] | what a run leaves behind and shows: its folder, checkpoints, events, progress |
//! | [`error`] | why a run ends, and with which exit code |
//! | [`nets`] | a list of layers as a net: forward, loss, backward, files, presets, ONNX |
//! | [`layers`], [`optim`] | forward and backward of each layer, initial weights, ONNX nodes; optimizers, clipping, penalties, schedules |
//! | [`engine`] | what all compute with: scalars, matrices, parameters, random numbers, the wish to stop |

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
