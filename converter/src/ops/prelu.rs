//! PRelu: `x` above 0, `slope[c] * x` below. With slopes up to 1 that is the larger of `x` and `slope[c] * x`, with slopes from 1 on
//! the smaller one.

use escarp_runtime::kernels::Combine;

use super::{
    add::combined,
    affine::scaled,
    function::{Function, applied, limited},
};
use crate::{
    epilogue::Limits,
    error::Error,
    importer::{Hint, Import, Importer},
    onnx::Node,
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[("PRelu", Import::new(import).hint(|_| Hint::Through).remark("constant slopes"))];

fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&[])?;
    let x = importer.view(node, 0)?;
    let slopes = importer.weights(node, 1)?;
    let lengths = x.lengths();
    if slopes.broadcast(&lengths[..]).is_none() {
        let shapes = format!("of {:?} for {lengths:?}", slopes.shape());
        return Err(node.unsupported("slope", shapes, "a shape that broadcasts to the input's"));
    }
    let slope = slopes.iter().copied().next().unwrap_or_default();
    let made = if slopes.iter().all(|&s| s == slope) {
        applied(importer, node, x, Function::LeakyRelu { alpha: slope })?
    } else {
        let combine = match slopes.iter().all(|&s| s <= 1.0) {
            true => Some(Combine::Maximum),
            false => slopes.iter().all(|&s| s >= 1.0).then_some(Combine::Minimum),
        };
        match combine {
            Some(combine) => {
                let below = scaled(importer, node, x.clone(), 1)?;
                combined(importer, node, [x, below], combine)?
            }
            None => {
                let above = limited(importer, node, x.clone(), Limits { min: 0.0, ..Limits::NONE })?;
                let below = limited(importer, node, x, Limits { max: 0.0, ..Limits::NONE })?;
                let below = scaled(importer, node, below, 1)?;
                combined(importer, node, [above, below], Combine::Sum)?
            }
        }
    };
    importer.define(node, 0, made)
}
