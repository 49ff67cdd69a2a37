//! `y = scale[c] * x + shift[c]`: BatchNormalization, and sums and products with constants.

use super::arrange::whole;
use crate::{
    constant::Constant,
    epilogue::Epilogue,
    error::Error,
    graph::{Cost, Map, Op, ScaleRule},
    importer::{Import, Importer},
    onnx::Node,
    qgraph::QOp,
    scale::{Scale, narrow},
    shape::Shape,
    site::Site,
    view::{Axis, View},
};

/// What is read here; sums and products with constants come from their own operators.
pub const ONNX: &[(&str, Import)] = &[("BatchNormalization", Import::new(import_norm))];

/// Where it can be folded away.
const PLACE: &str = "directly after a Conv, Gemm or MatMul that nothing else reads, before its activation";

/// One scale and shift for each channel; always folded away.
#[derive(Debug)]
struct Affine {
    /// `[channel]`
    scale: Vec<f32>,
    /// `[channel]`
    shift: Vec<f32>,
}

impl Op for Affine {
    fn detail(&self) -> String {
        String::new()
    }

    fn weights(&self) -> Vec<(&'static str, &[f32])> {
        vec![("", &self.scale)]
    }

    fn cost(&self, _: Shape) -> Cost {
        let parameters = self.scale.len() + self.shift.len();
        Cost { parameters, packed: size_of::<f32>() * parameters, ..Cost::NONE }
    }

    fn state_len(&self) -> usize {
        0
    }

    fn eval(&self, inputs: &[Map], _: &mut [f32], out: &mut [f32], _: Shape) {
        let channels = self.scale.len();
        for (x, y) in inputs[0].values.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
            for (c, y) in y.iter_mut().enumerate() {
                *y = self.scale[c] * x[c] + self.shift[c];
            }
        }
    }

    fn scale_rule(&self) -> ScaleRule {
        ScaleRule::OfValues
    }

    fn least_unit(&self, _: &[Scale]) -> f64 {
        0.0
    }

    fn quantize(&self, site: &Site) -> Result<Box<dyn QOp>, Error> {
        Err(site.wrong("was not folded into another step"))
    }

    fn alone(&self) -> Result<(), &'static str> {
        Err(PLACE)
    }

    fn follows(&self) -> Option<Epilogue<'_>> {
        Some(Epilogue::Scale { scale: &self.scale, shift: &self.shift })
    }

    fn absorb(&mut self, _: &Epilogue) -> bool {
        false
    }
}

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
    let mut affine = Affine { scale: vec![], shift: vec![] };
    for c in 0..channels {
        let deviation = (f64::from(var[c]) + epsilon).sqrt();
        if !(deviation > 0.0 && deviation.is_finite()) {
            return Err(node.wrong(format!("channel {c}: variance {} with epsilon {epsilon}", var[c])));
        }
        let scale = f64::from(gamma[c]) / deviation;
        affine.scale.push(narrow(scale));
        affine.shift.push(narrow(f64::from(beta[c]) - f64::from(mean[c]) * scale));
    }
    emit(importer, node, &x, affine)
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
    emit(importer, node, &x, Affine { scale, shift }).map(|()| true)
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

fn emit(importer: &mut Importer, node: &Node, x: &View, affine: Affine) -> Result<(), Error> {
    if affine.scale.iter().chain(&affine.shift).any(|v| !v.is_finite()) {
        return Err(node.wrong("parameters that are not finite"));
    }
    let id = importer.emit(node, affine, vec![x.tensor], x.shape)?;
    importer.define(node, 0, x.on(id))
}
