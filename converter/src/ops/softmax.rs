//! Softmax: at the end of a classifier it is taken off, else it is a step over the channels of each pixel. LogSoftmax is put together:
//! `x - max - ln(sum of exp(x - max))`.

use escarp_runtime::{
    format::PARAMS_ALIGN,
    ops::{EXPONENTIAL_MAX, SOFTMAX_SCALE, SoftmaxStep, Step},
};

use super::{
    add::difference,
    arrange::{moved, whole},
    function::{Function, applied},
    pool::Kind,
    reduce::{as_rows, reduced},
};
use crate::{
    axes,
    blocks::Block,
    epilogue::Epilogue,
    error::Error,
    exporter::{Exported, Exporter},
    graph::{Channels, Cost, Map, Meaning, Op, Pointwise, Products, ScaleRule, Widths},
    importer::{Import, Importer},
    onnx::Node,
    proto::int,
    qgraph::{InPlace, Placed, QOp, State},
    rows::Rows,
    scale::{Scale, nearest_i64},
    shape::Shape,
    site::Site,
    view::{Axis, Dim, Run, View},
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[("Softmax", Import::new(import)), ("LogSoftmax", Import::new(import))];

/// Over the channels of each pixel.
#[derive(Debug)]
struct ChannelSoftmax;

impl Op for ChannelSoftmax {
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

    fn eval(&self, inputs: &[Map], _: &mut [f32], out: &mut [f32], [_, _, channels]: Shape) {
        for (out, values) in out.chunks_exact_mut(channels).zip(inputs[0].values.chunks_exact(channels)) {
            let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            out.iter_mut().zip(values).for_each(|(y, x)| *y = libm::expf(x - largest));
            let sum: f32 = out.iter().sum();
            out.iter_mut().for_each(|y| *y /= sum);
        }
    }

    fn scale_rule(&self) -> ScaleRule {
        ScaleRule::Fixed(Scale::int8(SOFTMAX_SCALE, i8::MIN))
    }

    fn least_unit(&self, _: &[Scale], _: bool) -> f64 {
        0.0
    }

    fn widths(&self) -> Widths {
        Widths::Int8
    }

    fn room(&self, _: f64) -> f64 {
        i16::MAX.into()
    }

    fn quantize(&self, site: &Site) -> Result<Box<dyn QOp>, Error> {
        let unit = f64::from(site.inputs[0].scale);
        let entry = |d: u32| libm::exp(-unit * f64::from(d)) * f64::from(EXPONENTIAL_MAX);
        // From 1 down to 0, times a number that fits.
        let table = (0..=u32::from(u8::MAX)).map(|d| u32::try_from(nearest_i64(entry(d))).unwrap_or(0));
        Ok(Box::new(QSoftmax { table: table.collect() }))
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
        Ok(to.node("Softmax", site.node, &[site.input(0)?.value], vec![int("axis", 1)]))
    }
}

/// A softmax in integers.
#[derive(Debug)]
struct QSoftmax {
    /// The exponential of 0, -1, -2 ... units of the input.
    table: Vec<u32>,
}

impl QOp for QSoftmax {
    fn detail(&self) -> String {
        let none = self.table.iter().take_while(|&&e| e > 0).count();
        format!("nothing from {none} units below the largest on")
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
        let bytes = self.table.iter().flat_map(|e| e.to_le_bytes()).collect();
        Ok(vec![Block { bytes, alignment: PARAMS_ALIGN, weights: None }])
    }

    fn records(&self, placed: &Placed) -> Result<Vec<Step>, Error> {
        let [table] = placed.constants()?;
        Ok(vec![SoftmaxStep { input: placed.input(0)?.id, output: placed.output.id, table }.into()])
    }
}

/// Over one dimension, before operator set 13 over a tail of them.
fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["axis"])?;
    let x = importer.view(node, 0)?;
    let (rank, tail) = (x.dims.len(), node.opset < 13);
    let axis = axes::axis(node, "axis", node.int("axis")?.unwrap_or(if tail { 1 } else { -1 }), rank)?;
    let over: Vec<usize> = if tail { (axis..rank).collect() } else { vec![axis] };
    if over.iter().any(|&dim| x.dims[dim].has_time()) {
        return Err(node.unsupported("axis", axis, "dimensions of one time step"));
    }
    if node.operator() == "LogSoftmax" {
        let made = logarithm(importer, node, x, &over)?;
        return importer.define(node, 0, made);
    }
    let x = whole(importer, node, x)?;
    // A classifier's: all values are classes of one pixel, in any order.
    let classes = |dim: usize| over.contains(&dim) || x.dims[dim].length() == 1 && !x.dims[dim].has_time();
    let classifies = (0..rank).all(classes) && x.shape[0] * x.shape[1] == 1;
    let x = if classifies { x } else { as_channels(importer, node, x, &over)? };
    let id = importer.emit(node, ChannelSoftmax, vec![x.tensor], x.shape)?;
    if classifies {
        importer.may_end(node, id, x.tensor, Meaning::Softmax);
    } else {
        importer.means(id, Meaning::Probabilities);
    }
    importer.define(node, 0, x.on(id))
}

/// Those dimensions as the channels of a map, moved there if they are not.
pub fn as_channels(importer: &mut Importer, node: &Node, x: View, over: &[usize]) -> Result<View, Error> {
    let runs = |dim: &usize| x.dims[*dim].runs.iter().map(|r| r.axis);
    let channels: usize = over.iter().map(|&dim| x.dims[dim].length()).product();
    if over.iter().flat_map(runs).all(|axis| axis == Axis::Channel) && channels == x.shape[2] {
        return Ok(x);
    }
    // Rows become channels, columns rows, channels columns.
    let rows = as_rows(&x, over);
    let turned = |axis: Axis| match axis {
        Axis::Height => Axis::Channel,
        Axis::Width => Axis::Height,
        Axis::Channel => Axis::Width,
        Axis::Time => Axis::Time,
    };
    let dim = |dim: &Dim| Dim::new(dim.runs.iter().map(|&run| Run { axis: turned(run.axis), ..run }));
    let [c, h, w] = rows.shape;
    let to = View { shape: [h, w, c], dims: rows.dims.iter().map(dim).collect(), ..rows };
    moved(importer, node, &x, &to)
}

/// The logarithm of a softmax. The sum has its largest summand 1, so that nothing is lost however small the others are.
fn logarithm(importer: &mut Importer, node: &Node, x: View, over: &[usize]) -> Result<View, Error> {
    // A row for each class. In one column, the largest values of all rows are one pixel, which meets each row's.
    let x = whole(importer, node, x)?;
    let mut to = as_rows(&x, over);
    let [classes, columns, channels] = to.shape;
    if columns.saturating_mul(channels) <= usize::from(u16::MAX) {
        to.shape = [classes, 1, columns * channels];
        let merged = |run: &Run| match run.axis {
            Axis::Width => Run { axis: Axis::Channel, stride: run.stride * channels.cast_signed(), ..*run },
            _ => *run,
        };
        to.dims.iter_mut().for_each(|dim| *dim = Dim::new(dim.runs.iter().map(merged).collect::<Vec<_>>()));
    }
    let x = if to == x { x } else { moved(importer, node, &x, &to)? };
    let largest = reduced(importer, node, x.clone(), over, Kind::Maximum)?;
    let below = difference(importer, node, [x, largest])?;
    let exponential = applied(importer, node, below.clone(), Function::Exp)?;
    let sum = reduced(importer, node, exponential, over, Kind::Sum)?;
    let logarithm = applied(importer, node, sum, Function::Log)?;
    difference(importer, node, [below, logarithm])
}
