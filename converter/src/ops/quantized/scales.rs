//! QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear: scales, and what numbers of int8 and uint8 are here.

use ndarray::ArrayD;

use super::rounding::Rounding;
use crate::{
    axes,
    constant::Constant,
    error::Error,
    importer::{Importer, Integers},
    onnx::Node,
    ops::{
        affine::{scaled_by, shifted_by},
        arrange::whole,
        function::{Function, applied},
    },
    scale::{Scale, narrow, nearest_i8},
    view::View,
};

/// The scale of numbers that mean themselves.
pub fn numbers(unsigned: bool) -> Scale {
    Scale::int8(1.0, if unsigned { i8::MIN } else { 0 })
}

/// What reads numbers of int8 or uint8 as they are; others would compute with them as with real values, which do not wrap around.
const READERS: &[&str] =
    &["DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "Cast", "Shape"];

/// What moves numbers, or chooses among them: their results are what they were.
const MOVERS: &[&str] = &[
    "Identity",
    "Transpose",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Slice",
    "Split",
    "Gather",
    "Expand",
    "MaxPool",
    "Dropout",
    "DepthToSpace",
    "SpaceToDepth",
];

/// Numbers that stand for themselves are read by those only who know what to do with them.
///
/// # Errors
/// For any other reader.
pub fn allows(importer: &Importer, node: &Node) -> Result<(), Error> {
    let operator = node.operator();
    let known = READERS.contains(&operator) || MOVERS.contains(&operator) || operator.starts_with("QLinear");
    for index in 0..node.inputs().len() {
        match importer.integers(node, index) {
            Some(Integers::Numbers { .. }) if !known => {
                let what = "numbers of int8 or uint8";
                return Err(node.unsupported(
                    &format!("input {index}"),
                    what,
                    "what Cast or DequantizeLinear makes of them",
                ));
            }
            Some(Integers::Scaled { .. }) if operator == "Cast" => {
                return Err(node.unsupported("input", "quantized numbers", "what DequantizeLinear makes of them"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What was moved is still integers.
pub fn pass_on(importer: &mut Importer, node: &Node) {
    if let Some(integers) = importer.integers(node, 0).filter(|_| MOVERS.contains(&node.operator())) {
        (0..node.outputs().len()).for_each(|output| importer.stands_for_integers(node, output, integers));
    }
}

/// The numbers that a value of integers is in ONNX, as whole real values.
///
/// # Errors
/// As of any operator.
pub fn as_numbers(importer: &mut Importer, node: &Node, x: View, integers: Integers) -> Result<View, Error> {
    let Integers::Scaled { scale, unsigned } = integers else { return Ok(x) };
    let x = whole(importer, node, x)?;
    let zero = f64::from(scale.zero_point) + if unsigned { 128.0 } else { 0.0 };
    let factor = narrow(1.0 / f64::from(scale.scale));
    let made = Rounding { scale: numbers(unsigned), factor, shift: narrow(zero) };
    Ok(x.on(importer.emit(node, made, vec![x.tensor], x.shape)?))
}

/// Scales and zero points of a node, as ONNX counts them.
struct Given {
    scale: ArrayD<f32>,
    zero: ArrayD<f32>,
    unsigned: bool,
}

impl Given {
    /// Those at inputs 1 and 2; `unsigned` tells the type where there is no zero point.
    fn read(importer: &Importer, node: &Node, unsigned: bool) -> Result<Given, Error> {
        let unsupported =
            |index: usize, what: &str| node.unsupported(&format!("input {index}"), what, "constant numbers");
        let scale = importer.constant(node, 1)?.and_then(Constant::floats);
        let scale = scale.ok_or_else(|| unsupported(1, "a scale that is not constant"))?.clone();
        let (zero, unsigned) = match (node.input(2), importer.constant(node, 2)?) {
            (None, _) => (ndarray::arr0(0.0).into_dyn(), unsigned),
            (_, Some(Constant::Int(zeros))) => (zeros.mapv(|v| v as f32), importer.is_unsigned(node, 2)),
            _ => return Err(unsupported(2, "a zero point that is not constant")),
        };
        let allowed = if unsigned { 0.0..=255.0 } else { -128.0..=127.0 };
        let wrong = scale.iter().any(|s| !(s.is_finite() && *s > 0.0)) || zero.iter().any(|z| !allowed.contains(z));
        if wrong {
            let (scale, zero) = (shown(&scale), shown(&zero));
            return Err(node.wrong(format!("scale {scale} with zero point {zero}; allowed: above 0, of int8 or uint8")));
        }
        Ok(Given { scale, zero, unsigned })
    }

    /// Ours, if it is one for the whole tensor.
    fn one(&self) -> Option<Scale> {
        let (scale, zero) = (self.scale.iter().next()?, self.zero.iter().next()?);
        let zero = f64::from(*zero) - if self.unsigned { 128.0 } else { 0.0 };
        let one = self.scale.len() == 1 && self.zero.len() == 1;
        one.then(|| Scale::int8(*scale, nearest_i8(zero)))
    }
}

/// A number or some, for a message.
fn shown(values: &ArrayD<f32>) -> String {
    match values.len() {
        1 => values.iter().map(f32::to_string).collect(),
        n => format!("({n} numbers)"),
    }
}

/// Numbers along an axis, or of blocks along it, for a tensor of those lengths.
fn spread(importer: &Importer, node: &Node, lengths: &[usize], values: &ArrayD<f32>) -> Result<ArrayD<f32>, Error> {
    if values.len() == 1 {
        return Ok(ndarray::arr0(values.iter().copied().sum::<f32>()).into_dyn());
    }
    let axis = axes::axis(node, "axis", node.int("axis")?.unwrap_or(1), lengths.len())?;
    let wrong = || {
        node.unsupported("scales", format!("{:?} for {lengths:?}", values.shape()), "one, along axis, or for blocks")
    };
    if values.ndim() == 1 {
        let mut shape = vec![1; lengths.len()];
        shape[axis] = lengths[axis];
        return values.to_shape(shape).map(|a| a.to_owned().into_dyn()).map_err(|_| wrong());
    }
    let block = node.int("block_size")?.and_then(|b| usize::try_from(b).ok()).filter(|&b| b > 0).ok_or_else(wrong)?;
    let expected: Vec<usize> =
        lengths.iter().enumerate().map(|(d, &n)| if d == axis { n.div_ceil(block) } else { n }).collect();
    if values.shape() != expected {
        return Err(wrong());
    }
    importer.charge(
        node,
        "a scale for each value",
        lengths.iter().fold(size_of::<f32>(), |n, &d| n.saturating_mul(d)),
    )?;
    Ok(ArrayD::from_shape_fn(lengths.to_vec(), |mut at| {
        at[axis] /= block;
        values[at]
    }))
}

/// QuantizeLinear: `saturate(round(x / scale) + zero point)`, read as the real number that it means; with several scales as what it is.
pub fn import_quantize(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["axis", "saturate", "output_dtype", "block_size"])?;
    // ONNX's numbers of its types.
    let unsigned = match node.int("output_dtype")? {
        None | Some(0 | 2) => true,
        Some(3) => false,
        Some(other) => return Err(node.unsupported("output_dtype", other, "2 (uint8), 3 (int8)")),
    };
    let given = Given::read(importer, node, unsigned)?;
    let (x, unsigned) = (importer.view(node, 0)?, given.unsigned);
    let (x, scale, integers) = match given.one() {
        Some(scale) => (x, scale, Integers::Scaled { scale, unsigned }),
        None => {
            let lengths = x.lengths();
            let [scale, zero] = [&given.scale, &given.zero].map(|values| spread(importer, node, &lengths, values));
            let x = scaled_by(importer, node, x, &scale?.mapv(|s| 1.0 / s))?;
            let x = applied(importer, node, x, Function::Round)?;
            let x = shifted_by(importer, node, x, &zero?)?;
            (x, numbers(unsigned), Integers::Numbers { unsigned })
        }
    };
    let x = whole(importer, node, x)?;
    let tensor = importer.emit(node, Rounding::to(scale), vec![x.tensor], x.shape)?;
    importer.stands_for_integers(node, 0, integers);
    importer.define(node, 0, x.on(tensor))
}

/// DequantizeLinear: what was quantized with one scale is read as real numbers already; numbers become such here.
pub fn import_dequantize(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["axis", "block_size"])?;
    let integers = importer.integers(node, 0);
    let unsigned = !matches!(integers, Some(Integers::Numbers { unsigned: false } | Integers::Sums));
    let given = Given::read(importer, node, unsigned)?;
    let x = importer.view(node, 0)?;
    let made = match (integers, given.one()) {
        (Some(Integers::Numbers { .. }), Some(scale)) => {
            let x = whole(importer, node, x)?;
            let zero: f32 = given.zero.iter().sum();
            let made = Rounding { scale, factor: scale.scale, shift: -scale.scale * zero };
            x.on(importer.emit(node, made, vec![x.tensor], x.shape)?)
        }
        (Some(Integers::Numbers { .. } | Integers::Sums), _) => {
            let lengths = x.lengths();
            let [scale, zero] = [&given.scale, &given.zero].map(|values| spread(importer, node, &lengths, values));
            let x = shifted_by(importer, node, x, &zero?.mapv(|z| -z))?;
            scaled_by(importer, node, x, &scale?)?
        }
        (_, Some(_)) => x,
        (_, None) => return Err(node.unsupported("x_scale", "several numbers", "one scale for a whole activation")),
    };
    importer.define(node, 0, made)
}

/// DynamicQuantizeLinear: a scale for each sample would round less than ours, which is the same for all; its numbers are read as the
/// reals they stand for, of scale 1 and zero point 0.
pub fn import_dynamic(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&[])?;
    let x = importer.view(node, 0)?;
    (0..3).for_each(|output| importer.stands_for_integers(node, output, Integers::Dynamic));
    importer.define(node, 0, x)?;
    importer.define_constant(node, 1, Constant::Float(ndarray::arr0(1.0).into_dyn()))?;
    importer.define_constant(node, 2, Constant::Int(ndarray::arr0(0).into_dyn()))
}
