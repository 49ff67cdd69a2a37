//! Add of two tensors of the same shape: `y = clamp(a + b)`.

use crate::{error::Error, import::Importer, onnx::Node, ops::Op};

/// Limits after the sum.
#[derive(Clone, Copy, Debug)]
pub struct Add {
    /// Lower limit.
    pub min: f32,
    /// Upper limit.
    pub max: f32,
}

impl Add {
    /// f32.
    pub fn eval(&self, a: &[f32], b: &[f32], out: &mut [f32]) {
        for ((y, a), b) in out.iter_mut().zip(a).zip(b) {
            *y = (a + b).clamp(self.min, self.max);
        }
    }
}

/// Reads an Add of two tensors; with a constant it is an [`super::affine::Affine`].
pub fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&[])?;
    for (tensor, constant) in [(0, 1), (1, 0)] {
        if let Some(c) = importer.constant(node, constant)?.cloned() {
            let x = importer.view(node, tensor)?;
            return super::affine::import_with_constant(importer, node, &x, &c);
        }
    }
    if node.operator() != "Add" {
        return Err(node.unsupported("operands", "two tensors", "a tensor and a constant"));
    }
    let (a, b) = (importer.view(node, 0)?, importer.view(node, 1)?);
    if a.shape != b.shape || a.dims != b.dims {
        let shapes = format!("{:?} and {:?}", a.lengths(), b.lengths());
        return Err(node.unsupported("operands", shapes, "equal shapes"));
    }
    let add = Add { min: f32::NEG_INFINITY, max: f32::INFINITY };
    let id = importer.emit(node, Op::Add(add), vec![a.tensor, b.tensor], a.shape)?;
    importer.define(node, 0, a.on(id))
}
