//! Relu and Clip, and the Softmax or Sigmoid at the end that is taken off.

use crate::{axes, error::Error, graph::OutputKind, import::Importer, onnx::Node, ops::Op};

/// `y = clamp(x, min, max)`.
#[derive(Clone, Copy, Debug)]
pub struct Clamp {
    /// Lower limit.
    pub min: f32,
    /// Upper limit.
    pub max: f32,
}

impl Clamp {
    /// f32.
    pub fn eval(&self, x: &[f32], out: &mut [f32]) {
        for (y, x) in out.iter_mut().zip(x) {
            *y = x.clamp(self.min, self.max);
        }
    }
}

/// Relu, or Clip with constant limits (attributes before operator set 11).
pub fn import_clamp(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    let clamp = if node.operator() == "Relu" {
        node.only(&[])?;
        Clamp { min: 0.0, max: f32::INFINITY }
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
        Clamp { min: limit(1, "min", f32::NEG_INFINITY)?, max: limit(2, "max", f32::INFINITY)? }
    };
    if clamp.min.is_nan() || clamp.max.is_nan() || clamp.min > clamp.max {
        return Err(node.wrong(format!("limits {}..{}", clamp.min, clamp.max)));
    }
    let x = importer.view(node, 0)?;
    let id = importer.emit(node, Op::Clamp(clamp), vec![x.tensor], x.shape)?;
    importer.define(node, 0, x.on(id))
}

/// Softmax over the classes or Sigmoid: only as the last thing, where it does not change the order of the scores.
pub fn import_final(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    let x = importer.view(node, 0)?;
    let kind = if node.operator() == "Sigmoid" {
        node.only(&[])?;
        OutputKind::Sigmoid
    } else {
        node.only(&["axis"])?;
        let rank = x.dims.len();
        // Before operator set 13 the axis starts a flattened tail; with all classes in the last dimension both mean the same.
        let default = if node.opset < 13 { 1 } else { -1 };
        let axis = axes::axis(node, "axis", node.int("axis")?.unwrap_or(default), rank)?;
        let alone = x.dims.iter().enumerate().all(|(i, d)| i == axis || d.length == 1);
        if !alone {
            return Err(node.unsupported("axis", axis, "the classes, all other dimensions being 1"));
        }
        OutputKind::Softmax
    };
    if x.has_time() {
        return Err(node.unsupported("input", format!("{:?}", x.lengths()), "the last time step"));
    }
    importer.finish(node, kind)?;
    importer.define(node, 0, x)
}
