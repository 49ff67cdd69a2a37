//! What can be wrong with a model, its samples or its files. Graph errors carry the node.

use std::{fmt, path::PathBuf};

use escarp_media::visible;

/// Lines that a list of findings shows.
const SHOWN: usize = 20;

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
    #[error("node `{node}`: operator {operator} is not supported{advice}; supported: {supported}")]
    Operator {
        /// Name of the node, or of its first output where it has none.
        node: String,
        /// ONNX operator type.
        operator: String,
        /// What avoids it, after a semicolon; empty for nothing.
        advice: String,
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
    /// Several of these at once.
    #[error("{0}")]
    Several(Several),
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
    /// The model needs more memory than it may.
    #[error("{0}")]
    Budget(String),
    /// The int8 network cannot be brought as near to the float network as was asked.
    #[error("{0}")]
    Target(String),
    /// With `strict`: something that would otherwise be a line in the report.
    #[error("strict: {0}")]
    Strict(String),
}

/// Everything that stands in a model's way. Shown, each finding is a line of text that a terminal may show.
#[derive(Debug)]
pub struct Several {
    /// Each once, in the order of the nodes.
    pub all: Vec<Finding>,
    /// The model's version of the operator set.
    pub opset: i64,
    /// The operators that are supported.
    pub supported: String,
    /// Tensors at which the graph could be cut before what was found; empty if there is no such place.
    pub cut: Vec<String>,
}

/// What was found, at one node or at several that are alike.
#[derive(Debug)]
pub struct Finding {
    /// At the first.
    pub error: Error,
    /// Names of some others.
    pub alike: Vec<String>,
    /// How many others there are.
    pub more: usize,
}

impl fmt::Display for Several {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: usize = self.all.iter().map(|finding| 1 + finding.more).sum();
        write!(f, "{count} reasons why it cannot be converted (opset {}):", self.opset)?;
        for Finding { error, alike, more } in self.all.iter().take(SHOWN) {
            match error {
                // The list of what is supported would be in every line.
                Error::Operator { node, operator, advice, .. } => {
                    let line = format!("node `{node}`: operator {operator} is not supported{advice}");
                    write!(f, "\n  {}", visible(line))?;
                }
                error => write!(f, "\n  {}", visible(error))?,
            }
            if *more > 0 {
                let names: Vec<String> = alike.iter().map(|name| format!("`{name}`")).collect();
                let rest = if *more > alike.len() { ", ..." } else { "" };
                write!(f, " (and {more} more: {}{rest})", visible(names.join(", ")))?;
            }
        }
        if self.all.len() > SHOWN {
            write!(f, "\n  and {} more", self.all.len() - SHOWN)?;
        }
        if self.all.iter().any(|finding| matches!(finding.error, Error::Operator { .. })) {
            write!(f, "\nsupported operators: {}", self.supported)?;
        }
        if !self.cut.is_empty() {
            write!(f, "\nwhat stands before all of this converts with --outputs \"{}\"", visible(self.cut.join(",")))?;
        }
        Ok(())
    }
}
