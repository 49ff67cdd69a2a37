//! Networks that were quantized before: QuantizeLinear and DequantizeLinear around float operators, and operators on integers. What they
//! hold is read as the real numbers it means, rounded to the scales that the file gives: those are kept, for activations and weights.

mod rounding;
mod scales;

use tract_onnx::pb;

use super::expanded::{Expanded, axis, float};
use crate::{
    constant::Constant,
    error::Error,
    importer::{Hint, Import, Importer, Integers},
    onnx::Node,
};

pub use scales::{allows, as_numbers, numbers, pass_on};
use scales::{import_dequantize, import_dynamic, import_quantize};

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

/// ConvInteger and MatMulInteger: sums of products of numbers and those of the weights. What DynamicQuantizeLinear made is read as real
/// values, whose scales follow as constants; numbers that are given lose their zero point.
fn import_integer(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    let name = |index: usize| node.input(index).unwrap_or_default();
    let (operator, along) = if node.operator() == "ConvInteger" { ("Conv", 0) } else { ("MatMul", 1) };
    let given = matches!(importer.integers(node, 0), Some(Integers::Numbers { .. }));
    let zero = importer.constant(node, 2)?;
    if !given && zero.is_none_or(|zero| *zero != Constant::Int(ndarray::arr0(0).into_dyn())) {
        return Err(node.unsupported(
            "x",
            "not of DynamicQuantizeLinear, nor numbers of int8 or uint8 that are given",
            "QLinearConv, QLinearMatMul, or QuantizeLinear and DequantizeLinear",
        ));
    }
    let mut expanded = Expanded::new(node);
    let one = expanded.run(importer, "Constant", &[], vec![float("value_float", 1.0)], false)?;
    let w = expanded.run(importer, "DequantizeLinear", &[name(1), &one, name(3)], axis(along), false)?;
    let mut x = name(0).to_owned();
    if given {
        x = expanded.run(importer, "DequantizeLinear", &[&x, &one, name(2)], vec![], false)?;
        importer.stands_for_integers(node, 0, Integers::Sums);
    }
    expanded.run(importer, operator, &[&x, &w], node.attributes().to_vec(), true).map(drop)
}
