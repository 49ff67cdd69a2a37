//! ArgMax and ArgMin: which of a dimension is the largest or smallest, the first where several are. An output: nothing computes with
//! it.

use escarp_runtime::ops::{ArgmaxStep, Step};

use super::{
    arrange::whole,
    function::{Function, applied},
    softmax::as_channels,
};
use crate::{
    axes,
    blocks::Block,
    epilogue::Epilogue,
    error::Error,
    exporter::{Exported, Exporter},
    graph::{Channels, Cost, Map, Op, Pointwise, Products, ScaleRule, Widths},
    importer::{Import, Importer},
    onnx::Node,
    proto::int,
    qgraph::{InPlace, Placed, QOp, State},
    rows::Rows,
    scale::Scale,
    shape::Shape,
    site::Site,
    view::{Dim, View},
};

/// What is read here.
pub const ONNX: &[(&str, Import)] =
    &[("ArgMax", Import::new(import).remark("as an output")), ("ArgMin", Import::new(import).remark("as an output"))];

/// Over the channels of each pixel.
#[derive(Clone, Copy, Debug)]
struct Argmax;

impl Op for Argmax {
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
        let Map { values, shape: [_, _, channels] } = inputs[0];
        for (y, pixel) in out.iter_mut().zip(values.chunks_exact(channels)) {
            let largest = (0..channels).reduce(|best, c| if pixel[c] > pixel[best] { c } else { best });
            *y = largest.unwrap_or(0) as f32;
        }
    }

    fn scale_rule(&self) -> ScaleRule {
        ScaleRule::Number
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

    fn quantize(&self, _: &Site) -> Result<Box<dyn QOp>, Error> {
        Ok(Box::new(*self))
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
        None
    }

    fn absorb(&mut self, _: &Epilogue) -> bool {
        false
    }

    fn pointwise(&self) -> Option<Pointwise> {
        None
    }

    fn export(&self, to: &mut Exporter, site: &Exported) -> Result<String, Error> {
        Ok(to.node("ArgMax", site.node, &[site.input(0)?.value], vec![int("axis", 1), int("keepdims", 1)]))
    }
}

/// The same in integers.
impl QOp for Argmax {
    fn detail(&self) -> String {
        String::new()
    }

    fn rows(&self) -> Vec<(&'static str, &Rows)> {
        vec![]
    }

    fn refined(&mut self) -> Option<&mut Rows> {
        None
    }

    fn in_place(&self) -> InPlace {
        InPlace::No
    }

    fn states(&self) -> Vec<State> {
        vec![]
    }

    fn constants(&self) -> Result<Vec<Block>, Error> {
        Ok(vec![])
    }

    fn records(&self, placed: &Placed) -> Result<Vec<Step>, Error> {
        Ok(vec![ArgmaxStep { input: placed.input(0)?.id, output: placed.output.id }.into()])
    }
}

fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["axis", "keepdims", "select_last_index"])?;
    if node.int("select_last_index")?.unwrap_or(0) != 0 {
        return Err(node.unsupported("select_last_index", 1, "0"));
    }
    let x = importer.view(node, 0)?;
    let axis = axes::axis(node, "axis", node.int("axis")?.unwrap_or(0), x.dims.len())?;
    if x.dims[axis].has_time() {
        return Err(node.unsupported("axis", axis, "dimensions of one time step"));
    }
    let x = match node.operator() {
        "ArgMin" => applied(importer, node, x, Function::Neg)?,
        _ => whole(importer, node, x)?,
    };
    let x = as_channels(importer, node, x, &[axis])?;
    let shape = [x.shape[0], x.shape[1], 1];
    let tensor = importer.emit(node, Argmax, vec![x.tensor], shape)?;
    let mut made = View { tensor, shape, ..x };
    match node.int("keepdims")?.unwrap_or(1) {
        0 => drop(made.dims.remove(axis)),
        _ => made.dims[axis] = Dim::ONE,
    }
    importer.define(node, 0, made)
}
