//! What can be wrong with a model, its samples or its files. Graph errors carry the node.

use std::path::PathBuf;

/// Why a conversion stopped. Nothing has been written when one is returned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are not an ONNX model that can be read at all.
    #[error("ONNX: {0}")]
    Onnx(String),
    /// An operator outside the set.
    #[error("node `{node}`: operator {operator} is not supported; supported: {supported}")]
    Operator {
        /// Name of the node, or of its first output where it has none.
        node: String,
        /// ONNX operator type.
        operator: String,
        /// The operators that are.
        supported: String,
    },
    /// An attribute, or a form of an operator, outside the set.
    #[error("node `{node}` ({operator}): {attribute} = {value}; supported: {supported}")]
    Attribute {
        /// Name of the node.
        node: String,
        /// ONNX operator type.
        operator: String,
        /// The attribute, or what stands for one.
        attribute: String,
        /// What the model has.
        value: String,
        /// What would do.
        supported: String,
    },
    /// Inputs of a node that contradict each other or the operator.
    #[error("node `{node}` ({operator}): {reason}")]
    Node {
        /// Name of the node.
        node: String,
        /// ONNX operator type.
        operator: String,
        /// What is wrong.
        reason: String,
    },
    /// The model's inputs and outputs are not of a supported form.
    #[error("model: {0}")]
    Model(String),
    /// The sums of a channel could leave i32.
    #[error(
        "node `{node}`: channel {channel} cannot be proved to stay inside the accumulator: \
         sum|w| * 128 + |bias| = {bound}, allowed: less than 2147483648"
    )]
    Overflow {
        /// Name of the node.
        node: String,
        /// Output channel.
        channel: usize,
        /// The bound found.
        bound: i64,
    },
    /// Samples that do not fit the model, or none.
    #[error("samples: {0}")]
    Samples(String),
    /// Labels that do not fit the model or the samples.
    #[error("labels: {0}")]
    Labels(String),
    /// The float oracle (tract) failed on the original graph.
    #[error("float run: {0}")]
    Oracle(String),
    /// The file cannot hold the model.
    #[error("pack: {0}")]
    Pack(String),
    /// With `strict`: something that would otherwise be a line in the report.
    #[error("strict: {0}")]
    Strict(String),
}
