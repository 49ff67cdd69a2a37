//! Mul and Div of two tensors: `y = clamp(a * b)`.

use std::sync::Arc;

use escarp_runtime::ops::{MulStep, Step};

use super::{
    affine::{import_with_constant, scaled},
    arrange::{Pair, paired},
    function::{Function, applied},
    written::limited,
};
use crate::{
    blocks::Block,
    epilogue::{Epilogue, Limits},
    error::Error,
    exporter::{Exported, Exporter},
    graph::{Channels, Cost, Factors, Map, Op, Pointwise, Products, ScaleRule, Widths},
    importer::{Hint, Import, Importer},
    onnx::Node,
    qgraph::{InPlace, Placed, QOp, State},
    rows::Rows,
    scale::{SMALLEST_FACTOR, Scale, least_unit, multiplier},
    shape::Shape,
    site::Site,
    view::View,
};

/// What is read here.
pub const ONNX: &[(&str, Import)] =
    &[("Mul", Import::new(import).hint(|_| Hint::Through)), ("Div", Import::new(import_div).hint(|_| Hint::Through))];

/// An element-wise product; the second operand may be one pixel, which meets all of the first's.
#[derive(Debug)]
struct Mul {
    limits: Limits,
}

impl Op for Mul {
    fn detail(&self) -> String {
        format!("clamp {}", self.limits)
    }

    fn weights(&self) -> Vec<(&'static str, &[f32])> {
        vec![]
    }

    fn cost(&self, [h, w, c]: Shape) -> Cost {
        Cost { macs: (h * w * c) as u64, ..Cost::NONE }
    }

    fn state_len(&self) -> usize {
        0
    }

    fn eval(&self, inputs: &[Map], _: &mut [f32], out: &mut [f32], _: Shape) {
        for ((y, a), b) in out.iter_mut().zip(inputs[0].values).zip(inputs[1].values.iter().cycle()) {
            *y = self.limits.clamp(a * b);
        }
    }

    fn scale_rule(&self) -> ScaleRule {
        ScaleRule::OfValues
    }

    /// The epilogue takes factors below 1/2: an output step is at least two steps of the product, which loses nothing. Of an int16 output
    /// it takes factors up to 2^14.
    fn least_unit(&self, inputs: &[Scale], wide: bool) -> f64 {
        least_unit(wide) * inputs.iter().map(|s| f64::from(s.scale)).product::<f64>()
    }

    fn widths(&self) -> Widths {
        Widths::Each
    }

    fn room(&self, _: f64) -> f64 {
        i16::MAX.into()
    }

    fn quantize(&self, site: &Site) -> Result<Box<dyn QOp>, Error> {
        let unit: f64 = site.inputs.iter().map(|s| f64::from(s.scale)).product();
        let factor = (unit / f64::from(site.output.scale)).max(SMALLEST_FACTOR);
        let factor = multiplier(factor, site.shift_min()).ok_or_else(|| site.wrong(format!("a factor of {factor}")))?;
        Ok(Box::new(QMul { factor, limits: self.limits.quantized(site.output) }))
    }

    fn products(&self, _: Shape, _: Shape) -> Option<Products<'_>> {
        None
    }

    fn channels(&self) -> Channels {
        Channels { inputs: &[Factors::Through, Factors::None], output: Factors::Through, limits: self.limits }
    }

    fn scale_channels(&mut self, _: &[f32], _: &[f32]) {}

    fn alone(&self) -> Result<(), &'static str> {
        Ok(())
    }

    fn follows(&self) -> Option<Epilogue<'_>> {
        None
    }

    fn absorb(&mut self, next: &Epilogue) -> bool {
        let Epilogue::Limits(limits) = next else { return false };
        self.limits = self.limits.then(*limits);
        true
    }

    fn pointwise(&self) -> Option<Pointwise> {
        let limits = self.limits;
        Some(Arc::new(move |values| limits.clamp(values[0] * values[1])))
    }

    fn export(&self, to: &mut Exporter, site: &Exported) -> Result<String, Error> {
        let value = to.node("Mul", site.node, &[site.input(0)?.value, site.input(1)?.value], vec![]);
        Ok(limited(to, site, value, self.limits))
    }
}

/// A product in integers.
#[derive(Debug)]
struct QMul {
    /// Operand scales over the output's: multiplier and shift.
    factor: (i32, u8),
    limits: (i16, i16),
}

impl QOp for QMul {
    fn detail(&self) -> String {
        format!("{:?} clamp {}..{}", self.factor, self.limits.0, self.limits.1)
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
        let (a, b, (multiplier, shift), (min, max)) =
            (placed.input(0)?.id, placed.input(1)?.id, self.factor, self.limits);
        Ok(vec![MulStep { a, b, output: placed.output.id, multiplier, shift, min, max }.into()])
    }
}

/// Reads a Mul of two tensors, or of a tensor and a constant, which is a scale.
fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&[])?;
    if import_with_constant(importer, node, |c, _| {
        let zeros = vec![0.0; c.len()];
        Some((c, zeros))
    })? {
        return Ok(());
    }
    let operands = [importer.view(node, 0)?, importer.view(node, 1)?];
    let made = product(importer, node, operands)?;
    importer.define(node, 0, made)
}

/// The product of two tensors whose shapes broadcast.
///
/// # Errors
/// As [`paired`].
pub fn product(importer: &mut Importer, node: &Node, [first, second]: [View; 2]) -> Result<View, Error> {
    let made = paired(importer, node, first, second, true)?;
    emit(importer, node, made)
}

fn emit(importer: &mut Importer, node: &Node, Pair { a, b, .. }: Pair) -> Result<View, Error> {
    let id = importer.emit(node, Mul { limits: Limits::NONE }, vec![a.tensor, b.tensor], a.shape)?;
    Ok(a.on(id))
}

/// Reads a Div: by a constant it is a scale, by a tensor a product with its reciprocal.
fn import_div(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&[])?;
    let divided = importer.constant(node, 0)?.is_some();
    let by_constant = !divided && importer.constant(node, 1)?.is_some();
    if by_constant {
        let inverse = |c: Vec<f32>, _| {
            let zeros = vec![0.0; c.len()];
            c.iter().all(|&v| v != 0.0).then(|| (c.iter().map(|v| 1.0 / v).collect(), zeros))
        };
        return import_with_constant(importer, node, inverse).map(drop);
    }
    let divisor = importer.view(node, 1)?;
    let inverse = applied(importer, node, divisor, Function::Reciprocal)?;
    let made = if divided {
        scaled(importer, node, inverse, 0)?
    } else {
        let dividend = importer.view(node, 0)?;
        product(importer, node, [dividend, inverse])?
    };
    importer.define(node, 0, made)
}
