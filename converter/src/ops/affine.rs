//! `y = scale[c] * x + shift[c]`: BatchNormalization, and sums and products with constants.

use ndarray::ArrayD;

use super::{
    arrange::{moved, whole},
    depthwise::Depthwise,
    window::Geometry,
};
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
    let made = emit(importer, node, &x, scales, shifts)?;
    importer.define(node, 0, made)
}

/// What arithmetic of a tensor `x` and constants `c` is: scales and shifts, told the constants of all channels and whether they
/// stand first; `None` for what is no scale and shift.
pub type Meant = fn(c: Vec<f32>, first: bool) -> Option<(Vec<f32>, Vec<f32>)>;

/// Reads arithmetic of a tensor and a constant; `false` if neither operand is constant.
///
/// # Errors
/// If the constant's shape does not broadcast to the tensor's.
pub fn import_with_constant(importer: &mut Importer, node: &Node, meant: Meant) -> Result<bool, Error> {
    let first = importer.constant(node, 0)?.is_some();
    if !first && importer.constant(node, 1)?.is_none() {
        return Ok(false);
    }
    let x = importer.view(node, usize::from(first))?;
    let numbers = numbers(importer, node, usize::from(!first))?;
    let (x, values) = with_constant(importer, node, x, &numbers)?;
    let (scale, shift) =
        meant(values, first).ok_or_else(|| node.unsupported("operands", "a zero divisor", "others"))?;
    let made = emit(importer, node, &x, scale, shift)?;
    importer.define(node, 0, made)?;
    Ok(true)
}

/// The product of a tensor and the constant at input `index`.
///
/// # Errors
/// As [`import_with_constant`].
pub fn scaled(importer: &mut Importer, node: &Node, x: View, index: usize) -> Result<View, Error> {
    let numbers = numbers(importer, node, index)?;
    scaled_by(importer, node, x, &numbers)
}

/// The product of a tensor and numbers whose shape broadcasts to the tensor's.
///
/// # Errors
/// As [`import_with_constant`].
pub fn scaled_by(importer: &mut Importer, node: &Node, x: View, numbers: &ArrayD<f32>) -> Result<View, Error> {
    let (x, scale) = with_constant(importer, node, x, numbers)?;
    let zeros = vec![0.0; scale.len()];
    emit(importer, node, &x, scale, zeros)
}

/// The sum of a tensor and numbers whose shape broadcasts to the tensor's.
///
/// # Errors
/// As [`import_with_constant`].
pub fn shifted_by(importer: &mut Importer, node: &Node, x: View, numbers: &ArrayD<f32>) -> Result<View, Error> {
    let (x, shift) = with_constant(importer, node, x, numbers)?;
    let ones = vec![1.0; shift.len()];
    emit(importer, node, &x, ones, shift)
}

/// The constant at input `index`.
fn numbers(importer: &Importer, node: &Node, index: usize) -> Result<ArrayD<f32>, Error> {
    let numbers = importer.constant(node, index)?.and_then(Constant::floats);
    numbers.cloned().ok_or_else(|| node.wrong("a constant operand must be float"))
}

/// A whole tensor and what the constant has for each of its channels. Where that is not the same for all pixels, the tensor becomes a
/// row in which each value is a channel.
fn with_constant(
    importer: &mut Importer,
    node: &Node,
    x: View,
    numbers: &ArrayD<f32>,
) -> Result<(View, Vec<f32>), Error> {
    let (lengths, rank) = (x.lengths(), x.dims.len().max(numbers.ndim()));
    let at = |lengths: &[usize], i: usize| (i + lengths.len()).checked_sub(rank).map_or(1, |i| lengths[i]);
    let all: Vec<usize> = (0..rank).map(|i| at(&lengths, i).max(at(numbers.shape(), i))).collect();
    let wrong = || {
        let shapes = format!("shapes {lengths:?} and {:?}", numbers.shape());
        node.unsupported("constant operand", shapes, "shapes that broadcast")
    };
    let x = whole(importer, node, x.expand(&all).ok_or_else(wrong)?)?;
    if let Some(values) = for_channels(&x, numbers) {
        return Ok((x, values));
    }
    if x.has_time() || all.iter().product::<usize>() > usize::from(u16::MAX) {
        return Err(node.unsupported(
            "constant operand",
            format!("{:?}", numbers.shape()),
            "one value, or one for each channel",
        ));
    }
    let count: usize = all.iter().product();
    importer.charge(node, "a constant for each value", count.saturating_mul(2 * size_of::<f32>()))?;
    let row = View::fresh(&[count], x.steps).reshape(&all).ok_or_else(wrong)?;
    let row = moved(importer, node, &x, &row)?;
    let values = numbers.broadcast(all).ok_or_else(wrong)?.iter().copied().collect();
    Ok((row, values))
}

/// A constant operand's value for each channel; `None` if it differs from pixel to pixel.
fn for_channels(x: &View, numbers: &ArrayD<f32>) -> Option<Vec<f32>> {
    let channels = x.shape[2];
    // Broadcasting aligns trailing dimensions; one may vary, and it must be our channels.
    let offset = x.dims.len().checked_sub(numbers.ndim())?;
    let varying: Vec<usize> = (0..numbers.ndim()).filter(|&i| numbers.shape()[i] != 1).collect();
    match varying[..] {
        [] => numbers.iter().next().map(|&v| vec![v; channels]),
        [i] if numbers.len() == channels => {
            let order = x.channels(&x.dims[i + offset])?;
            let mut values = vec![0.0; channels];
            order.iter().zip(numbers).for_each(|(&channel, &value)| values[channel] = value);
            Some(values)
        }
        _ => None,
    }
}

/// `scale[c] * x + shift[c]`: a depthwise convolution of one tap, unless what makes `x` takes it up.
fn emit(importer: &mut Importer, node: &Node, x: &View, scale: Vec<f32>, shift: Vec<f32>) -> Result<View, Error> {
    if scale.iter().chain(&shift).any(|v| !v.is_finite()) {
        return Err(node.wrong("parameters that are not finite"));
    }
    let one = Depthwise { geometry: Geometry::whole([1, 1, 1]), weight: scale, bias: shift, limits: Limits::NONE };
    Ok(x.on(importer.emit(node, one, vec![x.tensor], x.shape)?))
}
