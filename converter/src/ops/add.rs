//! Add, Sub, Max and Min of two tensors: `y = clamp(+-a +-b)`, `y = clamp(max(a, b))`.

use std::sync::Arc;

use escarp_runtime::{
    kernels::Combine,
    ops::{AddStep, RATIO_MAX, Step, WIDE_RATIO_MAX},
};

use super::{
    affine::{Meant, import_with_constant},
    arrange::{Pair, pair, paired},
    function,
    written::{limited, with_number},
};
use crate::{
    blocks::Block,
    constant::Constant,
    epilogue::{Epilogue, Limits},
    error::Error,
    exporter::{Exported, Exporter},
    graph::{Channels, Cost, Factors, Map, Op, Pointwise, Products, ScaleRule, Widths},
    importer::{Hint, Import, Importer},
    onnx::Node,
    qgraph::{InPlace, Placed, QOp, State},
    rows::Rows,
    scale::{Q12, Q20, Scale, nearest_i32},
    shape::Shape,
    site::Site,
    view::View,
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[
    ("Add", Import::new(import).hint(|_| Hint::Through)),
    ("Sub", Import::new(import).hint(|_| Hint::Through)),
    ("Sum", Import::new(import_sum).hint(|_| Hint::Through)),
    ("Mean", Import::new(import_sum).hint(|_| Hint::Through)),
    ("Max", Import::new(import_extremum).hint(|_| Hint::Through)),
    ("Min", Import::new(import_extremum).hint(|_| Hint::Through)),
];

/// An element-wise sum, difference, maximum or minimum; the second operand may be one pixel, which meets all of the first's.
#[derive(Debug)]
struct Add {
    combine: Combine,
    /// What each operand is multiplied with: 1, or -1 for what is subtracted.
    signs: [f32; 2],
    /// The second operand is one pixel of several.
    pixel: bool,
    /// The result is one of the operands, which have one scale: it is the result's.
    keeps: bool,
    limits: Limits,
}

impl Add {
    const SUM: Add = Add { combine: Combine::Sum, signs: [1.0, 1.0], pixel: false, keeps: false, limits: Limits::NONE };
}

/// 1 in units of a multiplier, and the largest multiplier, where a tensor is int16 or none is.
fn ratios(wide: bool) -> (f64, i32) {
    if wide { (Q20, WIDE_RATIO_MAX) } else { (Q12, RATIO_MAX) }
}

fn result(combine: Combine, a: f32, b: f32, limits: Limits) -> f32 {
    limits.clamp(match combine {
        Combine::Sum => a + b,
        Combine::Maximum => a.max(b),
        Combine::Minimum => a.min(b),
    })
}

impl Op for Add {
    fn detail(&self) -> String {
        format!("{:?} {:?} clamp {}", self.combine, self.signs, self.limits)
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
        let [first, second] = self.signs;
        for ((y, a), b) in out.iter_mut().zip(inputs[0].values).zip(inputs[1].values.iter().cycle()) {
            *y = result(self.combine, first * a, second * b, self.limits);
        }
    }

    fn scale_rule(&self) -> ScaleRule {
        if self.keeps { ScaleRule::OfInput } else { ScaleRule::OfValues }
    }

    fn least_unit(&self, inputs: &[Scale], wide: bool) -> f64 {
        let (one, most) = ratios(wide || inputs.iter().any(|s| s.is_wide()));
        let ratio = |(s, sign): (&Scale, &f32)| f64::from(s.scale) * f64::from(sign.abs()) * one / f64::from(most);
        inputs.iter().zip(&self.signs).map(ratio).fold(0.0, f64::max)
    }

    fn widths(&self) -> Widths {
        if self.keeps { Widths::Together } else { Widths::Each }
    }

    fn room(&self, _: f64) -> f64 {
        i16::MAX.into()
    }

    fn quantize(&self, site: &Site) -> Result<Box<dyn QOp>, Error> {
        let (one, _) = ratios(site.any_wide());
        let factor = |i: usize| f64::from(site.inputs[i].scale) / f64::from(site.output.scale) * one;
        let multipliers = [0, 1].map(|i| nearest_i32(factor(i) * f64::from(self.signs[i])));
        Ok(Box::new(QAdd { combine: self.combine, multipliers, one, limits: self.limits.quantized(site.output) }))
    }

    fn products(&self, _: Shape, _: Shape) -> Option<Products<'_>> {
        None
    }

    fn channels(&self) -> Channels {
        Channels { inputs: &[Factors::Through; 2], output: Factors::Through, limits: self.limits }
    }

    fn scale_channels(&mut self, _: &[f32], _: &[f32]) {}

    fn alone(&self) -> Result<(), &'static str> {
        Ok(())
    }

    fn follows(&self) -> Option<Epilogue<'_>> {
        let plain = self.combine == Combine::Sum && self.signs == [1.0, 1.0] && !self.pixel;
        plain.then_some(Epilogue::Sum(self.limits))
    }

    fn absorb(&mut self, next: &Epilogue) -> bool {
        let Epilogue::Limits(limits) = next else { return false };
        self.limits = self.limits.then(*limits);
        true
    }

    fn pointwise(&self) -> Option<Pointwise> {
        let (combine, [first, second], limits) = (self.combine, self.signs, self.limits);
        let sum = move |values: &[f32]| result(combine, first * values[0], second * values[1], limits);
        (!self.pixel).then(|| Arc::new(sum) as Pointwise)
    }

    fn export(&self, to: &mut Exporter, site: &Exported) -> Result<String, Error> {
        let (mut values, mut signs) = ([site.input(0)?.value.to_owned(), site.input(1)?.value.to_owned()], self.signs);
        for (value, sign) in values.iter_mut().zip(&mut signs).filter(|(_, sign)| sign.abs() != 1.0) {
            *value = with_number(to, site, "Mul", value, *sign);
            *sign = 1.0;
        }
        let ([first, second], [mut a, mut b]) = (signs, values.each_ref());
        let operator = match self.combine {
            Combine::Sum if first == second => "Add",
            Combine::Sum => "Sub",
            Combine::Maximum => "Max",
            Combine::Minimum => "Min",
        };
        if operator == "Sub" && first < 0.0 {
            (a, b) = (b, a);
        }
        let mut value = to.node(operator, site.node, &[a.as_str(), b.as_str()], vec![]);
        if operator == "Add" && first < 0.0 {
            value = to.node("Neg", site.node, &[&value], vec![]);
        }
        if operator.starts_with('M') && self.signs != [1.0, 1.0] {
            return Err(site.wrong("an extremum of what is negated has no form"));
        }
        Ok(limited(to, site, value, self.limits))
    }
}

/// A sum or extremum in integers.
#[derive(Debug)]
struct QAdd {
    combine: Combine,
    /// Operand scales over the output's, Q12, Q20 where a tensor is int16; below 0 for what is subtracted.
    multipliers: [i32; 2],
    /// 1 in their units.
    one: f64,
    limits: (i16, i16),
}

impl QOp for QAdd {
    fn detail(&self) -> String {
        let combine = if self.combine == Combine::Sum { String::new() } else { format!("{:?} ", self.combine) };
        format!("{combine}* {:?} / {} clamp {}..{}", self.multipliers, self.one, self.limits.0, self.limits.1)
    }

    fn rows(&self) -> Vec<(&'static str, &Rows)> {
        vec![]
    }

    fn refined(&mut self) -> Option<&mut Rows> {
        None
    }

    fn in_place(&self) -> InPlace {
        InPlace::IfItDies(0)
    }

    fn states(&self) -> Vec<State> {
        vec![]
    }

    fn constants(&self) -> Result<Vec<Block>, Error> {
        Ok(vec![])
    }

    fn records(&self, placed: &Placed) -> Result<Vec<Step>, Error> {
        let (a, b, (min, max)) = (placed.input(0)?.id, placed.input(1)?.id, self.limits);
        let QAdd { combine, multipliers, .. } = *self;
        Ok(vec![AddStep { combine, a, b, output: placed.output.id, multipliers, min, max }.into()])
    }
}

/// Reads an Add or Sub of two tensors, or of a tensor and a constant, which is a scale and a shift.
fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&[])?;
    let subtracts = node.operator() == "Sub";
    let meant: Meant = match subtracts {
        true => |c, first| match first {
            true => Some((vec![-1.0; c.len()], c)),
            false => Some((vec![1.0; c.len()], c.iter().map(|v| -v).collect())),
        },
        false => |c, _| Some((vec![1.0; c.len()], c)),
    };
    if import_with_constant(importer, node, meant)? {
        return Ok(());
    }
    let operands = [importer.view(node, 0)?, importer.view(node, 1)?];
    let made = match subtracts {
        true => difference(importer, node, operands)?,
        false => combined(importer, node, operands, Combine::Sum)?,
    };
    importer.define(node, 0, made)
}

/// Reads a Sum or Mean of tensors; each counts as much as any other.
fn import_sum(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&[])?;
    let count = node.inputs().len();
    let each = if node.operator() == "Mean" { 1.0 / count as f32 } else { 1.0 };
    let mut sum = importer.view(node, 0)?;
    for index in 1..count {
        let next = importer.view(node, index)?;
        sum = weighted(importer, node, [sum, next], [if index == 1 { each } else { 1.0 }, each])?;
    }
    importer.define(node, 0, sum)
}

/// The sum of two tensors whose shapes broadcast, each times a number.
///
/// # Errors
/// As [`paired`].
pub fn weighted(
    importer: &mut Importer,
    node: &Node,
    [first, second]: [View; 2],
    factors: [f32; 2],
) -> Result<View, Error> {
    let Pair { a, b, swapped } = paired(importer, node, first, second, true)?;
    let signs = if swapped { [factors[1], factors[0]] } else { factors };
    emit(importer, node, &a, &b, Add { signs, ..Add::SUM })
}

/// The difference of two tensors whose shapes broadcast.
///
/// # Errors
/// As [`paired`].
pub fn difference(importer: &mut Importer, node: &Node, [first, second]: [View; 2]) -> Result<View, Error> {
    weighted(importer, node, [first, second], [1.0, -1.0])
}

fn emit(importer: &mut Importer, node: &Node, a: &View, b: &View, add: Add) -> Result<View, Error> {
    let add = Add { pixel: a.shape != b.shape, ..add };
    let id = importer.emit(node, add, vec![a.tensor, b.tensor], a.shape)?;
    Ok(a.on(id))
}

/// The sum, maximum or minimum of two tensors whose shapes broadcast.
///
/// # Errors
/// As [`paired`].
pub fn combined(
    importer: &mut Importer,
    node: &Node,
    [first, second]: [View; 2],
    combine: Combine,
) -> Result<View, Error> {
    let Pair { a, b, .. } = paired(importer, node, first, second, true)?;
    emit(importer, node, &a, &b, Add { combine, ..Add::SUM })
}

/// The larger of each two values that are the same tensor's, moved.
///
/// # Errors
/// As [`paired`].
pub fn largest(importer: &mut Importer, node: &Node, [first, second]: [View; 2]) -> Result<View, Error> {
    let Pair { a, b, .. } = paired(importer, node, first, second, false)?;
    emit(importer, node, &a, &b, Add { combine: Combine::Maximum, keeps: true, ..Add::SUM })
}

/// Reads a Max or Min of tensors, and of constants of one value, which are limits.
fn import_extremum(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&[])?;
    let combine = if node.operator() == "Max" { Combine::Maximum } else { Combine::Minimum };
    let (mut limit, mut tensors): (Option<f32>, Vec<usize>) = (None, vec![]);
    for index in 0..node.inputs().len() {
        match importer.constant(node, index)?.map(Constant::floats) {
            None => tensors.push(index),
            Some(Some(values)) if values.len() == 1 => {
                let value = values.iter().copied().fold(f32::NAN, f32::max);
                limit = Some(limit.map_or(value, |limit| {
                    if combine == Combine::Maximum { limit.max(value) } else { limit.min(value) }
                }));
            }
            Some(_) => {
                return Err(node.unsupported(
                    &format!("input {index}"),
                    "a constant of several values",
                    "tensors, and one value",
                ));
            }
        }
    }
    let mut view = match tensors[..] {
        [] => return Err(node.wrong("no input that depends on the sample")),
        [one] => importer.view(node, one)?,
        [first, second, ..] => {
            let Pair { a, b, .. } = pair(importer, node, [first, second], true)?;
            emit(importer, node, &a, &b, Add { combine, ..Add::SUM })?
        }
    };
    for &next in tensors.iter().skip(2) {
        let second = importer.view(node, next)?;
        view = combined(importer, node, [view, second], combine)?;
    }
    if let Some(value) = limit {
        let limits = match combine {
            Combine::Maximum => Limits { min: value, ..Limits::NONE },
            _ => Limits { max: value, ..Limits::NONE },
        };
        view = function::limited(importer, node, view, limits)?;
    }
    importer.define(node, 0, view)
}
