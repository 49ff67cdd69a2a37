//! Relu and Clip.

use super::function::limited;
use crate::{
    epilogue::Limits,
    error::Error,
    importer::{Import, Importer},
    onnx::Node,
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[("Relu", Import::new(import_clamp)), ("Clip", Import::new(import_clamp))];

/// Relu, or Clip with constant limits (attributes before operator set 11).
fn import_clamp(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    let limits = if node.operator() == "Relu" {
        node.only(&[])?;
        Limits { min: 0.0, ..Limits::NONE }
    } else {
        node.only(&["min", "max"])?;
        let limit = |index: usize, name: &str, none: f32| -> Result<f32, Error> {
            if node.input(index).is_none() {
                return Ok(node.float(name)?.unwrap_or(none));
            }
            let constant = importer.constant(node, index)?.and_then(|c| c.floats()).filter(|a| a.len() == 1);
            let value = constant.and_then(|a| a.iter().copied().next());
            value.ok_or_else(|| node.unsupported(name, "(not constant)", "one constant"))
        };
        Limits { min: limit(1, "min", f32::NEG_INFINITY)?, max: limit(2, "max", f32::INFINITY)? }
    };
    if limits.min.is_nan() || limits.max.is_nan() || limits.min > limits.max {
        return Err(node.wrong(format!("limits {limits}")));
    }
    let x = importer.view(node, 0)?;
    let made = limited(importer, node, x, limits)?;
    importer.define(node, 0, made)
}
