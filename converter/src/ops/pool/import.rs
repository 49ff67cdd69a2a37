//! Reads pools over maps with their channels first.

use super::{
    super::{
        add::largest,
        along::{Sums, summed},
        arrange::whole,
        depthwise::Depthwise,
        moves::{Move, Part},
        select::gathered,
        window::{Geometry, Windows, as_map, made, narrowed, pair},
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
    if node.operator().starts_with("Global") {
        node.only(&[])?;
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
        if node.ints("kernel_shape")?.is_none() {
            return Err(node.wrong("kernel_shape is missing"));
        }
    }
    if node.outputs().iter().skip(1).any(|o| !o.is_empty()) {
        return Err(node.unsupported("outputs", "Indices", "one output: the values, not where they were"));
    }
    let x = importer.view(node, 0)?;
    let made = match x.lengths()[..] {
        [n, c, d, h, w] => of_volume(importer, node, &x, [n, c, d, h, w])?,
        _ => of_map(importer, node, &x)?,
    };
    importer.define(node, 0, made)
}

/// Over three spatial dimensions: over the last two, then over the first, as the largest of largest ones is the largest of all, and
/// a window has as many values inside the map along each as along any other.
fn of_volume(importer: &mut Importer, node: &Node, x: &View, [n, c, d, h, w]: [usize; 5]) -> Result<View, Error> {
    let wrong = || node.unsupported("input", format!("{:?}", [n, c, d, h, w]), "whole dimensions, no time");
    let cut = |x: &View, lengths: &[usize]| x.reshape(lengths).ok_or_else(wrong);
    let x = whole(importer, node, x.clone())?;
    if node.operator().starts_with("Global") {
        let made = of_map(importer, node, &cut(&x, &[n, c, d, h.saturating_mul(w)])?)?;
        return cut(&made, &[n, c, 1, 1, 1]);
    }
    let plane = narrowed(node, 3, &[Some(1), Some(2)]);
    let planes = of_map(importer, &Node::new(&plane, node.opset), &cut(&x, &[n, c.saturating_mul(d), h, w])?)?;
    let [h, w] = [2, 3].map(|dim| planes.dims[dim].length());
    let deep = narrowed(node, 3, &[Some(0), None]);
    let made = of_map(importer, &Node::new(&deep, node.opset), &cut(&planes, &[n, c, d, h.saturating_mul(w)])?)?;
    let d = made.dims[2].length();
    cut(&made, &[n, c, d, h, w])
}

/// Over one or two spatial dimensions.
fn of_map(importer: &mut Importer, node: &Node, x: &View) -> Result<View, Error> {
    let spatial = x.dims.len().saturating_sub(2);
    let x = as_map(importer, node, x)?;
    let kind = if node.operator().contains("Average") { Kind::Mean } else { Kind::Maximum };
    let input = x.shape;
    if node.operator().starts_with("Global") {
        let id = pooled(importer, node, &x, (Geometry::whole(input), kind), [1, 1])?;
        return Ok(made(id, [1, 1, input[2]], x.steps, spatial));
    }
    let kernel = pair(node, "kernel_shape", 1, spatial, 1..=65535)?;
    let windows = Windows::import(node, kernel, input, spatial)?;
    let zeros = node.int("count_include_pad")?.unwrap_or(0) != 0;
    let of = |id: TensorId, x: &View| made(id, [windows.out[0], windows.out[1], input[2]], x.steps, spatial);
    Ok(match (kind, windows.geometry.dilation) {
        (Kind::Maximum, [1, 1]) => {
            touching(node, &windows, &x)?;
            of(pooled(importer, node, &x, (windows.geometry, kind), windows.out)?, &x)
        }
        (Kind::Maximum, _) => dilated_maximum(importer, node, x, windows, spatial)?,
        (_, [1, 1]) => of(average(importer, node, &x, windows, zeros)?, &x),
        _ => dilated_average(importer, node, x, windows, zeros, spatial)?,
    })
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

/// An average of values that lie apart is a depthwise convolution where all windows have as many, else a sum along each side: of
/// what a window has inside the map, as many stand along one side wherever it is along the other.
fn dilated_average(
    importer: &mut Importer,
    node: &Node,
    mut x: View,
    windows: Windows,
    zeros: bool,
    spatial: usize,
) -> Result<View, Error> {
    let Windows { geometry: g, out, end } = windows;
    if g.leaves(x.shape, out) && !zeros || beyond(windows, &x) {
        for d in 2 - spatial..2 {
            if (g.kernel[d], g.stride[d], out[d]) == (1, 1, x.shape[d]) {
                continue;
            }
            let mut sums = Sums::zeros(importer, node, [x.shape[d], out[d]])?;
            for (at, row) in sums.weight.chunks_exact_mut(x.shape[d]).enumerate() {
                let taps = || (0..g.kernel[d]).map(move |tap| at * g.stride[d] + tap * g.dilation[d]);
                let inside = || taps().filter_map(|p| p.checked_sub(g.pad[d]).filter(|&p| p < x.shape[d]));
                let counted = if zeros {
                    taps().filter(|&p| p < g.pad[d] + x.shape[d] + end[d]).count()
                } else {
                    inside().count()
                };
                if counted == 0 {
                    return Err(node.unsupported("pads", "a window with nothing inside the map", "smaller padding"));
                }
                inside().for_each(|p| row[p] = 1.0 / counted as f32);
            }
            // Of dimensions [1, channels, height, width] or [1, channels, width].
            let made = summed(importer, node, x, d + spatial, sums)?;
            x = as_map(importer, node, &made)?;
        }
        return Ok(x);
    }
    if let Some(taps) = g.kernel.iter().find(|&&k| k > 255) {
        return Err(node.unsupported("kernel_shape", taps, "1..=255 with dilations"));
    }
    let (taps, channels) = (g.kernel[0] * g.kernel[1], x.shape[2]);
    importer.charge(node, "a weight for each tap", channels.saturating_mul(taps * size_of::<f32>()))?;
    let weight = vec![1.0 / taps as f32; channels * taps];
    let convolution = Depthwise { geometry: g, weight, bias: vec![0.0; channels], limits: Limits::NONE };
    let shape = [out[0], out[1], channels];
    let id = importer.emit(node, convolution, vec![x.tensor], shape)?;
    Ok(made(id, shape, x.steps, spatial))
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
