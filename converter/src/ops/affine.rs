//! `y = scale[c] * x + shift[c]`: BatchNormalization, and sums and products with constants.

use super::{arrange::whole, depthwise::Depthwise, window::Geometry};
use crate::{
    constant::Constant,
    epilogue::Limits,
    error::Error,
    importer::{Hint, Import, Importer},
    onnx::Node,
    scale::narrow,
    view::{Axis, View},
};

/// What is read here; sums and products with constants come from their own operators.
pub const ONNX: &[(&str, Import)] = &[("BatchNormalization", Import::new(import_norm).hint(|_| Hint::ChannelsFirst))];

/// BatchNormalization in inference: `(x - mean) / sqrt(var + epsilon) * gamma + beta`, channels in dimension 1.
fn import_norm(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["epsilon", "momentum", "training_mode", "spatial", "is_test"])?;
    if node.int("training_mode")?.unwrap_or(0) != 0 {
        return Err(node.unsupported("training_mode", 1, "0"));
    }
    if node.int("spatial")?.unwrap_or(1) != 1 {
        return Err(node.unsupported("spatial", 0, "1"));
    }
    if let Some(extra) = node.outputs().iter().skip(1).find(|o| !o.is_empty()) {
        return Err(node.unsupported("outputs", extra, "one output (inference)"));
    }
    let x = importer.view(node, 0)?;
    let x = whole(importer, node, x)?;
    if x.dims.get(1) != Some(&x.along(&[Axis::Channel])) {
        return Err(node.unsupported("input", format!("{:?}", x.lengths()), "channels in dimension 1"));
    }
    let channels = x.shape[2];
    let [gamma, beta, mean, var] = [1, 2, 3, 4].map(|i| importer.vector(node, i, channels));
    let (gamma, beta, mean, var) = (gamma?, beta?, mean?, var?);
    let epsilon = f64::from(node.float("epsilon")?.unwrap_or(1e-5));
    let (mut scales, mut shifts) = (vec![], vec![]);
    for c in 0..channels {
        let deviation = (f64::from(var[c]) + epsilon).sqrt();
        if !(deviation > 0.0 && deviation.is_finite()) {
            return Err(node.wrong(format!("channel {c}: variance {} with epsilon {epsilon}", var[c])));
        }
        let scale = f64::from(gamma[c]) / deviation;
        scales.push(narrow(scale));
        shifts.push(narrow(f64::from(beta[c]) - f64::from(mean[c]) * scale));
    }
    emit(importer, node, &x, scales, shifts)
}

/// What arithmetic of a tensor `x` and constants `c` is: scales and shifts, told the constants of all channels and whether they
/// stand first; `None` for what is no scale and shift.
pub type Meant = fn(c: Vec<f32>, first: bool) -> Option<(Vec<f32>, Vec<f32>)>;

/// Reads arithmetic of a tensor and a constant, one value for each channel or one for all; `false` if neither operand is
/// constant.
pub fn import_with_constant(importer: &mut Importer, node: &Node, meant: Meant) -> Result<bool, Error> {
    let first = importer.constant(node, 0)?.is_some();
    let Some(constant) = importer.constant(node, usize::from(!first))?.cloned() else { return Ok(false) };
    let x = importer.view(node, usize::from(first))?;
    let x = whole(importer, node, x)?;
    let values = for_channels(node, &x, &constant)?;
    let (scale, shift) = meant(values, first)
        .ok_or_else(|| node.unsupported("operands", "constant / tensor or a zero divisor", "tensor / constant"))?;
    emit(importer, node, &x, scale, shift).map(|()| true)
}

/// A constant operand's value for each channel.
fn for_channels(node: &Node, x: &View, constant: &Constant) -> Result<Vec<f32>, Error> {
    let channels = x.shape[2];
    let numbers = constant.floats().ok_or_else(|| node.wrong("a constant operand must be float"))?;
    let lengths = x.lengths();
    // Broadcasting aligns trailing dimensions; one may vary, and it must be our channels.
    let offset = lengths.len().checked_sub(numbers.ndim());
    let varying: Vec<usize> = (0..numbers.ndim()).filter(|&i| numbers.shape()[i] != 1).collect();
    let values: Option<Vec<f32>> = match (offset, &varying[..]) {
        (Some(_), []) => numbers.iter().next().map(|&v| vec![v; channels]),
        (Some(offset), &[i]) if numbers.len() == channels && x.dims[i + offset] == x.along(&[Axis::Channel]) => {
            Some(numbers.iter().copied().collect())
        }
        _ => None,
    };
    values.ok_or_else(|| {
        let shapes = format!("shapes {lengths:?} and {:?}", numbers.shape());
        node.unsupported("constant operand", shapes, "one value, or one for each channel")
    })
}

/// `scale[c] * x + shift[c]`: a depthwise convolution of one tap, unless what makes `x` takes it up.
fn emit(importer: &mut Importer, node: &Node, x: &View, scale: Vec<f32>, shift: Vec<f32>) -> Result<(), Error> {
    if scale.iter().chain(&shift).any(|v| !v.is_finite()) {
        return Err(node.wrong("parameters that are not finite"));
    }
    let one = Depthwise { geometry: Geometry::whole([1, 1, 1]), weight: scale, bias: shift, limits: Limits::NONE };
    let id = importer.emit(node, one, vec![x.tensor], x.shape)?;
    importer.define(node, 0, x.on(id))
}
