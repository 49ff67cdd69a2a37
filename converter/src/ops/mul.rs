//! Mul of two tensors of the same shape, or of a map and a value for each channel: `y = clamp(a * b)`.

use escarp_runtime::{
    ops::{MulStep, Step},
    quant::SHIFT_MIN,
};

use super::affine::import_with_constant;
use crate::{
    blocks::Block,
    epilogue::{Epilogue, Limits},
    error::Error,
    graph::{Cost, Map, Op, ScaleRule},
    importer::{Import, Importer},
    onnx::Node,
    qgraph::{InPlace, Placed, QOp, State},
    rows::Rows,
    scale::{SMALLEST_FACTOR, Scale, multiplier},
    shape::Shape,
    site::Site,
    view::{Dim, View},
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[("Mul", Import::new(import))];

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

    /// The epilogue takes factors below 1/2: an output step is at least two steps of the product, which loses nothing.
    fn least_unit(&self, inputs: &[Scale]) -> f64 {
        2.000_001 * inputs.iter().map(|s| f64::from(s.scale)).product::<f64>()
    }

    fn quantize(&self, site: &Site) -> Result<Box<dyn QOp>, Error> {
        let unit: f64 = site.inputs.iter().map(|s| f64::from(s.scale)).product();
        let factor = (unit / f64::from(site.output.scale)).max(SMALLEST_FACTOR);
        let factor = multiplier(factor, SHIFT_MIN).ok_or_else(|| site.wrong(format!("a factor of {factor}")))?;
        Ok(Box::new(QMul { factor, limits: site.output.limits(self.limits) }))
    }

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

    fn in_place(&self) -> InPlace {
        InPlace::IfItDies(0)
    }

    fn states(&self) -> Vec<State> {
        vec![]
    }

    fn constants(&self) -> Vec<Block> {
        vec![]
    }

    fn record(&self, placed: &Placed) -> Result<Step, Error> {
        let (a, b, (multiplier, shift), (min, max)) =
            (placed.input(0)?.id, placed.input(1)?.id, self.factor, self.limits);
        Ok(MulStep { a, b, output: placed.output.id, multiplier, shift, min, max }.into())
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
    let (a, b) = (importer.view(node, 0)?, importer.view(node, 1)?);
    let (a, b) = if repeats(&b, &a) { (b, a) } else { (a, b) };
    if !(a.shape == b.shape && a.dims == b.dims || repeats(&a, &b)) {
        let shapes = format!("{:?} and {:?}", a.lengths(), b.lengths());
        return Err(node.unsupported(
            "operands",
            shapes,
            "equal shapes, or a map and one value for each of its channels",
        ));
    }
    let id = importer.emit(node, Mul { limits: Limits::NONE }, vec![a.tensor, b.tensor], a.shape)?;
    importer.define(node, 0, a.on(id))
}

/// Whether `b` is one pixel that meets every pixel of `a`, as ONNX broadcasts.
fn repeats(a: &View, b: &View) -> bool {
    let meets = |(a, b): (&Dim, &Dim)| b == a || b.length == 1 && b.axes.is_empty();
    let one_of_many = b.shape == [1, 1, a.shape[2]] && a.shape != b.shape;
    one_of_many && a.steps == b.steps && a.dims.len() == b.dims.len() && a.dims.iter().zip(&b.dims).all(meets)
}
