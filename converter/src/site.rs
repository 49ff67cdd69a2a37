//! Where something is quantized: the node, and the scales around it.

use escarp_runtime::quant::{SHIFT_MIN, SHIFT_MIN_WIDE};

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
    /// Weights are to have two terms.
    pub fine: bool,
}

impl Site<'_> {
    /// Whether a tensor is int16.
    pub fn any_wide(&self) -> bool {
        self.output.is_wide() || self.inputs.iter().any(|s| s.is_wide())
    }

    /// The smallest shift of a plain epilogue.
    pub fn shift_min(&self) -> u8 {
        if self.output.is_wide() { SHIFT_MIN_WIDE } else { SHIFT_MIN }
    }

    /// The number for a value of the output where the record has eight bits for it.
    ///
    /// # Errors
    /// [`Error::Node`] for a larger one.
    pub fn fill(&self, value: f32) -> Result<i8, Error> {
        let number = self.output.number(value);
        i8::try_from(number).map_err(|_| self.wrong(format!("{value} in an int16 tensor, as {number}")))
    }

    /// "this node is wrong because".
    pub fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::Node { node: self.node.into(), operator: self.operator.into(), reason: reason.into() }
    }
}
