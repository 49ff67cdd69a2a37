//! Pow: by one constant it is a function of each value; else `exp(exponent * log(base))`, for bases above 0.

use ndarray::ArrayD;

use super::{
    affine::scaled_by,
    function::{Function, applied},
    mul::product,
};
use crate::{
    constant::Constant,
    error::Error,
    importer::{Hint, Import, Importer},
    onnx::Node,
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[("Pow", Import::new(import).hint(|_| Hint::Through))];

fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&[])?;
    let numbers = |index: usize| -> Result<Option<ArrayD<f32>>, Error> {
        Ok(importer.constant(node, index)?.map(|constant| match constant {
            Constant::Float(a) => a.clone(),
            Constant::Int(a) => a.mapv(|v| v as f32),
        }))
    };
    let [base, exponent] = [numbers(0)?, numbers(1)?];
    if let Some(v) = exponent.iter().flatten().find(|v| !v.is_finite()) {
        return Err(node.unsupported("exponent", v, "finite numbers"));
    }
    let alone = exponent.iter().filter(|e| e.len() == 1).flatten().next().copied();
    let made = match (base, exponent, alone) {
        (None, _, Some(exponent)) => {
            let x = importer.view(node, 0)?;
            applied(importer, node, x, Function::Pow { exponent })?
        }
        (Some(base), _, _) => {
            if let Some(v) = base.iter().find(|v| !(v.is_finite() && **v > 0.0)) {
                return Err(node.unsupported("base", v, "a tensor, or constants above 0"));
            }
            let x = importer.view(node, 1)?;
            let power = scaled_by(importer, node, x, &base.mapv(libm::logf))?;
            applied(importer, node, power, Function::Exp)?
        }
        (None, exponent, None) => {
            let x = importer.view(node, 0)?;
            let log = applied(importer, node, x, Function::Log)?;
            let power = match exponent {
                Some(exponent) => scaled_by(importer, node, log, &exponent)?,
                None => {
                    let exponent = importer.view(node, 1)?;
                    product(importer, node, [log, exponent])?
                }
            };
            applied(importer, node, power, Function::Exp)?
        }
    };
    importer.define(node, 0, made)
}
