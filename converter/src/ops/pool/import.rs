//! Reads pools over maps with their channels first.

use super::{
    super::{
        add::largest,
        depthwise::Depthwise,
        moves::{Move, Part},
        select::gathered,
        window::{Geometry, Windows, as_map, made, map, pair},
    },
    Kind, pooled,
};
use crate::{
    epilogue::Limits,
    error::Error,
    importer::{Import, Importer},
    onnx::Node,
    shape::{Shape, TensorId},
    view::{Loop, View},
};

/// Most taps along a side of a maximum of values that lie apart: each is a step.
const MOST_TAPS: usize = 16;

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[
    ("MaxPool", Import::new(import)),
    ("AveragePool", Import::new(import)),
    ("GlobalAveragePool", Import::new(import)),
    ("GlobalMaxPool", Import::new(import)),
];

fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    let (x, spatial) = map(importer, node)?;
    let kind = if node.operator().contains("Average") { Kind::Mean } else { Kind::Maximum };
    let input = x.shape;
    if node.operator().starts_with("Global") {
        node.only(&[])?;
        let id = pooled(importer, node, &x, (Geometry::whole(input), kind), [1, 1])?;
        return importer.define(node, 0, made(id, [1, 1, input[2]], x.steps, spatial));
    }
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
    let kernel = pair(node, "kernel_shape", 1, spatial, 1..=65535)?;
    let windows = Windows::import(node, kernel, input, spatial)?;
    let zeros = node.int("count_include_pad")?.unwrap_or(0) != 0;
    let of = |id: TensorId, x: &View| made(id, [windows.out[0], windows.out[1], input[2]], x.steps, spatial);
    let result = match (kind, windows.geometry.dilation) {
        (Kind::Maximum, [1, 1]) => {
            touching(node, &windows, &x)?;
            of(pooled(importer, node, &x, (windows.geometry, kind), windows.out)?, &x)
        }
        (Kind::Maximum, _) => dilated_maximum(importer, node, x, windows, spatial)?,
        (_, [1, 1]) => of(average(importer, node, &x, windows, zeros)?, &x),
        _ => of(dilated_average(importer, node, &x, windows, zeros)?, &x),
    };
    importer.define(node, 0, result)
}

/// Padding as wide as the window leaves windows with nothing in them.
fn touching(node: &Node, windows: &Windows, x: &View) -> Result<(), Error> {
    if windows.geometry.misses(x.shape, windows.out) {
        let supported = "padding smaller than the kernel";
        return Err(node.unsupported("pads", "a window with nothing inside the map", supported));
    }
    Ok(())
}

/// Does a window reach beyond the padding, as where their number is rounded up?
fn beyond(Windows { geometry: g, out, end }: Windows, x: &View) -> bool {
    let last = |d: usize| (out[d] - 1) * g.stride[d] + (g.kernel[d] - 1) * g.dilation[d] + 1;
    (0..2).any(|d| last(d) > g.pad[d] + x.shape[d] + end[d])
}

/// An average. `zeros`: padding counts as zeros, but what is beyond it does not count at all.
fn average(importer: &mut Importer, node: &Node, x: &View, windows: Windows, zeros: bool) -> Result<TensorId, Error> {
    let Windows { geometry: g, out, end } = windows;
    let inside = |g: Geometry, shape: Shape| {
        // What a larger window has beyond the map is outside it wherever the window stands.
        let kernel = [0, 1].map(|d| g.kernel[d].min(shape[d] + g.pad[d]));
        (Geometry { kernel, ..g }, Kind::MeanInside)
    };
    if !g.leaves(x.shape, out) {
        return pooled(importer, node, x, (g, Kind::Mean), out);
    }
    if !zeros {
        touching(node, &windows, x)?;
        return pooled(importer, node, x, inside(g, x.shape), out);
    }
    let beyond = beyond(windows, x);
    if !beyond && !g.misses(x.shape, out) {
        return pooled(importer, node, x, (g, Kind::Mean), out);
    }
    // With the zeros around it, what is left outside is what does not count.
    let x = surrounded(importer, node, x, g.pad, end)?;
    let g = Geometry { pad: [0, 0], ..g };
    let pool = if beyond { inside(g, x.shape) } else { (g, Kind::Mean) };
    pooled(importer, node, &x, pool, out)
}

/// A map with zeros around it.
fn surrounded(
    importer: &mut Importer,
    node: &Node,
    x: &View,
    before: [usize; 2],
    behind: [usize; 2],
) -> Result<View, Error> {
    let [h, w, c] = x.shape;
    let shape = [h + before[0] + behind[0], w + before[1] + behind[1], c];
    let along = |count: usize, step: [isize; 3]| Loop { count, from: step, to: step };
    let loops = vec![along(h, [1, 0, 0]), along(w, [0, 1, 0]), along(c, [0, 0, 1])];
    let part = Part { input: 0, shape: x.shape, from: [0; 3], to: [before[0], before[1], 0], loops };
    let tensor = importer.emit(node, Move { parts: vec![part], fill: 0.0, shape }, vec![x.tensor], shape)?;
    Ok(View { tensor, shape, ..x.clone() })
}

/// An average of values that lie apart is a depthwise convolution; only where all windows have as many.
fn dilated_average(
    importer: &mut Importer,
    node: &Node,
    x: &View,
    windows: Windows,
    zeros: bool,
) -> Result<TensorId, Error> {
    let Windows { geometry, out, .. } = windows;
    if geometry.leaves(x.shape, out) && !zeros || beyond(windows, x) {
        let what = format!("{:?} with windows that have less inside than others", geometry.dilation);
        return Err(node.unsupported("dilations", what, "1, or count_include_pad = 1 without ceil_mode"));
    }
    if let Some(taps) = geometry.kernel.iter().find(|&&k| k > 255) {
        return Err(node.unsupported("kernel_shape", taps, "1..=255 with dilations"));
    }
    let (taps, channels) = (geometry.kernel[0] * geometry.kernel[1], x.shape[2]);
    importer.charge(node, "a weight for each tap", channels.saturating_mul(taps * size_of::<f32>()))?;
    let weight = vec![1.0 / taps as f32; channels * taps];
    let convolution = Depthwise { geometry, weight, bias: vec![0.0; channels], limits: Limits::NONE };
    importer.emit(node, convolution, vec![x.tensor], [out[0], out[1], channels])
}

/// A maximum of values that lie apart: first along the rows, then along the columns, of one tensor for each tap. What a tap would
/// read outside the map, it reads where another tap of its window does.
fn dilated_maximum(
    importer: &mut Importer,
    node: &Node,
    x: View,
    Windows { geometry: g, out, .. }: Windows,
    spatial: usize,
) -> Result<View, Error> {
    let mut result = x.clone();
    for (d, &count) in out.iter().enumerate().skip(2 - spatial) {
        let place = |at: usize, tap: usize| {
            (at * g.stride[d] + tap * g.dilation[d]).checked_sub(g.pad[d]).filter(|&place| place < x.shape[d])
        };
        if g.kernel[d] > MOST_TAPS {
            return Err(node.unsupported("kernel_shape", g.kernel[d], &format!("1..={MOST_TAPS} with dilations")));
        }
        let mut most: Option<View> = None;
        for tap in 0..g.kernel[d] {
            let read = |at: usize| place(at, tap).or_else(|| (0..g.kernel[d]).find_map(|tap| place(at, tap)));
            let places = (0..count).map(read).collect::<Option<Vec<usize>>>();
            let places = places.ok_or_else(|| {
                node.unsupported("pads", "a window with nothing inside the map", "windows that have something")
            })?;
            // Of dimensions [1, channels, height, width] or [1, channels, width].
            let taken = gathered(importer, node, &result, d + spatial, &places)?;
            let taken = as_map(importer, node, &taken)?;
            most = Some(match most {
                None => taken,
                Some(most) => largest(importer, node, [most, taken])?,
            });
        }
        result = most.unwrap_or(result);
    }
    Ok(result)
}
