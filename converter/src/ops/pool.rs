//! MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool, and ReduceMean over height and width.

use escarp_runtime::{
    ops::{Divisor, PoolStep, Step},
    quant::SHIFT_MIN_WIDE,
};

use super::window::{Geometry, map, nchw};
use crate::{
    axes,
    blocks::Block,
    epilogue::{Epilogue, Limits},
    error::Error,
    graph::{Cost, Map, Op, ScaleRule},
    importer::{Import, Importer},
    onnx::Node,
    qgraph::{InPlace, Placed, QOp, State},
    rows::Rows,
    scale::{SMALLEST_FACTOR, Scale, multiplier},
    shape::{Shape, TensorId},
    site::Site,
    view::{Axis, View},
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[
    ("MaxPool", Import::new(import)),
    ("AveragePool", Import::new(import)),
    ("GlobalAveragePool", Import::new(import)),
    ("GlobalMaxPool", Import::new(import)),
    ("ReduceMean", Import::new(import_reduce_mean).remark("over height and width")),
];

/// Most values in an average: as many differences of at most 255 fit the runtime's i32.
const MOST_AVERAGED: usize = i32::MAX as usize / 255;

/// Windows' maximum or mean, for each channel.
#[derive(Debug)]
struct Pool {
    /// Windows; dilation is 1.
    geometry: Geometry,
    /// Mean, not maximum. Its windows lie inside the map.
    average: bool,
    limits: Limits,
}

impl Pool {
    /// Taps of a window.
    fn count(&self) -> usize {
        self.geometry.kernel[0] * self.geometry.kernel[1]
    }
}

impl Op for Pool {
    fn detail(&self) -> String {
        self.geometry.to_string()
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

    fn eval(&self, inputs: &[Map], _: &mut [f32], out: &mut [f32], out_shape: Shape) {
        let Map { values: x, shape } = inputs[0];
        let (channels, count) = (shape[2], self.count());
        out.fill(if self.average { 0.0 } else { f32::NEG_INFINITY });
        for (i, tap) in self.geometry.taps(shape, out_shape).enumerate() {
            let Some(p) = tap else { continue };
            let pixel = &mut out[i / count * channels..][..channels];
            for (y, &x) in pixel.iter_mut().zip(&x[p * channels..][..channels]) {
                *y = if self.average { *y + x / count as f32 } else { y.max(x) };
            }
        }
        out.iter_mut().for_each(|y| *y = self.limits.clamp(*y));
    }

    /// A maximum is one of its inputs and keeps their scale.
    fn scale_rule(&self) -> ScaleRule {
        if self.average { ScaleRule::OfValues } else { ScaleRule::OfInput }
    }

    /// The epilogue takes factors up to 2^14 from the sum's unit to the output's.
    fn least_unit(&self, inputs: &[Scale]) -> f64 {
        f64::from(inputs[0].scale) / self.count() as f64 / f64::from(1 << 14)
    }

    fn quantize(&self, site: &Site) -> Result<Box<dyn QOp>, Error> {
        let step = f64::from(site.inputs[0].scale) / self.count() as f64;
        let factor = || {
            let factor = (step / f64::from(site.output.scale)).max(SMALLEST_FACTOR);
            multiplier(factor, SHIFT_MIN_WIDE).ok_or_else(|| site.wrong(format!("a factor of {factor}")))
        };
        let average = self.average.then(factor).transpose()?;
        Ok(Box::new(QPool { geometry: self.geometry, average, limits: site.output.limits(self.limits) }))
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

/// A pool in integers.
#[derive(Debug)]
struct QPool {
    geometry: Geometry,
    /// Mean: multiplier and shift, 1/count in them. `None`: maximum.
    average: Option<(i32, u8)>,
    limits: (i16, i16),
}

impl QOp for QPool {
    fn detail(&self) -> String {
        format!("{} {:?} clamp {}..{}", self.geometry, self.average, self.limits.0, self.limits.1)
    }

    fn rows(&self) -> Vec<(&'static str, &Rows)> {
        vec![]
    }

    fn in_place(&self) -> InPlace {
        InPlace::No
    }

    fn states(&self) -> Vec<State> {
        vec![]
    }

    fn constants(&self) -> Vec<Block> {
        vec![]
    }

    fn record(&self, placed: &Placed) -> Result<Step, Error> {
        let (g, x, (min, max)) = (self.geometry, placed.input(0)?, self.limits);
        let [h, w, _] = x.shape;
        // What a larger window has beyond the map is outside it wherever the window stands: no maximum sees it.
        let kernel = [g.kernel[0].min(h + g.pad[0]), g.kernel[1].min(w + g.pad[1])];
        let step = PoolStep {
            input: x.id,
            output: placed.output.id,
            kernel: placed.pair("window", kernel)?,
            stride: placed.pair("stride", g.stride)?,
            pad: placed.pair("padding", g.pad)?,
            average: self.average.map(|(multiplier, shift)| Divisor::All(multiplier, shift)),
            min,
            max,
        };
        Ok(step.into())
    }
}

/// Reads a pool over an NCHW map.
fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    let x = importer.view(node, 0)?;
    let input = map(node, &x)?;
    let average = node.operator().contains("Average");
    let (geometry, [oh, ow]) = if node.operator().starts_with("Global") {
        node.only(&[])?;
        (Geometry::whole(input), [1, 1])
    } else {
        node.only(&[
            "auto_pad",
            "ceil_mode",
            "count_include_pad",
            "dilations",
            "kernel_shape",
            "pads",
            "storage_order",
            "strides",
        ])?;
        if node.outputs().iter().skip(1).any(|o| !o.is_empty()) {
            return Err(node.unsupported("outputs", "Indices", "one output"));
        }
        if node.ints("kernel_shape")?.is_none() {
            return Err(node.wrong("kernel_shape is missing"));
        }
        let kernel = node.sizes("kernel_shape", [1, 1], 1..=65535)?;
        Geometry::import(node, kernel, input)?
    };
    if geometry.dilation != [1, 1] {
        return Err(node.unsupported("dilations", format!("{:?}", geometry.dilation), "1"));
    }
    if average && geometry.leaves(input, [oh, ow]) {
        return Err(node.unsupported("pads", "windows outside the map", "none for averages"));
    }
    // Padding as wide as the window leaves windows with nothing in them.
    if geometry.misses(input, [oh, ow]) {
        return Err(node.unsupported(
            "pads",
            "a window with nothing inside the map",
            "padding smaller than the kernel",
        ));
    }
    // The mean of one value is that value.
    let average = average && geometry.kernel != [1, 1];
    emit(importer, node, &x, Pool { geometry, average, limits: Limits::NONE }, [oh, ow])
        .and_then(|id| importer.define(node, 0, nchw(id, [oh, ow, input[2]], x.steps)))
}

/// ReduceMean over exactly height and width.
fn import_reduce_mean(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["axes", "keepdims", "noop_with_empty_axes"])?;
    let x = importer.view(node, 0)?;
    let axes = axes::axes(node, importer.constant(node, 1)?, x.dims.len())?.unwrap_or_default();
    let over: Vec<Axis> = axes.iter().flat_map(|&a| x.dims[a].axes.iter().copied()).collect();
    let wanted: Vec<Axis> = [Axis::Height, Axis::Width].into_iter().filter(|&a| x.length(a) > 1).collect();
    if axes.is_empty() || over.len() != wanted.len() || !wanted.iter().all(|a| over.contains(a)) {
        return Err(node.unsupported("axes", format!("{axes:?}"), "height and width"));
    }
    let geometry = Geometry::whole(x.shape);
    let average = geometry.kernel != [1, 1];
    let id = emit(importer, node, &x, Pool { geometry, average, limits: Limits::NONE }, [1, 1])?;
    let keep = node.int("keepdims")?.unwrap_or(1) != 0;
    let mut view = View { tensor: id, shape: [1, 1, x.shape[2]], ..x.clone() };
    for &axis in axes.iter().rev() {
        if keep {
            view.dims[axis] = View::new(id, view.shape, view.steps, &[None]).dims.remove(0);
        } else {
            view.dims.remove(axis);
        }
    }
    importer.define(node, 0, view)
}

fn emit(importer: &mut Importer, node: &Node, x: &View, pool: Pool, [oh, ow]: [usize; 2]) -> Result<TensorId, Error> {
    if pool.average && pool.count() > MOST_AVERAGED {
        let [h, w] = pool.geometry.kernel;
        return Err(node.wrong(format!("an average over {h}x{w} values; allowed: {MOST_AVERAGED}")));
    }
    importer.emit(node, pool, vec![x.tensor], [oh, ow, x.shape[2]])
}
