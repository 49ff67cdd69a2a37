//! ReduceMean, ReduceSum, ReduceMax and their kin over any dimensions but time: pools over whole sides of a map, between functions of
//! each value.

use super::{
    arrange::{moved, whole},
    function::{Function, applied},
    mul::product,
    pool::{Kind, pooled},
    select::part,
    window::Geometry,
};
use crate::{
    axes,
    error::Error,
    importer::{Import, Importer},
    onnx::Node,
    view::{Axis, Dim, Run, View},
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[
    ("ReduceMean", Import::new(import)),
    ("ReduceSum", Import::new(import)),
    ("ReduceMax", Import::new(import)),
    ("ReduceMin", Import::new(import)),
    ("ReduceL1", Import::new(import)),
    ("ReduceL2", Import::new(import)),
    ("ReduceSumSquare", Import::new(import)),
    ("ReduceLogSum", Import::new(import)),
    ("ReduceLogSumExp", Import::new(import)),
    ("ReduceProd", Import::new(import)),
];

fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["axes", "keepdims", "noop_with_empty_axes"])?;
    let x = importer.view(node, 0)?;
    let square = Function::Pow { exponent: 2.0 };
    let (before, kind, after) = match node.operator() {
        // No pool: the kind is not looked at.
        "ReduceProd" => (None, Kind::Sum, None),
        "ReduceMean" => (None, Kind::Mean, None),
        "ReduceSum" => (None, Kind::Sum, None),
        "ReduceMax" => (None, Kind::Maximum, None),
        "ReduceMin" => (Some(Function::Neg), Kind::Maximum, Some(Function::Neg)),
        "ReduceL1" => (Some(Function::Abs), Kind::Sum, None),
        "ReduceL2" => (Some(square), Kind::Sum, Some(Function::Sqrt)),
        "ReduceSumSquare" => (Some(square), Kind::Sum, None),
        "ReduceLogSum" => (None, Kind::Sum, Some(Function::Log)),
        "ReduceLogSumExp" => (Some(Function::Exp), Kind::Sum, Some(Function::Log)),
        other => return Err(node.wrong(format!("{other} is in the table and has no meaning"))),
    };
    let given = importer.constant(node, 1)?;
    if given.is_none() && node.input(1).is_some() {
        return Err(node.unsupported("axes", "(not constant)", "a constant"));
    }
    let axes = match axes::axes(node, given, x.dims.len())? {
        Some(axes) if !axes.is_empty() => axes,
        _ if node.int("noop_with_empty_axes")?.unwrap_or(0) == 0 => (0..x.dims.len()).collect(),
        _ if before.or(after).is_none() => return importer.define(node, 0, x),
        _ => return Err(node.unsupported("noop_with_empty_axes", 1, "0, or axes")),
    };
    let apply = |importer: &mut Importer, x: View, function: Option<Function>| match function {
        Some(function) => applied(importer, node, x, function),
        None => Ok(x),
    };
    let x = apply(importer, x, before)?;
    let reduced = match node.operator() {
        "ReduceProd" => multiplied(importer, node, x, &axes)?,
        _ => reduced(importer, node, x, &axes, kind)?,
    };
    let mut view = apply(importer, reduced, after)?;
    if node.int("keepdims")?.unwrap_or(1) == 0 {
        axes.iter().rev().for_each(|&axis| drop(view.dims.remove(axis)));
    }
    importer.define(node, 0, view)
}

/// What `kind` makes of these dimensions, ascending, each of which becomes one.
///
/// # Errors
/// If one of them is time.
pub fn reduced(importer: &mut Importer, node: &Node, x: View, axes: &[usize], kind: Kind) -> Result<View, Error> {
    if axes.iter().any(|&axis| x.dims[axis].has_time()) {
        return Err(node.unsupported("axes", format!("{axes:?}, time among them"), "dimensions of one time step"));
    }
    let x = whole(importer, node, x)?;
    let sides = sides(&x, axes);
    let x = if sides.is_empty() { x } else { over_sides(importer, node, &x, axes, (&sides, kind))? };
    if axes.iter().all(|&axis| x.dims[axis].length() == 1) {
        return Ok(x);
    }
    // What is left of them becomes the rows of a map.
    let x = moved(importer, node, &x, &as_rows(&x, axes))?;
    over_sides(importer, node, &x, axes, (&[Axis::Height], kind))
}

/// The product of these dimensions, each of which becomes one: of both halves, until one position is left.
fn multiplied(importer: &mut Importer, node: &Node, mut x: View, axes: &[usize]) -> Result<View, Error> {
    for &axis in axes {
        if x.dims[axis].has_time() {
            return Err(node.unsupported("axes", format!("{axis}, which is time"), "dimensions of one time step"));
        }
        let mut left = vec![];
        loop {
            let (length, half) = (x.dims[axis].length(), x.dims[axis].length() / 2);
            if length == 1 {
                break;
            }
            if length % 2 == 1 {
                left.push(part(importer, node, &x, axis, [length - 1, 1], 1)?);
            }
            let first = part(importer, node, &x, axis, [0, half], 1)?;
            let second = part(importer, node, &x, axis, [half, half], 1)?;
            x = product(importer, node, [first, second])?;
        }
        for other in left {
            x = product(importer, node, [x, other])?;
        }
    }
    Ok(x)
}

/// The sides of the map, rows or columns, that the dimensions together run over, and nothing else does.
fn sides(x: &View, axes: &[usize]) -> Vec<Axis> {
    let mut sides: Vec<Axis> = [Axis::Height, Axis::Width].into_iter().filter(|&side| x.length(side) > 1).collect();
    // Of a dimension over several axes, all or none.
    for _ in 0..2 {
        let kept = |dim: &usize| !axes.contains(dim) || x.dims[*dim].runs.iter().any(|r| !sides.contains(&r.axis));
        let taken: Vec<Axis> =
            (0..x.dims.len()).filter(kept).flat_map(|dim| &x.dims[dim].runs).map(|r| r.axis).collect();
        sides.retain(|side| !taken.contains(side));
    }
    sides
}

/// A pool over whole sides of a map, whose dimensions become one.
fn over_sides(
    importer: &mut Importer,
    node: &Node,
    x: &View,
    axes: &[usize],
    (sides, kind): (&[Axis], Kind),
) -> Result<View, Error> {
    let [h, w, c] = x.shape;
    let side = |axis: Axis, length: usize| if sides.contains(&axis) { [length, 1] } else { [1, length] };
    let [[high, oh], [wide, ow]] = [side(Axis::Height, h), side(Axis::Width, w)];
    let geometry = Geometry { kernel: [high, wide], ..Geometry::whole([1, 1, 1]) };
    let tensor = pooled(importer, node, x, (geometry, kind), [oh, ow])?;
    let mut view = View { tensor, shape: [oh, ow, c], ..x.clone() };
    for &axis in axes {
        if view.dims[axis].runs.iter().all(|r| sides.contains(&r.axis)) {
            view.dims[axis] = Dim::ONE;
        }
    }
    Ok(view)
}

/// A map whose rows are those dimensions; the last of the others are its channels, the rest its columns.
pub fn as_rows(x: &View, rows: &[usize]) -> View {
    let others = || (0..x.dims.len()).filter(|dim| !rows.contains(dim) && !x.dims[*dim].has_time());
    let last = others().rfind(|&dim| x.dims[dim].length() > 1);
    let columns: Vec<usize> = others().filter(|&dim| Some(dim) != last).collect();
    let mut to = View { start: [0; 3], ..x.clone() };
    let groups = [(Axis::Height, rows), (Axis::Width, &columns[..]), (Axis::Channel, last.as_slice())];
    for (length, (axis, group)) in to.shape.iter_mut().zip(groups) {
        *length = 1;
        for &dim in group.iter().rev() {
            let run = Run { axis, length: x.dims[dim].length(), stride: length.cast_signed() };
            *length = length.saturating_mul(run.length);
            to.dims[dim] = Dim::new([run]);
        }
    }
    to
}
