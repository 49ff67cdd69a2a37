//! Tensors put together from parts of others: Concat, Pad, Expand; and those whose parts change places: DepthToSpace, SpaceToDepth.

use super::{
    arrange::resized,
    moves::{Move, Part},
};
use crate::{
    axes,
    constant::Constant,
    error::Error,
    importer::{Import, Importer},
    onnx::Node,
    view::{Dim, View},
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[
    ("Concat", Import::new(import_concat)),
    ("Pad", Import::new(import_pad)),
    ("Expand", Import::new(import_expand)),
    ("DepthToSpace", Import::new(import_depth_to_space)),
    ("SpaceToDepth", Import::new(import_space_to_depth)),
];

/// What goes from `from`, input `input`, to the places of `to`.
///
/// # Errors
/// If time would have to be moved.
fn part(node: &Node, input: usize, from: &View, to: &View) -> Result<Part, Error> {
    let loops = from.loops(to).filter(|_| !from.has_time());
    let loops = loops
        .ok_or_else(|| node.unsupported("input", format!("{:?}", from.lengths()), "no time, or whole dimensions"))?;
    Ok(Part { input, shape: from.shape, from: from.start, to: to.start, loops })
}

/// Concat: along one dimension.
fn import_concat(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["axis"])?;
    let views = (0..node.inputs().len()).map(|i| importer.view(node, i)).collect::<Result<Vec<_>, _>>()?;
    let first = views.first().ok_or_else(|| node.wrong("no inputs"))?;
    let mut lengths = first.lengths();
    let along = axes::axis(node, "axis", node.int("axis")?.unwrap_or(1), lengths.len())?;
    for view in &views[1..] {
        let others = view.lengths();
        let alike = others.len() == lengths.len() && (0..lengths.len()).all(|d| d == along || lengths[d] == others[d]);
        if !alike {
            return Err(node.wrong(format!("inputs of {:?} and {others:?} along dimension {along}", first.lengths())));
        }
        lengths[along] += others[along];
    }
    if let [one] = &views[..] {
        return importer.define(node, 0, one.clone());
    }
    let to = resized(first, &lengths);
    let (mut parts, mut at) = (vec![], 0);
    for (input, view) in views.iter().enumerate() {
        let count = view.dims[along].length();
        let place =
            to.slice(along, at, 1, count).ok_or_else(|| node.wrong(format!("no place at {at} of {lengths:?}")))?;
        parts.push(part(node, input, view, &place)?);
        at += count;
    }
    emit(importer, node, views.iter().map(|v| v.tensor).collect(), to, parts, 0.0)
}

fn emit(
    importer: &mut Importer,
    node: &Node,
    inputs: Vec<usize>,
    to: View,
    parts: Vec<Part>,
    fill: f32,
) -> Result<(), Error> {
    let tensor = importer.emit(node, Move { parts, fill, shape: to.shape }, inputs, to.shape)?;
    importer.define(node, 0, View { tensor, ..to })
}

/// How Pad fills: with one value, or with values of the input.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Constant,
    Reflect,
    Edge,
}

/// Pad: values before and behind each dimension; fewer of them where a number is below 0.
fn import_pad(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["mode", "pads", "value"])?;
    let mut x = importer.view(node, 0)?;
    let rank = x.dims.len();
    let mode = match node.text("mode")?.as_deref() {
        None | Some("constant") => Mode::Constant,
        Some("reflect") => Mode::Reflect,
        Some("edge") => Mode::Edge,
        Some(other) => return Err(node.unsupported("mode", other, "constant, reflect, edge")),
    };
    let constant = |index: usize, name: &str| match importer.constant(node, index)? {
        None if node.input(index).is_some() => Err(node.unsupported(name, "(not constant)", "a constant")),
        found => Ok(found),
    };
    let given = match constant(1, "pads")? {
        Some(pads) => axes::list(node, "pads", pads)?,
        None => node.ints("pads")?.ok_or_else(|| node.wrong("pads are missing"))?.to_vec(),
    };
    let fill = match constant(2, "constant_value")?.and_then(Constant::floats).and_then(|v| v.iter().copied().next()) {
        Some(value) => value,
        None => node.float("value")?.unwrap_or(0.0),
    };
    if !fill.is_finite() {
        return Err(node.unsupported("constant_value", fill, "finite numbers"));
    }
    let places = match constant(3, "axes")? {
        Some(axes) => axes::list(node, "axes", axes)?
            .iter()
            .map(|&a| axes::axis(node, "axes", a, rank))
            .collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).collect(),
    };
    if given.len() != 2 * places.len() {
        return Err(node.wrong(format!("{} pads for {} dimensions", given.len(), places.len())));
    }
    let mut pads = vec![[0i64; 2]; rank];
    places.iter().enumerate().for_each(|(i, &place)| pads[place] = [given[i], given[i + places.len()]]);
    let mut lengths = vec![];
    for (dim, pads) in pads.iter_mut().enumerate() {
        let [before, behind] = pads.map(|p| usize::try_from(p.min(0).unsigned_abs()).unwrap_or(usize::MAX));
        let length = x.dims[dim].length();
        let left = length.checked_sub(before).and_then(|l| l.checked_sub(behind)).filter(|&l| l > 0);
        let left = left.ok_or_else(|| node.wrong(format!("pads {given:?} leave nothing of {length}")))?;
        x = x
            .slice(dim, before, 1, left)
            .ok_or_else(|| node.unsupported("pads", format!("{given:?}"), "0 or above here"))?;
        let [before, behind] = pads.map(|p| usize::try_from(p.max(0)).unwrap_or(usize::MAX));
        if mode == Mode::Reflect && before.max(behind) >= left.max(1) && before.max(behind) > 0 {
            return Err(node.unsupported("pads", format!("{given:?}"), "less than the length where it reflects"));
        }
        lengths.push(left.saturating_add(before).saturating_add(behind));
    }
    if lengths.iter().any(|&l| l > usize::from(u16::MAX)) {
        return Err(node.wrong(format!("an output of {lengths:?}; allowed: 65535 each")));
    }
    let to = resized(&x, &lengths);
    let mut pieces = vec![(x.clone(), to.clone())];
    for (dim, &[before, behind]) in pads.iter().enumerate() {
        let length = x.dims[dim].length();
        let segments = segments(mode, length, before.max(0).unsigned_abs(), behind.max(0).unsigned_abs());
        let mut next = vec![];
        for (from, to) in &pieces {
            for &Segment { first, step, count, at } in &segments {
                let made = from.slice(dim, first, step, count).zip(to.slice(dim, at, 1, count));
                next.push(made.ok_or_else(|| node.unsupported("pads", format!("{given:?}"), "none along time"))?);
            }
        }
        pieces = next;
    }
    let parts = pieces.iter().map(|(from, to)| part(node, 0, from, to)).collect::<Result<_, _>>()?;
    emit(importer, node, vec![x.tensor], to, parts, if mode == Mode::Constant { fill } else { 0.0 })
}

/// Positions of the input that go, `step` apart, behind each other from position `at` of the output on.
struct Segment {
    first: usize,
    step: isize,
    count: usize,
    at: usize,
}

/// What a padded dimension consists of.
fn segments(mode: Mode, length: usize, before: u64, behind: u64) -> Vec<Segment> {
    // Below 65536, as the output's lengths are.
    let [before, behind] = [before, behind].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let middle = Segment { first: 0, step: 1, count: length, at: before };
    let (front, back) = match mode {
        Mode::Constant => return vec![middle],
        Mode::Reflect => ((before, -1), (length.saturating_sub(2), -1)),
        Mode::Edge => ((0, 0), (length - 1, 0)),
    };
    let front = Segment { first: front.0, step: front.1, count: before, at: 0 };
    let back = Segment { first: back.0, step: back.1, count: behind, at: before + length };
    [front, middle, back].into_iter().filter(|s| s.count > 0).collect()
}

/// Expand: dimensions of one are repeated.
fn import_expand(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&[])?;
    let x = importer.view(node, 0)?;
    let shape = importer.constant(node, 1)?.ok_or_else(|| node.unsupported("shape", "(not constant)", "a constant"))?;
    let shape = axes::list(node, "shape", shape)?;
    let from = x.lengths();
    let rank = from.len().max(shape.len());
    let at = |i: usize, len: usize| (i + len).checked_sub(rank);
    let wrong = || node.wrong(format!("{from:?} does not expand to {shape:?}"));
    let lengths: Option<Vec<usize>> = (0..rank)
        .map(|i| {
            let (have, want) = (at(i, from.len()).map_or(1, |i| from[i]), at(i, shape.len()).map_or(1, |i| shape[i]));
            usize::try_from(want).ok().map(|want| if want == 1 { have } else { want })
        })
        .collect();
    let view = x.expand(&lengths.ok_or_else(wrong)?).ok_or_else(wrong)?;
    importer.define(node, 0, view)
}

/// The block size and the lengths of a map.
fn block(node: &Node, x: &View) -> Result<(usize, [usize; 4]), Error> {
    let size = node.int("blocksize")?.and_then(|b| usize::try_from(b).ok()).filter(|b| (1..=255).contains(b));
    let size = size.ok_or_else(|| node.wrong("blocksize is missing, or outside 1..=255"))?;
    let lengths = x.lengths();
    let lengths = lengths
        .as_slice()
        .try_into()
        .map_err(|_| node.wrong(format!("an input of {lengths:?}; needed: 4 dimensions")))?;
    Ok((size, lengths))
}

/// The dimensions of a view in another order.
fn permuted(x: &View, order: &[usize]) -> View {
    View { dims: order.iter().map(|&d| x.dims[d].clone()).collect::<Vec<Dim>>(), ..x.clone() }
}

/// DepthToSpace: channels become pixels, in either of ONNX's orders.
fn import_depth_to_space(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["blocksize", "mode"])?;
    let x = importer.view(node, 0)?;
    let (b, [n, c, h, w]) = block(node, &x)?;
    let depth = c / (b * b);
    let cut = match node.text("mode")?.as_deref() {
        None | Some("DCR") => x.reshape(&[n, b, b, depth, h, w]).map(|x| permuted(&x, &[0, 3, 4, 1, 5, 2])),
        Some("CRD") => x.reshape(&[n, depth, b, b, h, w]).map(|x| permuted(&x, &[0, 1, 4, 2, 5, 3])),
        Some(other) => return Err(node.unsupported("mode", other, "DCR, CRD")),
    };
    let view = cut.and_then(|x| x.reshape(&[n, depth, h * b, w * b]));
    let view = view.ok_or_else(|| node.wrong(format!("{c} channels in blocks of {b}x{b}")))?;
    importer.define(node, 0, view)
}

/// SpaceToDepth: pixels become channels.
fn import_space_to_depth(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["blocksize"])?;
    let x = importer.view(node, 0)?;
    let (b, [n, c, h, w]) = block(node, &x)?;
    let cut = x.reshape(&[n, c, h / b, b, w / b, b]).map(|x| permuted(&x, &[0, 3, 5, 1, 2, 4]));
    let view = cut.and_then(|x| x.reshape(&[n, c * b * b, h / b, w / b]));
    let view = view.ok_or_else(|| node.wrong(format!("{h}x{w} pixels in blocks of {b}x{b}")))?;
    importer.define(node, 0, view)
}
