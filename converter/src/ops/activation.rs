//! Relu and Clip, and the Softmax at the end that is taken off.

use super::function::limited;
use crate::{
    axes,
    epilogue::{Epilogue, Limits},
    error::Error,
    graph::{Cost, Map, Meaning, Op, Pointwise, ScaleRule},
    importer::{Import, Importer},
    onnx::Node,
    qgraph::QOp,
    scale::Scale,
    shape::Shape,
    site::Site,
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[
    ("Relu", Import::new(import_clamp)),
    ("Clip", Import::new(import_clamp)),
    ("Softmax", Import::new(import_softmax).remark("at the end")),
];

/// Relu, or Clip with constant limits (attributes before operator set 11).
fn import_clamp(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    let limits = if node.operator() == "Relu" {
        node.only(&[])?;
        Limits { min: 0.0, ..Limits::NONE }
    } else {
        node.only(&["min", "max"])?;
        let limit = |index: usize, name: &str, none: f32| -> Result<f32, Error> {
            if node.input(index).is_none() {
                return Ok(node.float(name)?.unwrap_or(none));
            }
            let constant = importer.constant(node, index)?.and_then(|c| c.floats()).filter(|a| a.len() == 1);
            let value = constant.and_then(|a| a.iter().copied().next());
            value.ok_or_else(|| node.unsupported(name, "(not constant)", "one constant"))
        };
        Limits { min: limit(1, "min", f32::NEG_INFINITY)?, max: limit(2, "max", f32::INFINITY)? }
    };
    if limits.min.is_nan() || limits.max.is_nan() || limits.min > limits.max {
        return Err(node.wrong(format!("limits {limits}")));
    }
    let x = importer.view(node, 0)?;
    let made = limited(importer, node, x, limits)?;
    importer.define(node, 0, made)
}

/// What only stands at the end, and is not executed there.
#[derive(Debug)]
struct FinalSoftmax;

impl Op for FinalSoftmax {
    fn detail(&self) -> String {
        String::new()
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
        let largest = inputs[0].values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        out.iter_mut().zip(inputs[0].values).for_each(|(y, x)| *y = (x - largest).exp());
        let sum: f32 = out.iter().sum();
        out.iter_mut().for_each(|y| *y /= sum);
    }

    fn scale_rule(&self) -> ScaleRule {
        ScaleRule::OfValues
    }

    fn least_unit(&self, _: &[Scale]) -> f64 {
        0.0
    }

    fn quantize(&self, site: &Site) -> Result<Box<dyn QOp>, Error> {
        Err(site.wrong("is not the last node"))
    }

    fn alone(&self) -> Result<(), &'static str> {
        Err("as the last node, but for nodes that change no value")
    }

    fn follows(&self) -> Option<Epilogue<'_>> {
        None
    }

    fn absorb(&mut self, _: &Epilogue) -> bool {
        false
    }

    fn pointwise(&self) -> Option<Pointwise> {
        None
    }
}

/// Softmax over the classes: only as the last thing, where it does not change the order of the scores.
fn import_softmax(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["axis"])?;
    let x = importer.view(node, 0)?;
    let rank = x.dims.len();
    // Before operator set 13 the axis starts a flattened tail; with all classes in the last dimension both mean the same.
    let default = if node.opset < 13 { 1 } else { -1 };
    let axis = axes::axis(node, "axis", node.int("axis")?.unwrap_or(default), rank)?;
    let alone = x.dims.iter().enumerate().all(|(i, d)| i == axis || d.length() == 1);
    if !alone {
        return Err(node.unsupported("axis", axis, "the classes, all other dimensions being 1"));
    }
    if x.has_time() {
        return Err(node.unsupported("input", format!("{:?}", x.lengths()), "the last time step"));
    }
    let id = importer.emit(node, FinalSoftmax, vec![x.tensor], x.shape)?;
    importer.may_end(node, id, x.tensor, Meaning::Softmax);
    importer.define(node, 0, x.on(id))
}
