//! Reads Resize (operator sets 10, 11, 13, 18, 19) and Upsample (7, 9), which it replaced.

use super::{
    super::arrange::{moved, whole},
    Resize,
    side::{Rule, Side},
};
use crate::{
    axes,
    error::Error,
    importer::{Import, Importer},
    onnx::Node,
    scale::nearest_i64,
    substitute::Substitute,
    view::{Axis, Dim, Run, View},
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[
    ("Resize", Import::new(import).remark("nearest, linear")),
    ("Upsample", Import::new(import).remark("nearest, linear")),
];

/// A dimension that gets another length.
struct Change {
    dim: usize,
    to: usize,
    scale: f32,
}

fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    let rule = rule(node)?;
    let x = importer.view(node, 0)?;
    let changes = changes(importer, node, &x.lengths())?;
    let antialias = node.int("antialias")?.unwrap_or(0) != 0;
    if let Some(Change { dim, to, .. }) = changes.iter().find(|c| antialias && c.to < x.dims[c.dim].length()) {
        let what = format!("1, with dimension {dim} from {} to {to}", x.dims[*dim].length());
        return Err(node.unsupported("antialias", what, "0, or 1 where nothing shrinks"));
    }
    if changes.iter().any(|c| x.dims[c.dim].has_time()) || changes.len() > 2 {
        let what: Vec<usize> = changes.iter().map(|c| c.dim).collect();
        return Err(node.unsupported("scales", format!("for dimensions {what:?}"), "two dimensions at most, no time"));
    }
    let x = whole(importer, node, x)?;
    let (x, axes) = match axes_of(&x, &changes) {
        Some(axes) => (x, axes),
        None => {
            let to = as_sides(&x, &changes);
            (moved(importer, node, &x, &to)?, vec![Axis::Height, Axis::Width])
        }
    };
    let (mut sides, mut made) = ([Side::same(x.shape[0]), Side::same(x.shape[1])], x.clone());
    let mut scales = [1.0; 2];
    for (change, &axis) in changes.iter().zip(&axes) {
        let at = usize::from(axis == Axis::Width);
        sides[at] = Side::new(node, [x.shape[at], change.to], change.scale, &rule)?;
        (made.shape[at], scales[at]) = (change.to, change.scale);
        made.dims[change.dim] = Dim::new([Run { axis, length: change.to, stride: 1 }]);
    }
    if node.opset < 11 {
        let all: Vec<(usize, &Side)> =
            changes.iter().zip(&axes).map(|(c, &axis)| (c.dim, &sides[usize::from(axis == Axis::Width)])).collect();
        substitute(importer, node, &x, &all)?;
    }
    let [rows, columns] = sides;
    let resize = Resize { rows, columns, rule: Some((rule, scales)) };
    if resize.factors() == Some([1, 1]) {
        return importer.define(node, 0, x);
    }
    let tensor = importer.emit(node, resize, vec![x.tensor], made.shape)?;
    importer.define(node, 0, made.on(tensor))
}

/// How places are found.
fn rule(node: &Node) -> Result<Rule, Error> {
    node.only(&[
        "mode",
        "scales",
        "coordinate_transformation_mode",
        "nearest_mode",
        "antialias",
        "axes",
        "cubic_coeff_a",
        "exclude_outside",
        "extrapolation_value",
        "keep_aspect_ratio_policy",
    ])?;
    let text = |name: &str, otherwise: &str| Ok(node.text(name)?.unwrap_or_else(|| otherwise.into()));
    let mode: String = text("mode", "nearest")?;
    if !matches!(mode.as_str(), "nearest" | "linear" | "bilinear") {
        return Err(node.unsupported("mode", mode, "nearest, linear"));
    }
    let policy: String = text("keep_aspect_ratio_policy", "stretch")?;
    if policy != "stretch" {
        return Err(node.unsupported("keep_aspect_ratio_policy", policy, "stretch"));
    }
    // The older operators have one rule, to round down, and no attribute for it.
    let (coordinates, nearest) =
        if node.opset < 11 { ("asymmetric", "floor") } else { ("half_pixel", "round_prefer_floor") };
    Ok(Rule {
        linear: mode != "nearest",
        coordinates: text("coordinate_transformation_mode", coordinates)?,
        nearest: text("nearest_mode", nearest)?,
    })
}

/// Which dimensions get which lengths.
fn changes(importer: &Importer, node: &Node, lengths: &[usize]) -> Result<Vec<Change>, Error> {
    // Before operator set 11 there was no region of interest between the tensor and the scales.
    let first = if node.opset < 11 { 1 } else { 2 };
    let given = |index: usize| Ok(importer.constant(node, index)?.filter(|c| c.shape().iter().product::<usize>() > 0));
    let (scales, sizes) = match (given(first)?, given(first + 1)?, node.floats("scales")?) {
        (Some(scales), None, None) => {
            let scales = scales.floats().ok_or_else(|| node.wrong("scales are no floats"))?;
            (Some(scales.iter().copied().collect::<Vec<f32>>()), None)
        }
        (None, None, Some(scales)) => (Some(scales.to_vec()), None),
        (None, Some(sizes), None) => (None, Some(axes::list(node, "sizes", sizes)?)),
        (None, None, None) => {
            return Err(node.unsupported("scales", "(absent, or not constant)", "constant scales or sizes"));
        }
        _ => return Err(node.unsupported("scales", "and sizes, both", "one of them")),
    };
    let dims = match node.ints("axes")? {
        Some(given) => {
            given.iter().map(|&a| axes::axis(node, "axes", a, lengths.len())).collect::<Result<Vec<_>, _>>()?
        }
        None => (0..lengths.len()).collect(),
    };
    let (name, count) = match (&scales, &sizes) {
        (Some(scales), _) => ("scales", scales.len()),
        (None, sizes) => ("sizes", sizes.as_ref().map_or(0, Vec::len)),
    };
    if count != dims.len() {
        return Err(node.wrong(format!("{count} {name} for {} dimensions", dims.len())));
    }
    let mut changes = vec![];
    for (i, &dim) in dims.iter().enumerate() {
        let from = lengths[dim] as f32;
        let (to, scale) = match (&scales, &sizes) {
            (Some(scales), _) => (nearest_i64((from * scales[i]).floor().into()), scales[i]),
            (None, sizes) => sizes.as_ref().map_or((0, 0.0), |sizes| (sizes[i], sizes[i] as f32 / from)),
        };
        let to = usize::try_from(to).ok().filter(|to| (1..=usize::from(u16::MAX)).contains(to));
        let to = to.filter(|_| scale.is_finite() && scale > 0.0).ok_or_else(|| {
            let what =
                format!("{} of dimension {dim}, {}", scales.as_ref().map_or(scale * from, |s| s[i]), lengths[dim]);
            node.unsupported(name, what, "lengths of 1..=65535 in the end")
        })?;
        if changes.iter().any(|c: &Change| c.dim == dim) {
            return Err(node.unsupported("axes", dim, "each axis once"));
        }
        // A scale that changes no length may shift the image all the same.
        if to != lengths[dim] || scale != 1.0 {
            changes.push(Change { dim, to, scale });
        }
    }
    Ok(changes)
}

/// Along which sides of the map the changes go, if each has one of its own.
fn axes_of(x: &View, changes: &[Change]) -> Option<Vec<Axis>> {
    let mut free = vec![Axis::Width, Axis::Height];
    let mut axes = vec![];
    for change in changes {
        let along = |axis: &Axis| match x.dims[change.dim].runs.is_empty() {
            true => x.length(*axis) == 1,
            false => x.dims[change.dim] == x.along(&[*axis]),
        };
        let at = free.iter().rposition(along)?;
        axes.push(free.remove(at));
    }
    Some(axes)
}

/// A map whose rows and columns are the dimensions that change; all others are its channels.
fn as_sides(x: &View, changes: &[Change]) -> View {
    let mut to = View { start: [0; 3], shape: [1; 3], ..x.clone() };
    for dim in (0..x.dims.len()).rev().filter(|&dim| !x.dims[dim].has_time()) {
        let at = changes.iter().position(|c| c.dim == dim).unwrap_or(2);
        let axis = [Axis::Height, Axis::Width, Axis::Channel][at];
        let run = Run { axis, length: x.dims[dim].length(), stride: to.shape[at].cast_signed() };
        to.shape[at] = to.shape[at].saturating_mul(run.length);
        to.dims[dim] = Dim::new([run]);
    }
    to
}

/// Products with matrices, which say the same: tract has no Upsample, and another rounding for the first Resize.
fn substitute(importer: &mut Importer, node: &Node, x: &View, changes: &[(usize, &Side)]) -> Result<(), Error> {
    let (mut instead, rank) = (Substitute::new(node), x.dims.len());
    let mut value = node.input(0).unwrap_or_default().to_owned();
    for &(dim, side) in changes {
        let [to, from] = [side.places().len(), x.dims[dim].length()];
        importer.charge(
            node,
            "its matrix for the float network",
            to.saturating_mul(from).saturating_mul(2 * size_of::<f32>()),
        )?;
        if dim + 1 == rank {
            let matrix = instead.floats(&[from, to], side.turned());
            value = instead.node("MatMul", &[&value, &matrix], &[]);
        } else if dim + 2 == rank {
            let matrix = instead.floats(&[to, from], side.matrix());
            value = instead.node("MatMul", &[&matrix, &value], &[]);
        } else {
            return Ok(());
        }
    }
    if !changes.is_empty() {
        importer.substitute(instead);
    }
    Ok(())
}
