//! Reads a ConvTranspose: the input's pixels are spread `stride` apart over zeros, and a convolution whose kernel is turned round goes
//! over them. Output position `p` takes the tap `k` of input position `i` where `i * stride + k * dilation - before = p`: with the first
//! pixel at `reach - 1 - before` of the spread input that is a plain convolution without padding. It multiplies the zeros too.

use ndarray::{ArrayD, Axis as Along, concatenate};

use super::{
    super::{
        moves::{Move, Part},
        window::{Geometry, as_map, made, narrowed, pair},
    },
    import::{Kernel, emit, groups, weights},
};
use crate::{
    error::Error,
    importer::Importer,
    onnx::Node,
    shape::TensorId,
    view::{Axis, View},
};

const MAP: [Axis; 3] = [Axis::Height, Axis::Width, Axis::Channel];

/// Adds the operation.
pub fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&[
        "auto_pad",
        "dilations",
        "group",
        "kernel_shape",
        "pads",
        "strides",
        "output_padding",
        "output_shape",
    ])?;
    let x = importer.view(node, 0)?;
    let made = match x.dims.len() {
        5 => of_volume(importer, node, &x)?,
        _ => {
            let spatial = x.dims.len().saturating_sub(2);
            let weight = weights(importer, node, spatial)?;
            if weight.is_empty() {
                return Err(node.wrong(format!("weights {:?}", weight.shape())));
            }
            let bias = importer.bias(node, 2, weight.shape()[1].saturating_mul(groups(node, weight.shape()[0])?))?;
            of_map(importer, node, x, weight, &bias)?
        }
    };
    importer.define(node, 0, made)
}

/// Of a map, or of several: each is a group of channels then.
fn of_map(importer: &mut Importer, node: &Node, x: View, mut weight: ArrayD<f32>, bias: &[f32]) -> Result<View, Error> {
    let spatial = x.dims.len().saturating_sub(2);
    let lengths = x.lengths();
    let count = if spatial == 0 { 1 } else { lengths[0] };
    let (mut groups, mut bias) = (groups(node, weight.shape()[0])?, bias.to_vec());
    if spatial > 0 && weight.shape()[0] != lengths[1] {
        let (shape, channels) = (weight.shape(), lengths[1]);
        return Err(node.wrong(format!("weights {shape:?} do not fit an input of {channels} channels")));
    }
    let mut one = x.clone();
    if count > 1 {
        let bytes = weight.len().saturating_mul(count).saturating_mul(size_of::<f32>());
        importer.charge(node, "its weights for each of the batch", bytes)?;
        let mut merged = vec![1, count.saturating_mul(lengths[1])];
        merged.extend(&lengths[2..]);
        one = x.reshape(&merged).ok_or_else(|| node.unsupported("input", format!("{lengths:?}"), "a batch of 1"))?;
        let views = vec![weight.view(); count];
        weight = concatenate(Along(0), &views).map_err(|e| node.wrong(e.to_string()))?;
        (groups, bias) = (groups * count, bias.repeat(count));
    }
    let x = as_map(importer, node, &one)?;
    let [h, w, _] = x.shape;
    let [_, per_group, kh, kw] = weight.shape().try_into().unwrap_or([0; 4]);
    if per_group == 0 {
        return Err(node.wrong(format!("weights {:?} make no channels", weight.shape())));
    }
    let stride = pair(node, "strides", 1, spatial, 1..=255)?;
    let dilation = pair(node, "dilations", 1, spatial, 1..=255)?;
    let extra = pair(node, "output_padding", 0, spatial, 0..=255)?;
    let extra = if spatial == 1 { [0, extra[1]] } else { extra };
    let reach = [(kh - 1) * dilation[0] + 1, (kw - 1) * dilation[1] + 1];
    let whole = [0, 1].map(|d| ([h, w][d] - 1) * stride[d] + reach[d] + extra[d]);
    let (before, size) = output(node, [h, w], stride, whole, spatial)?;
    let spread = spread(importer, node, &x, &Spread { stride, reach, before, size })?;
    let geometry = Geometry { kernel: [kh, kw], stride: [1, 1], dilation, pad: [0, 0] };
    let out = per_group * groups;
    let shape = [size[0], size[1], out];
    let kernel = Kernel { geometry, groups, weight: turned(&weight, groups), bias };
    let id = emit(importer, node, spread, kernel, shape)?;
    let made = made(id, shape, x.steps, spatial);
    if count == 1 {
        return Ok(made);
    }
    let mut lengths = made.lengths();
    lengths.splice(..2, [count, out / count]);
    made.reshape(&lengths).ok_or_else(|| node.wrong(format!("an output of {lengths:?}")))
}

/// Of a volume: each channel's planes are channels, and the weights between two planes those of the tap that is between them.
fn of_volume(importer: &mut Importer, node: &Node, x: &View) -> Result<View, Error> {
    let given = importer.weights(node, 1)?;
    let (Ok([n, c, d, h, w]), Ok([ins, per_group, kd, kh, kw])) =
        (<[usize; 5]>::try_from(x.lengths()), <[usize; 5]>::try_from(given.shape()))
    else {
        return Err(node.unsupported(
            "W",
            format!("{:?}", given.shape()),
            "[channels, channels, depth, height, width]",
        ));
    };
    let groups = groups(node, ins)?;
    if ins != c || given.is_empty() || node.ints("output_shape")?.is_some() || node.text("auto_pad")?.is_some() {
        let what = format!("weights {:?}, an input of {:?}, output_shape or auto_pad", given.shape(), x.lengths());
        return Err(node.unsupported("input", what, "of three spatial dimensions those that fit, and pads"));
    }
    let [stride, dilation] = [node.sizes("strides", [1; 3], 1..=255)?[0], node.sizes("dilations", [1; 3], 1..=255)?[0]];
    let (extra, pads) = (node.sizes("output_padding", [0; 3], 0..=255)?[0], node.sizes("pads", [0; 6], 0..=255)?);
    let planes = ((d - 1) * stride + (kd - 1) * dilation + 1 + extra).checked_sub(pads[0] + pads[3]).filter(|&p| p > 0);
    let planes = planes.ok_or_else(|| node.wrong(format!("pads {pads:?} leave nothing of {d} planes")))?;
    let dims = [c.saturating_mul(d), per_group.saturating_mul(planes), kh, kw];
    let bytes = dims.iter().fold(3 * size_of::<f32>(), |all, &n| all.saturating_mul(n));
    importer.charge(node, "its weights between planes", bytes)?;
    let weight = ArrayD::from_shape_fn(dims.to_vec(), |at| {
        let (from, to) = (at[0] % d, at[1] % planes);
        let tap =
            (to + pads[0]).checked_sub(from * stride).filter(|t| t.is_multiple_of(dilation)).map(|t| t / dilation);
        tap.filter(|&tap| tap < kd).map_or(0.0, |tap| given[[at[0] / d, at[1] / planes, tap, at[2], at[3]]])
    });
    let bias = importer.bias(node, 2, per_group * groups)?;
    let bias: Vec<f32> = bias.iter().flat_map(|&b| vec![b; planes]).collect();
    let flat = x.reshape(&[n, c.saturating_mul(d), h, w]);
    let flat = flat.ok_or_else(|| node.unsupported("input", format!("{:?}", x.lengths()), "no time"))?;
    let plane = narrowed(node, 3, &[Some(1), Some(2)]);
    let made = of_map(importer, &Node::new(&plane, node.opset), flat, weight, &bias)?;
    let lengths = [&[n, per_group * groups, planes], &made.lengths()[2..]].concat();
    made.reshape(&lengths).ok_or_else(|| node.wrong(format!("an output of {lengths:?}")))
}

/// How much of the whole output is cut off before it, and how much is left, for height and width.
fn output(
    node: &Node,
    input: [usize; 2],
    stride: [usize; 2],
    whole: [usize; 2],
    spatial: usize,
) -> Result<([usize; 2], [usize; 2]), Error> {
    let auto = node.text("auto_pad")?.unwrap_or_else(|| "NOTSET".into());
    let wanted = match auto.as_str() {
        _ if node.ints("output_shape")?.is_some() => Some(output_shape(node, spatial)?),
        "SAME_UPPER" | "SAME_LOWER" => Some([0, 1].map(|d| input[d] * stride[d])),
        "NOTSET" | "VALID" => None,
        _ => return Err(node.unsupported("auto_pad", auto, "NOTSET, VALID, SAME_UPPER, SAME_LOWER")),
    };
    if let Some(wanted) = wanted {
        let total = [0, 1].map(|d| whole[d].saturating_sub(wanted[d]));
        // ONNX: only SAME_UPPER has the larger half behind.
        let first = total.map(|t| if auto == "SAME_UPPER" { t / 2 } else { t.div_ceil(2) });
        // What of a told shape is more than the whole lies behind it, where nothing of the input reaches.
        let told = node.ints("output_shape")?.is_some();
        let fits = |d: usize| (1..=usize::from(u16::MAX)).contains(&wanted[d]) && (told || wanted[d] <= whole[d]);
        return match fits(0) && fits(1) {
            true => Ok((first, wanted)),
            false => Err(node.wrong(format!("an output of {wanted:?} from a whole one of {whole:?}"))),
        };
    }
    let [top, left, bottom, right] = match spatial {
        1 => node.sizes("pads", [0; 2], 0..=255).map(|[left, right]| [0, left, 0, right])?,
        _ => node.sizes("pads", [0; 4], 0..=255)?,
    };
    let size = [whole[0].checked_sub(top + bottom), whole[1].checked_sub(left + right)];
    match size {
        [Some(h @ 1..), Some(w @ 1..)] => Ok(([top, left], [h, w])),
        _ => Err(node.wrong(format!("pads {:?} and a whole output of {whole:?}", [top, left, bottom, right]))),
    }
}

/// The spatial dimensions of `output_shape`, which may tell batch and channels too.
fn output_shape(node: &Node, spatial: usize) -> Result<[usize; 2], Error> {
    let given = node.ints("output_shape")?.unwrap_or_default();
    let sides: Option<Vec<usize>> = given.iter().rev().take(spatial).rev().map(|&n| usize::try_from(n).ok()).collect();
    match sides.as_deref() {
        Some(&[one]) if spatial == 1 => Ok([1, one]),
        Some(&[a, b]) => Ok([a, b]),
        _ => Err(node.unsupported("output_shape", format!("{given:?}"), "a length for each spatial dimension")),
    }
}

struct Spread {
    stride: [usize; 2],
    /// From a window's first tap to its last, and one.
    reach: [usize; 2],
    before: [usize; 2],
    size: [usize; 2],
}

/// The input's pixels among zeros, as far as windows reach.
fn spread(importer: &mut Importer, node: &Node, x: &View, s: &Spread) -> Result<TensorId, Error> {
    let wrong = || node.wrong(format!("an output of {:?}; allowed: 65535 each, with some of the input in it", s.size));
    let sides = [0, 1].map(|d| s.size[d] + s.reach[d] - 1);
    let shape = [sides[0], sides[1], x.shape[2]];
    let mut to = View::new(0, shape, x.steps, &MAP.map(Some));
    let mut from = View::new(x.tensor, x.shape, x.steps, &MAP.map(Some));
    for (d, &side) in sides.iter().enumerate() {
        let at = |i: usize| (i * s.stride[d] + s.reach[d] - 1).checked_sub(s.before[d]).filter(|&at| at < side);
        let inside: Vec<usize> = (0..x.shape[d]).filter(|&i| at(i).is_some()).collect();
        let (first, count) = (inside.first().copied().ok_or_else(wrong)?, inside.len());
        let step = if count == 1 { 1 } else { s.stride[d].cast_signed() };
        from = from.slice(d, first, 1, count).ok_or_else(wrong)?;
        to = at(first).and_then(|at| to.slice(d, at, step, count)).ok_or_else(wrong)?;
    }
    let loops = from.loops(&to).ok_or_else(wrong)?;
    let part = Part { input: 0, shape: x.shape, from: from.start, to: to.start, loops };
    importer.emit(node, Move { parts: vec![part], fill: 0.0, shape }, vec![x.tensor], shape)
}

/// Weights `[in, out of a group, kh, kw]` as `[out, in of a group, kh, kw]`, both spatial dimensions backwards.
fn turned(weight: &ArrayD<f32>, groups: usize) -> ArrayD<f32> {
    let [ins, per_group, kh, kw] = weight.shape().try_into().unwrap_or([0; 4]);
    let inputs = ins / groups;
    ArrayD::from_shape_fn(vec![per_group * groups, inputs, kh, kw], |at| {
        let (group, o) = (at[0] / per_group, at[0] % per_group);
        weight[[group * inputs + at[1], o, kh - 1 - at[2], kw - 1 - at[3]]]
    })
}
