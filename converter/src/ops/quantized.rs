//! Networks that were quantized before: QuantizeLinear and DequantizeLinear around float operators, and operators on integers. What they
//! hold is read as the real numbers it means, rounded to the scales that the file gives: those are kept, for activations and weights.

use tract_onnx::pb;

use super::{
    expanded::{Expanded, axis, float},
    table::QTable,
};
use crate::{
    constant::Constant,
    epilogue::Epilogue,
    error::Error,
    exporter::{Exported, Exporter},
    graph::{Channels, Cost, Map, Op, Pointwise, Products, ScaleRule, Widths},
    importer::{Hint, Import, Importer},
    onnx::Node,
    qgraph::QOp,
    scale::Scale,
    shape::Shape,
    site::Site,
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[
    ("QuantizeLinear", Import::new(import_quantize).hint(|_| Hint::Through)),
    ("DequantizeLinear", Import::new(import_dequantize).hint(|_| Hint::Through)),
    ("DynamicQuantizeLinear", Import::new(import_dynamic).hint(|_| Hint::Through)),
    ("QLinearConv", Import::new(import_conv)),
    ("QLinearMatMul", Import::new(import_matmul)),
    ("ConvInteger", Import::new(import_integer)),
    ("MatMulInteger", Import::new(import_integer)),
    ("QLinearAdd", Import::new(import_of_two).remark("com.microsoft")),
    ("QLinearMul", Import::new(import_of_two).remark("com.microsoft")),
    ("QLinearConcat", Import::new(import_concat).remark("com.microsoft")),
    ("QLinearAveragePool", Import::new(import_of_one).remark("com.microsoft")),
    ("QLinearGlobalAveragePool", Import::new(import_of_one).remark("com.microsoft")),
    ("QLinearSoftmax", Import::new(import_of_one).remark("com.microsoft")),
    ("QLinearSigmoid", Import::new(import_of_one).remark("com.microsoft")),
    ("QLinearLeakyRelu", Import::new(import_of_one).remark("com.microsoft")),
];

/// Is this an operator that onnxruntime's quantization puts beside ONNX's own?
pub fn is_of_onnxruntime(operator: &str) -> bool {
    ONNX.iter().any(|(name, import)| *name == operator && !import.remark.is_empty())
}

/// Values rounded to a scale.
#[derive(Debug)]
struct Rounding {
    scale: Scale,
}

impl Op for Rounding {
    fn detail(&self) -> String {
        format!("scale {} zero {}", self.scale.scale, self.scale.zero_point)
    }

    fn weights(&self) -> Vec<(&'static str, &[f32])> {
        vec![]
    }

    fn cost(&self, _: Shape) -> Cost {
        Cost::NONE
    }

    fn state_len(&self) -> usize {
        0
    }

    fn eval(&self, inputs: &[Map], _: &mut [f32], out: &mut [f32], _: Shape) {
        for (y, &x) in out.iter_mut().zip(inputs[0].values) {
            *y = self.scale.dequantize(self.scale.quantize(x));
        }
    }

    fn scale_rule(&self) -> ScaleRule {
        ScaleRule::Fixed(self.scale)
    }

    fn least_unit(&self, _: &[Scale], _: bool) -> f64 {
        0.0
    }

    fn widths(&self) -> Widths {
        Widths::Each
    }

    fn room(&self, _: f64) -> f64 {
        i16::MAX.into()
    }

    fn quantize(&self, site: &Site) -> Result<Box<dyn QOp>, Error> {
        Ok(Box::new(QTable::new(site, |x| x)))
    }

    fn products(&self, _: Shape, _: Shape) -> Option<Products<'_>> {
        None
    }

    fn channels(&self) -> Channels {
        Channels::FIXED
    }

    fn scale_channels(&mut self, _: &[f32], _: &[f32]) {}

    fn alone(&self) -> Result<(), &'static str> {
        Ok(())
    }

    fn follows(&self) -> Option<Epilogue<'_>> {
        Some(Epilogue::Grid(self.scale))
    }

    fn absorb(&mut self, _: &Epilogue) -> bool {
        false
    }

    fn pointwise(&self) -> Option<Pointwise> {
        None
    }

    /// What it makes is rounded as every tensor is.
    fn export(&self, _: &mut Exporter, site: &Exported) -> Result<String, Error> {
        Ok(site.input(0)?.value.into())
    }
}

/// The scale at two inputs of a node, scale and zero point; `None` if they are more than one number.
fn scale(importer: &Importer, node: &Node, [scale, zero]: [usize; 2]) -> Result<Option<Scale>, Error> {
    let unsupported = |index: usize, what: &str| node.unsupported(&format!("input {index}"), what, "constant numbers");
    let values = importer.constant(node, scale)?.and_then(Constant::floats);
    let values = values.ok_or_else(|| unsupported(scale, "a scale that is not constant"))?;
    let unsigned = importer.is_unsigned(node, zero);
    let zeros: Vec<i64> = match (node.input(zero), importer.constant(node, zero)?) {
        (None, _) => vec![],
        (_, Some(Constant::Int(zeros))) => zeros.iter().copied().collect(),
        _ => return Err(unsupported(zero, "a zero point that is not constant")),
    };
    let (&[scale], [] | [_]) = (&values.iter().copied().collect::<Vec<f32>>()[..], &zeros[..]) else { return Ok(None) };
    // uint8 numbers are 128 above ours; without a zero point they are uint8 (ONNX, QuantizeLinear).
    let zero_point = zeros.first().copied().unwrap_or(0) - if unsigned || zeros.is_empty() { 128 } else { 0 };
    let zero_point = i8::try_from(zero_point);
    match zero_point {
        Ok(zero_point) if scale.is_finite() && scale > 0.0 => Ok(Some(Scale::int8(scale, zero_point))),
        _ => {
            Err(node
                .wrong(format!("a scale of {scale} with the zero point {zeros:?}; allowed: above 0, of int8 or uint8")))
        }
    }
}

/// QuantizeLinear: `saturate(round(x / scale) + zero point)`, read as the real number that it means.
fn import_quantize(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["axis", "saturate", "output_dtype", "block_size"])?;
    let scale = scale(importer, node, [1, 2])?;
    let scale =
        scale.ok_or_else(|| node.unsupported("y_scale", "several numbers", "one scale for a whole activation"))?;
    let x = importer.view(node, 0)?;
    let x = super::arrange::whole(importer, node, x)?;
    let tensor = importer.emit(node, Rounding { scale }, vec![x.tensor], x.shape)?;
    importer.stands_for_integers(node, 0);
    importer.define(node, 0, x.on(tensor))
}

/// DequantizeLinear of what was quantized with that scale: it is read as real numbers already.
fn import_dequantize(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["axis", "block_size"])?;
    let scale = scale(importer, node, [1, 2])?;
    scale.ok_or_else(|| node.unsupported("x_scale", "several numbers", "one scale for a whole activation"))?;
    let x = importer.view(node, 0)?;
    importer.define(node, 0, x)
}

/// DynamicQuantizeLinear: a scale for each sample would round less than ours, which is the same for all; its numbers are read as the
/// reals they stand for, of scale 1 and zero point 0.
fn import_dynamic(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&[])?;
    let x = importer.view(node, 0)?;
    (0..3).for_each(|output| importer.stands_for_integers(node, output));
    importer.define(node, 0, x)?;
    importer.define_constant(node, 1, Constant::Float(ndarray::arr0(1.0).into_dyn()))?;
    importer.define_constant(node, 2, Constant::Int(ndarray::arr0(0).into_dyn()))
}

/// QLinearConv: what it means between DequantizeLinear and QuantizeLinear.
fn import_conv(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    let name = |index: usize| node.input(index).unwrap_or_default();
    let mut expanded = Expanded::new(node);
    let x = expanded.run(importer, "DequantizeLinear", &[name(0), name(1), name(2)], vec![], false)?;
    let w = expanded.run(importer, "DequantizeLinear", &[name(3), name(4), name(5)], axis(0), false)?;
    let mut inputs = vec![x, w];
    if node.input(8).is_some() {
        // int32 in units of both scales.
        let unit = expanded.run(importer, "Mul", &[name(1), name(4)], vec![], false)?;
        inputs.push(expanded.run(importer, "DequantizeLinear", &[name(8), &unit], axis(0), false)?);
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let y = expanded.run(importer, "Conv", &inputs, node.attributes().to_vec(), false)?;
    expanded.run(importer, "QuantizeLinear", &[&y, name(6), name(7)], vec![], true).map(drop)
}

/// QLinearMatMul, likewise.
fn import_matmul(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&[])?;
    let name = |index: usize| node.input(index).unwrap_or_default();
    let mut expanded = Expanded::new(node);
    let a = expanded.run(importer, "DequantizeLinear", &[name(0), name(1), name(2)], vec![], false)?;
    let b = expanded.run(importer, "DequantizeLinear", &[name(3), name(4), name(5)], axis(1), false)?;
    let y = expanded.run(importer, "MatMul", &[&a, &b], vec![], false)?;
    expanded.run(importer, "QuantizeLinear", &[&y, name(6), name(7)], vec![], true).map(drop)
}

/// What an operator of onnxruntime does in float: the one without "QLinear", and its attributes but for those that only that has.
fn float_form(node: &Node) -> Result<(String, Vec<pb::AttributeProto>), Error> {
    if node.int("channels_last")?.unwrap_or(0) != 0 {
        return Err(node.unsupported("channels_last", 1, "0"));
    }
    let operator = node.operator().strip_prefix("QLinear").unwrap_or_default().to_owned();
    let own = |a: &&pb::AttributeProto| !matches!(a.name.as_str(), "channels_last" | "opset");
    Ok((operator, node.attributes().iter().filter(own).cloned().collect()))
}

/// An operator of one tensor: `x, scale, zero point, scale, zero point of the output`.
fn import_of_one(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    let name = |index: usize| node.input(index).unwrap_or_default();
    let (operator, attributes) = float_form(node)?;
    let mut expanded = Expanded::new(node);
    let x = expanded.run(importer, "DequantizeLinear", &[name(0), name(1), name(2)], vec![], false)?;
    let y = expanded.run(importer, &operator, &[&x], attributes, false)?;
    expanded.run(importer, "QuantizeLinear", &[&y, name(3), name(4)], vec![], true).map(drop)
}

/// An operator of two tensors, each with its scale and zero point.
fn import_of_two(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    let name = |index: usize| node.input(index).unwrap_or_default();
    let (operator, attributes) = float_form(node)?;
    let mut expanded = Expanded::new(node);
    let a = expanded.run(importer, "DequantizeLinear", &[name(0), name(1), name(2)], vec![], false)?;
    let b = expanded.run(importer, "DequantizeLinear", &[name(3), name(4), name(5)], vec![], false)?;
    let y = expanded.run(importer, &operator, &[&a, &b], attributes, false)?;
    expanded.run(importer, "QuantizeLinear", &[&y, name(6), name(7)], vec![], true).map(drop)
}

/// QLinearConcat: scale and zero point of the output, then those of each tensor behind it.
fn import_concat(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    let name = |index: usize| node.input(index).unwrap_or_default();
    let (operator, attributes) = float_form(node)?;
    let mut expanded = Expanded::new(node);
    let mut parts = vec![];
    for first in (2..node.inputs().len()).step_by(3) {
        let inputs = [name(first), name(first + 1), name(first + 2)];
        parts.push(expanded.run(importer, "DequantizeLinear", &inputs, vec![], false)?);
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let y = expanded.run(importer, &operator, &parts, attributes, false)?;
    expanded.run(importer, "QuantizeLinear", &[&y, name(0), name(1)], vec![], true).map(drop)
}

/// ConvInteger and MatMulInteger of what DynamicQuantizeLinear made: sums of products of its numbers and those of the weights, whose scales
/// follow as constants.
fn import_integer(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    let name = |index: usize| node.input(index).unwrap_or_default();
    let (operator, along) = if node.operator() == "ConvInteger" { ("Conv", 0) } else { ("MatMul", 1) };
    if importer.constant(node, 2)?.is_none_or(|zero| *zero != Constant::Int(ndarray::arr0(0).into_dyn())) {
        return Err(node.unsupported(
            "x",
            "not of DynamicQuantizeLinear",
            "QLinearConv, QLinearMatMul, or QuantizeLinear and DequantizeLinear",
        ));
    }
    let mut expanded = Expanded::new(node);
    let one = expanded.run(importer, "Constant", &[], vec![float("value_float", 1.0)], false)?;
    let w = expanded.run(importer, "DequantizeLinear", &[name(1), &one, name(3)], axis(along), false)?;
    expanded.run(importer, operator, &[name(0), &w], node.attributes().to_vec(), true).map(drop)
}
