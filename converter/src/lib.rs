//! ONNX to one int8 file.
//!
//! ```text
//! ONNX -> Graph -> fold, compose -> Graph -> quantize(samples) -> QGraph -> plan -> Plan -> pack -> Vec<u8>
//! ```
//!
//! [`convert()`] is the whole chain; each arrow is also a function of its own. The rooms, from the top floor down; each imports
//! from lower rows only:
//!
//! | room | what stands there |
//! |---|---|
//! | `main` | the program |
//! | `command` | its command lines: arguments, progress, exit codes |
//! | `compare`, `report` | two files side by side; what a conversion says about itself: terminal, HTML, JSON |
//! | `page` | what pages and charts share, the trainer's too |
//! | `convert` | the whole chain in one call |
//! | `doubt` | answers that no trained network would give to its own kind of samples |
//! | `check` | a packed file beside the network that it is said to be of |
//! | `wide` | which activations get 16 bits |
//! | `measure` | what a conversion cost, by running the file beside the float network |
//! | `fit` | ways to choose ranges, to round and to bring channels together, tried and judged |
//! | `refine` | weights and biases that lessen what int8 costs |
//! | `equalize`, `quantize`, `ranges` | channels brought together; `Graph` to `QGraph`; what training and samples say of ranges |
//! | `calibrate` | which range of values each tensor gets, from samples |
//! | `oracle` | what the network computes in f32: tract's reading of the file, held against ours |
//! | `eval` | what the network computes in f32: ours |
//! | `pack` | `Plan` to bytes |
//! | `export` | the quantized network as ONNX again |
//! | `plan` | `QGraph` to `Plan`: where everything lies, and the steps |
//! | `compose`, `import` | functions of one tensor become one; ONNX to `Graph`: the pass over the nodes, and what the input is |
//! | `ops` | the operators, one file each; no other room knows one by name |
//! | `widths` | which tensors are int16 together |
//! | `files`, `fold`, `importer` | samples from files; what needs no step of its own; what operators read their nodes with |
//! | `graph` | the float network, and what every operator is: `Op` |
//! | `qgraph` | the network in integers, and what every operator is then: `QOp` |
//! | `exporter` | what operators write ONNX nodes with |
//! | `rows` | rows of int8 weights: made, proved, packed |
//! | `blocks`, `site` | the constants section; where something is quantized |
//! | `axes`, `substitute`, `view` | axes as operators give them; what the float oracle computes in place of a node; how ONNX sees a tensor of ours |
//! | `onnx` | nodes that answer questions and complain by name |
//! | `external`, `part` | files beside the model; which part of it is read |
//! | `constant`, `front_end`, `samples`, `wire` | constants; the front end's settings; where samples come from; what decoding takes |
//! | `product` | products of matrices, the same on every machine |
//! | `epilogue` | what follows in the same step |
//! | `scale` | from real numbers to int8 and fixed-point factors |
//! | `budget`, `error`, `history`, `metadata`, `output`, `proto`, `shape` | memory of an import; what goes wrong; what became of the file's nodes; what the trainer says beside a network; files that are written whole; messages of ONNX; shapes |

// What a cast loses, a model file would say wrongly: each is checked, or says why it may.
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers of our own"))]

mod axes;
mod blocks;
mod budget;
pub mod calibrate;
pub mod check;
pub mod command;
pub mod compare;
mod compose;
mod constant;
mod convert;
pub mod doubt;
mod epilogue;
mod equalize;
mod error;
pub mod eval;
pub mod export;
mod exporter;
mod external;
pub mod files;
mod fit;
mod fold;
pub mod front_end;
pub mod graph;
pub mod history;
mod import;
mod importer;
pub mod measure;
pub mod metadata;
mod onnx;
mod ops;
mod oracle;
pub mod output;
pub mod pack;
pub mod page;
pub mod part;
pub mod plan;
mod product;
pub mod proto;
pub mod qgraph;
pub mod quantize;
pub mod ranges;
pub mod refine;
pub mod report;
mod rows;
pub mod samples;
pub mod scale;
mod shape;
mod site;
mod substitute;
mod view;
pub mod wide;
mod widths;
mod wire;

pub use constant::Constant;
pub use convert::{Converted, Options, convert, read};
pub use error::{Error, Finding, Several};
pub use ops::names as operators;
pub use oracle::{FloatRunner, float_runner};
pub use samples::Samples;
pub use widths::Wide;
