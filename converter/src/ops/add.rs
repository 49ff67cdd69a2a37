//! Add of two tensors of the same shape: `y = clamp(a + b)`.

use escarp_runtime::ops::{AddStep, Combine, RATIO_MAX, Step};

use super::affine::{Meant, import_with_constant};
use crate::{
    blocks::Block,
    epilogue::{Epilogue, Limits},
    error::Error,
    graph::{Cost, Map, Op, ScaleRule},
    importer::{Import, Importer},
    onnx::Node,
    qgraph::{InPlace, Placed, QOp, State},
    rows::Rows,
    scale::{Q12, Scale, nearest_i32},
    shape::Shape,
    site::Site,
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[
    ("Add", Import::new(import)),
    ("Sub", Import::new(import).remark("with a constant")),
    ("Div", Import::new(import).remark("by a constant")),
];

/// An element-wise sum.
#[derive(Debug)]
struct Add {
    limits: Limits,
}

impl Op for Add {
    fn detail(&self) -> String {
        format!("clamp {}", self.limits)
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
        for ((y, a), b) in out.iter_mut().zip(inputs[0].values).zip(inputs[1].values) {
            *y = self.limits.clamp(a + b);
        }
    }

    fn scale_rule(&self) -> ScaleRule {
        ScaleRule::OfValues
    }

    fn least_unit(&self, inputs: &[Scale]) -> f64 {
        inputs.iter().map(|s| f64::from(s.scale) * Q12 / f64::from(RATIO_MAX)).fold(0.0, f64::max)
    }

    fn quantize(&self, site: &Site) -> Result<Box<dyn QOp>, Error> {
        let factor = |i: usize| f64::from(site.inputs[i].scale) / f64::from(site.output.scale) * Q12;
        let multipliers = [0, 1].map(|i| nearest_i32(factor(i)));
        Ok(Box::new(QAdd { multipliers, limits: site.output.limits(self.limits) }))
    }

    fn alone(&self) -> Result<(), &'static str> {
        Ok(())
    }

    fn follows(&self) -> Option<Epilogue<'_>> {
        Some(Epilogue::Sum(self.limits))
    }

    fn absorb(&mut self, next: &Epilogue) -> bool {
        let Epilogue::Limits(limits) = next else { return false };
        self.limits = self.limits.then(*limits);
        true
    }
}

/// A sum in integers.
#[derive(Debug)]
struct QAdd {
    /// Operand scales over the output's, Q12.
    multipliers: [i32; 2],
    limits: (i16, i16),
}

impl QOp for QAdd {
    fn detail(&self) -> String {
        format!("* {:?} / 4096 clamp {}..{}", self.multipliers, self.limits.0, self.limits.1)
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
        let (a, b, (min, max)) = (placed.input(0)?.id, placed.input(1)?.id, self.limits);
        Ok(AddStep { combine: Combine::Sum, a, b, output: placed.output.id, multipliers: self.multipliers, min, max }
            .into())
    }
}

/// Reads an Add of two tensors, or arithmetic of a tensor and a constant, which is a scale and a shift.
fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&[])?;
    let meant: Meant = match node.operator() {
        "Sub" => |c, first| match first {
            true => Some((vec![-1.0; c.len()], c)),
            false => Some((vec![1.0; c.len()], c.iter().map(|v| -v).collect())),
        },
        "Div" => |c, first| {
            let divides = !first && c.iter().all(|&v| v != 0.0);
            divides.then(|| (c.iter().map(|v| 1.0 / v).collect(), vec![0.0; c.len()]))
        },
        _ => |c, _| Some((vec![1.0; c.len()], c)),
    };
    if import_with_constant(importer, node, meant)? {
        return Ok(());
    }
    if node.operator() != "Add" {
        return Err(node.unsupported("operands", "two tensors", "a tensor and a constant"));
    }
    let (a, b) = (importer.view(node, 0)?, importer.view(node, 1)?);
    if a.shape != b.shape || a.dims != b.dims {
        let shapes = format!("{:?} and {:?}", a.lengths(), b.lengths());
        return Err(node.unsupported("operands", shapes, "equal shapes"));
    }
    let id = importer.emit(node, Add { limits: Limits::NONE }, vec![a.tensor, b.tensor], a.shape)?;
    importer.define(node, 0, a.on(id))
}
