//! MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool, and ReduceMean over height and width.

use crate::{
    axes,
    error::Error,
    import::Importer,
    onnx::Node,
    ops::{
        Op,
        conv::{self, Geometry},
    },
    shape::Shape,
    view::{Axis, View},
};

/// Most values in an average: as many differences of at most 255 fit the runtime's i32.
const MOST_AVERAGED: usize = i32::MAX as usize / 255;

/// Windows' maximum or mean, for each channel.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// Windows; dilation is 1.
    pub geometry: Geometry,
    /// Mean, not maximum. Its windows lie inside the map.
    pub average: bool,
    /// Lower limit.
    pub min: f32,
    /// Upper limit.
    pub max: f32,
}

impl Pool {
    /// Taps of a window.
    pub fn count(&self) -> usize {
        self.geometry.kernel[0] * self.geometry.kernel[1]
    }

    /// f32.
    pub fn eval(&self, x: &[f32], shape: Shape, out: &mut [f32], out_shape: Shape) {
        let (channels, count) = (shape[2], self.count());
        out.fill(if self.average { 0.0 } else { f32::NEG_INFINITY });
        for (i, tap) in self.geometry.taps(shape, out_shape).enumerate() {
            let Some(p) = tap else { continue };
            let pixel = &mut out[i / count * channels..][..channels];
            for (y, &x) in pixel.iter_mut().zip(&x[p * channels..][..channels]) {
                *y = if self.average { *y + x / count as f32 } else { y.max(x) };
            }
        }
        out.iter_mut().for_each(|y| *y = y.clamp(self.min, self.max));
    }
}

/// Reads a pool over an NCHW map.
pub fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    let x = importer.view(node, 0)?;
    let input = conv::map(node, &x)?;
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
    emit(importer, node, &x, Pool { geometry, average, min: f32::NEG_INFINITY, max: f32::INFINITY }, [oh, ow])
        .and_then(|id| importer.define(node, 0, conv::nchw(id, [oh, ow, input[2]], x.steps)))
}

/// ReduceMean over exactly height and width.
pub fn import_reduce_mean(importer: &mut Importer, node: &Node) -> Result<(), Error> {
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
    let id = emit(importer, node, &x, Pool { geometry, average, min: f32::NEG_INFINITY, max: f32::INFINITY }, [1, 1])?;
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

fn emit(importer: &mut Importer, node: &Node, x: &View, pool: Pool, [oh, ow]: [usize; 2]) -> Result<usize, Error> {
    if pool.average && pool.count() > MOST_AVERAGED {
        let [h, w] = pool.geometry.kernel;
        return Err(node.wrong(format!("an average over {h}x{w} values; allowed: {MOST_AVERAGED}")));
    }
    importer.emit(node, Op::Pool(pool), vec![x.tensor], [oh, ow, x.shape[2]])
}
