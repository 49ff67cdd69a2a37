//! Where something is quantized: the node, and the scales around it.

use crate::{error::Error, scale::Scale};

/// A node that is quantized.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Its ONNX name.
    pub node: &'a str,
    /// The ONNX operators it stands for.
    pub operator: &'a str,
    /// Scales of its inputs, one for each.
    pub inputs: &'a [Scale],
    /// Scale of its output.
    pub output: Scale,
}

impl Site<'_> {
    /// "this node is wrong because".
    pub fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::Node { node: self.node.into(), operator: self.operator.into(), reason: reason.into() }
    }
}
