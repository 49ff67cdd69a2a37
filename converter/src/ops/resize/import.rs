//! Reads Resize (operator sets 10, 11, 13, 18, 19) and Upsample (7, 9), which it replaced.

use super::{
    super::{
        along::{Sums, summed},
        arrange::{moved, whole},
    },
    Resize,
    side::{Mode, Rule, Side, Sizes},
    weighted::sums,
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
    ("Resize", Import::new(import).remark("nearest, linear, cubic")),
    ("Upsample", Import::new(import).remark("nearest, linear")),
];

/// A dimension that gets another length.
struct Change {
    dim: usize,
    sizes: Sizes,
}

fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    let rule = rule(node)?;
    let x = importer.view(node, 0)?;
    let changes = changes(importer, node, &x.lengths(), &rule)?;
    if changes.iter().any(|c| x.dims[c.dim].has_time()) || changes.len() > 2 && node.opset < 11 {
        let what: Vec<usize> = changes.iter().map(|c| c.dim).collect();
        return Err(node.unsupported("scales", format!("for dimensions {what:?}"), "two dimensions at most, no time"));
    }
    if rule.crops() && rule.antialias {
        return Err(node.unsupported("antialias", "1 with tf_crop_and_resize", "0 with it"));
    }
    let shrinks = changes.iter().any(|c| c.sizes.to < c.sizes.from);
    if matches!(rule.mode, Mode::Cubic(_)) || rule.crops() || rule.antialias && shrinks || changes.len() > 2 {
        return import_weighted(importer, node, x, &changes, &rule);
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
        let (at, to) = (usize::from(axis == Axis::Width), change.sizes.to);
        sides[at] = Side::new(node, change.sizes, &rule)?;
        (made.shape[at], scales[at]) = (to, change.sizes.scale);
        made.dims[change.dim] = Dim::new([Run { axis, length: to, stride: 1 }]);
    }
    if node.opset < 11 {
        let mut all = vec![];
        for (change, &axis) in changes.iter().zip(&axes) {
            let side = &sides[usize::from(axis == Axis::Width)];
            let Sizes { from, to, .. } = change.sizes;
            let bytes = to.saturating_mul(from).saturating_mul(2 * size_of::<f32>());
            importer.charge(node, "its matrix for the float network", bytes)?;
            all.push((change.dim, Sums { weight: side.matrix(), shift: vec![0.0; to] }));
        }
        substitute(importer, node, x.dims.len(), &all);
    }
    let [rows, columns] = sides;
    let resize = Resize { rows, columns, rule: Some((rule, scales)) };
    if resize.factors() == Some([1, 1]) {
        return importer.define(node, 0, x);
    }
    let tensor = importer.emit(node, resize, vec![x.tensor], made.shape)?;
    importer.define(node, 0, made.on(tensor))
}

/// What lies between more than two positions, or outside, or along more than two dimensions: sums along one after the other.
fn import_weighted(
    importer: &mut Importer,
    node: &Node,
    mut x: View,
    changes: &[Change],
    rule: &Rule,
) -> Result<(), Error> {
    let rank = x.dims.len();
    let all = changes.iter().map(|c| Ok((c.dim, sums(importer, node, c.sizes, rule)?)));
    let all = all.collect::<Result<Vec<_>, Error>>()?;
    substitute(importer, node, rank, &all);
    for (dim, sums) in all {
        x = summed(importer, node, x, dim, sums)?;
    }
    importer.define(node, 0, x)
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
    let finite = |name: &str, otherwise: f32| match node.float(name)?.unwrap_or(otherwise) {
        value if value.is_finite() => Ok(value),
        value => Err(node.unsupported(name, value, "finite numbers")),
    };
    let mode: String = text("mode", "nearest")?;
    let mode = match mode.as_str() {
        "nearest" => Mode::Nearest,
        "linear" | "bilinear" => Mode::Linear,
        "cubic" => Mode::Cubic(finite("cubic_coeff_a", -0.75)?),
        other => return Err(node.unsupported("mode", other, "nearest, linear, cubic")),
    };
    // The older operators have one rule, to round down, and no attribute for it.
    let (coordinates, nearest) =
        if node.opset < 11 { ("asymmetric", "floor") } else { ("half_pixel", "round_prefer_floor") };
    Ok(Rule {
        mode,
        coordinates: text("coordinate_transformation_mode", coordinates)?,
        nearest: text("nearest_mode", nearest)?,
        antialias: node.int("antialias")?.unwrap_or(0) != 0 && mode != Mode::Nearest,
        exclude_outside: node.int("exclude_outside")?.unwrap_or(0) != 0,
        outside: finite("extrapolation_value", 0.0)?,
    })
}

/// Which dimensions get which lengths.
fn changes(importer: &Importer, node: &Node, lengths: &[usize], rule: &Rule) -> Result<Vec<Change>, Error> {
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
    let parts = if rule.crops() { parts(importer, node, dims.len())? } else { vec![[0.0, 1.0]; dims.len()] };
    let common = common_scale(node, &dims, lengths, sizes.as_deref())?;
    let mut changes = vec![];
    for (i, &dim) in dims.iter().enumerate() {
        let from = lengths[dim] as f32;
        let (to, scale) = match (&scales, &sizes, common) {
            (Some(scales), _, _) => {
                let read = from * (parts[i][1] - parts[i][0]);
                (nearest_i64((read * scales[i]).floor().into()), scales[i])
            }
            (None, _, Some(scale)) => (nearest_i64((scale * from + 0.5).floor().into()), scale),
            (None, sizes, None) => sizes.as_ref().map_or((0, 0.0), |sizes| (sizes[i], sizes[i] as f32 / from)),
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
        if to != lengths[dim] || scale != 1.0 || parts[i] != [0.0, 1.0] {
            changes.push(Change { dim, sizes: Sizes { from: lengths[dim], to, scale, part: parts[i] } });
        }
    }
    Ok(changes)
}

/// The region of interest: for each dimension where it begins and ends.
fn parts(importer: &Importer, node: &Node, count: usize) -> Result<Vec<[f32; 2]>, Error> {
    let given = importer.constant(node, 1)?.and_then(|c| c.floats());
    let given = given.ok_or_else(|| node.unsupported("roi", "(not constant)", "a constant"))?;
    let given: Vec<f32> = given.iter().copied().collect();
    if given.len() != 2 * count || given.iter().any(|v| !v.is_finite()) {
        return Err(
            node.wrong(format!("a roi of {given:?} for {count} dimensions; needed: a start and an end for each"))
        );
    }
    Ok((0..count).map(|i| [given[i], given[i + count]]).collect())
}

/// The one scale of all dimensions where they keep their ratio: the result fits into `sizes`, or they into it.
fn common_scale(node: &Node, dims: &[usize], lengths: &[usize], sizes: Option<&[i64]>) -> Result<Option<f32>, Error> {
    let policy = node.text("keep_aspect_ratio_policy")?.unwrap_or_else(|| "stretch".into());
    let larger: fn(f32, f32) -> f32 = match policy.as_str() {
        "stretch" => return Ok(None),
        "not_larger" => f32::min,
        "not_smaller" => f32::max,
        other => {
            return Err(node.unsupported("keep_aspect_ratio_policy", other, "stretch, not_larger, not_smaller"));
        }
    };
    // It says nothing of scales.
    let scales = sizes.map(|sizes| dims.iter().zip(sizes).map(|(&dim, &size)| size as f32 / lengths[dim] as f32));
    Ok(scales.and_then(|scales| scales.reduce(larger)))
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

/// Products with matrices, which say the same: tract has no Upsample, another rounding for the first Resize, and no more than two
/// positions between which something lies. Only of the last two dimensions.
fn substitute(importer: &mut Importer, node: &Node, rank: usize, changes: &[(usize, Sums)]) {
    if changes.is_empty() || changes.iter().any(|(dim, _)| dim + 2 < rank) {
        return;
    }
    let mut instead = Substitute::new(node);
    let mut value = node.input(0).unwrap_or_default().to_owned();
    for (dim, Sums { weight, shift }) in changes {
        let (to, last) = (shift.len(), dim + 1 == rank);
        let from = weight.len() / to;
        if last {
            let turned =
                (0..from).flat_map(|i| (0..to).map(move |o| (o, i))).map(|(o, i)| weight[o * from + i]).collect();
            let matrix = instead.floats(&[from, to], turned);
            value = instead.node("MatMul", &[&value, &matrix], &[]);
        } else {
            let matrix = instead.floats(&[to, from], weight.clone());
            value = instead.node("MatMul", &[&matrix, &value], &[]);
        }
        if shift.iter().any(|&v| v != 0.0) {
            let dims = if last { vec![to] } else { vec![to, 1] };
            let shift = instead.floats(&dims, shift.clone());
            value = instead.node("Add", &[&value, &shift], &[]);
        }
    }
    importer.substitute(instead);
}
