//! Constants whose elements are moved, repeated, taken out or joined.

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn, Slice, concatenate};

use super::Job;
use crate::{
    axes::{axes, axis, new_axes, permutation, reshape_target, span},
    constant::Constant,
    error::Error,
};

pub fn gather(job: &Job) -> Result<Constant, Error> {
    let (data, Constant::Int(index)) = (job.input(0)?, job.input(1)?) else {
        return Err(job.node.wrong("indices must be integers"));
    };
    let shape = data.shape();
    let along = axis(job.node, "axis", job.node.int("axis")?.unwrap_or(0), shape.len())?;
    let mut dims = shape.to_vec();
    dims.splice(along..=along, index.shape().iter().copied());
    job.room(&dims, data)?;
    // And for the indices as places.
    job.room(index.shape(), &Constant::from_shape(&[]))?;
    let picks = index.iter().map(|&i| axis(job.node, "indices", i, shape[along])).collect::<Result<Vec<_>, _>>()?;
    let wrong = |e| job.misfit(e);
    Ok(both!(data, a => standard(&a.select(Axis(along), &picks).view()).into_shape_with_order(dims).map_err(wrong)?))
}

pub fn unsqueeze(job: &Job) -> Result<Constant, Error> {
    let data = job.input(0)?;
    let axes = new_axes(job.node, job.optional(1), data.shape().len())?;
    job.room(data.shape(), data)?;
    Ok(both!(data.clone(), a => axes.iter().fold(a, |a, &axis| a.insert_axis(Axis(axis)))))
}

pub fn squeeze(job: &Job) -> Result<Constant, Error> {
    let data = job.input(0)?;
    let shape = data.shape();
    let ones = || (0..shape.len()).filter(|&i| shape[i] == 1).collect();
    let axes = axes(job.node, job.optional(1), shape.len())?.unwrap_or_else(ones);
    if let Some(&i) = axes.iter().find(|&&i| shape[i] != 1) {
        return Err(job.node.wrong(format!("axis {i} of {shape:?} is not 1")));
    }
    job.room(shape, data)?;
    Ok(both!(data.clone(), a => axes.iter().rev().fold(a, |a, &axis| a.index_axis_move(Axis(axis), 0))))
}

pub fn concat(job: &Job) -> Result<Constant, Error> {
    let first = job.input(0)?;
    let along = axis(job.node, "axis", job.node.int("axis")?.unwrap_or(0), first.shape().len())?;
    let mut dims = first.shape().to_vec();
    dims[along] = 0;
    for index in 0..job.inputs.len() {
        let shape = job.input(index)?.shape();
        let alike = shape.len() == dims.len() && (0..dims.len()).all(|d| d == along || shape[d] == dims[d]);
        let sum = if alike { dims[along].checked_add(shape[along]) } else { None };
        dims[along] = sum.ok_or_else(|| {
            let of = first.shape();
            job.node.wrong(format!("input {index} of shape {shape:?} cannot be joined to {of:?} along axis {along}"))
        })?;
    }
    job.room(&dims, first)?;
    let mixed = || job.node.wrong("inputs of different types");
    let inputs = job.inputs.iter().copied().flatten();
    let wrong = |e| job.misfit(e);
    Ok(match first {
        Constant::Float(_) => {
            let views: Vec<_> = inputs.map(floats).collect::<Option<_>>().ok_or_else(mixed)?;
            Constant::Float(concatenate(Axis(along), &views).map_err(wrong)?)
        }
        Constant::Int(_) => {
            let views: Vec<_> = inputs.map(ints).collect::<Option<_>>().ok_or_else(mixed)?;
            Constant::Int(concatenate(Axis(along), &views).map_err(wrong)?)
        }
    })
}

fn floats(c: &Constant) -> Option<ArrayViewD<'_, f32>> {
    c.floats().map(|a| a.view())
}

fn ints(c: &Constant) -> Option<ArrayViewD<'_, i64>> {
    match c {
        Constant::Int(a) => Some(a.view()),
        Constant::Float(_) => None,
    }
}

pub fn expand(job: &Job) -> Result<Constant, Error> {
    let data = job.input(0)?;
    let dims = job.broadcast(data.shape(), &job.lengths(1)?)?;
    job.room(&dims, data)?;
    let wrong = || job.node.wrong("shapes do not broadcast");
    Ok(both!(data, a => a.broadcast(dims).ok_or_else(wrong)?.to_owned()))
}

pub fn reshape(job: &Job) -> Result<Constant, Error> {
    let data = job.input(0)?;
    let dims = reshape_target(job.node, data.shape(), &job.list(1)?)?;
    job.room(&dims, data)?;
    let wrong = |e| job.misfit(e);
    Ok(both!(data, a => standard(&a.view()).into_shape_with_order(dims).map_err(wrong)?))
}

pub fn transpose(job: &Job) -> Result<Constant, Error> {
    let data = job.input(0)?;
    let perm = permutation(job.node, data.shape().len())?;
    job.room(data.shape(), data)?;
    Ok(both!(data, a => standard(&a.view().permuted_axes(perm))))
}

/// The same elements, row-major.
fn standard<T: Clone>(view: &ArrayViewD<T>) -> ArrayD<T> {
    view.as_standard_layout().into_owned()
}

/// Flatten: two dimensions.
pub fn flatten(job: &Job) -> Result<Constant, Error> {
    let data = job.input(0)?;
    let shape = data.shape();
    let given = job.node.int("axis")?.unwrap_or(1);
    let end = usize::try_from(given) == Ok(shape.len());
    let at = if end { shape.len() } else { axis(job.node, "axis", given, shape.len())? };
    let dims = [shape[..at].iter().product::<usize>(), shape[at..].iter().product()];
    job.room(&dims, data)?;
    let wrong = |e| job.misfit(e);
    Ok(both!(data, a => standard(&a.view()).into_shape_with_order(IxDyn(&dims)).map_err(wrong)?))
}

/// Tile: repeated along each dimension.
pub fn tile(job: &Job) -> Result<Constant, Error> {
    let (data, times) = (job.input(0)?, job.lengths(1)?);
    let shape = data.shape();
    if times.len() != shape.len() {
        return Err(job.node.wrong(format!("{} repeats for {} dimensions", times.len(), shape.len())));
    }
    let dims: Option<Vec<usize>> = shape.iter().zip(&times).map(|(&d, &n)| d.checked_mul(n)).collect();
    let dims = dims.ok_or_else(|| job.node.wrong(format!("{shape:?} repeated {times:?} times")))?;
    job.room(&dims, data)?;
    Ok(both!(data, a => ArrayD::from_shape_fn(IxDyn(&dims), |at| {
        let from: Vec<usize> = (0..shape.len()).map(|d| at[d] % shape[d]).collect();
        a[&from[..]]
    })))
}

/// Slice: positions from a start to an end, exclusive, some steps apart; attributes before operator set 10.
pub fn slice(job: &Job) -> Result<Constant, Error> {
    let (node, data) = (job.node, job.input(0)?);
    let shape = data.shape();
    let given = |index: usize, name: &str| match job.optional(index) {
        Some(_) => job.list(index).map(Some),
        None if node.opset < 10 => Ok(node.ints(name)?.map(<[i64]>::to_vec)),
        None => Ok(None),
    };
    let missing = |name: &str| node.wrong(format!("{name} are missing"));
    let starts = given(1, "starts")?.ok_or_else(|| missing("starts"))?;
    let ends = given(2, "ends")?.ok_or_else(|| missing("ends"))?;
    let rank = starts.len();
    let places = match given(3, "axes")? {
        Some(axes) => axes.iter().map(|&a| axis(node, "axes", a, shape.len())).collect::<Result<Vec<_>, _>>()?,
        None if rank <= shape.len() => (0..rank).collect(),
        None => return Err(node.wrong(format!("{rank} starts for {} dimensions", shape.len()))),
    };
    let steps = if job.optional(4).is_some() { job.list(4)? } else { vec![1; rank] };
    if [ends.len(), places.len(), steps.len()] != [rank; 3] {
        return Err(node.unsupported("steps", format!("{steps:?}"), "as many as there are starts, ends and axes"));
    }
    let mut seen = vec![false; shape.len()];
    let (mut dims, mut cuts) = (shape.to_vec(), vec![(0, 1); shape.len()]);
    for (((&start, &end), &along), &step) in starts.iter().zip(&ends).zip(&places).zip(&steps) {
        if std::mem::replace(&mut seen[along], true) {
            return Err(node.unsupported("axes", format!("{places:?}"), "each axis once"));
        }
        let (first, count) = span(node, shape[along], start, end, step)?;
        dims[along] = count;
        // Of one position any step will do; of more the step is smaller than the length.
        let step = if count > 1 { isize::try_from(step).ok() } else { Some(1) };
        cuts[along] = (first, step.ok_or_else(|| node.wrong(format!("steps of {steps:?}")))?);
    }
    job.room(&dims, data)?;
    Ok(both!(data, a => ArrayD::from_shape_fn(IxDyn(&dims), |at| {
        let place = |d: usize| cuts[d].0.wrapping_add_signed(cuts[d].1 * at[d].cast_signed());
        let from: Vec<usize> = (0..shape.len()).map(place).collect();
        a[&from[..]]
    })))
}

/// Split: one of the parts.
pub fn split(job: &Job) -> Result<Constant, Error> {
    let (node, data) = (job.node, job.input(0)?);
    let along = axis(node, "axis", node.int("axis")?.unwrap_or(0), data.shape().len())?;
    let (length, parts) = (data.shape()[along], node.outputs().len());
    let counts: Vec<usize> = match (job.optional(1), node.ints("split")?) {
        (Some(_), _) => job.lengths(1)?,
        (None, Some(list)) => list.iter().map(|&n| usize::try_from(n).unwrap_or(usize::MAX)).collect(),
        (None, None) => {
            let each = length.div_ceil(parts.max(1));
            (0..parts).map(|i| length.saturating_sub(i * each).min(each)).collect()
        }
    };
    let sum = counts.iter().try_fold(0usize, |sum, &n| sum.checked_add(n));
    if counts.len() != parts || sum != Some(length) {
        return Err(node.wrong(format!("parts of {counts:?} for {parts} outputs of {length} together")));
    }
    let first: usize = counts[..job.output].iter().sum();
    let mut dims = data.shape().to_vec();
    dims[along] = counts[job.output];
    job.room(&dims, data)?;
    Ok(both!(data, a => {
        let mut view = a.view();
        view.slice_axis_inplace(Axis(along), Slice::from(first..first + counts[job.output]));
        standard(&view)
    }))
}

/// Where Pad takes the value at place `at` of a dimension of `length` from; `None` for the value that it fills with.
fn padded(mode: &str, at: isize, length: usize) -> Option<usize> {
    let n = length.cast_signed();
    let place = match mode {
        "edge" => at.clamp(0, n - 1),
        "wrap" => at.rem_euclid(n),
        "reflect" if n == 1 => 0,
        "reflect" => {
            let rest = at.rem_euclid(2 * (n - 1));
            rest.min(2 * (n - 1) - rest)
        }
        _ => at,
    };
    (0..n).contains(&place).then_some(place.cast_unsigned())
}

/// Pad: values before and behind each dimension.
pub fn pad(job: &Job) -> Result<Constant, Error> {
    let (node, data) = (job.node, job.input(0)?);
    let shape = data.shape();
    let mode = node.text("mode")?.unwrap_or_else(|| "constant".into());
    if !matches!(mode.as_str(), "constant" | "edge" | "wrap" | "reflect") {
        return Err(node.unsupported("mode", mode, "constant, reflect, edge, wrap"));
    }
    let pads = match (job.optional(1), node.ints("pads")?) {
        (Some(_), _) => job.lengths(1)?,
        (None, Some(pads)) => pads.iter().map(|&p| usize::try_from(p).unwrap_or(usize::MAX)).collect(),
        (None, None) => return Err(node.wrong("pads are missing")),
    };
    if pads.len() != 2 * shape.len() || job.optional(3).is_some() {
        return Err(node.unsupported("pads", format!("{pads:?}"), "two for each dimension, 0 or above"));
    }
    let length = |d: usize| shape[d].checked_add(pads[d])?.checked_add(pads[d + shape.len()]);
    let dims: Option<Vec<usize>> = (0..shape.len()).map(length).collect();
    let dims = dims.ok_or_else(|| node.unsupported("pads", format!("{pads:?}"), "lengths"))?;
    job.room(&dims, data)?;
    if shape.contains(&0) && mode != "constant" {
        return Err(node.wrong(format!("an input of {shape:?}, which holds nothing to pad with")));
    }
    let place = |at: &IxDyn| -> Option<Vec<usize>> {
        (0..shape.len())
            .map(|d| padded(&mode, at[d].cast_signed().wrapping_sub(pads[d].cast_signed()), shape[d]))
            .collect()
    };
    match (data, job.optional(2)) {
        (Constant::Float(a), fill) => {
            let fill = match fill.and_then(Constant::floats) {
                Some(fill) => fill.iter().copied().next().unwrap_or(0.0),
                None => node.float("value")?.unwrap_or(0.0),
            };
            let value = |at: IxDyn| place(&at).map_or(fill, |from| a[&from[..]]);
            Ok(Constant::Float(ArrayD::from_shape_fn(IxDyn(&dims), value)))
        }
        (Constant::Int(a), fill) => {
            let fill = fill.and_then(|c| ints(c)?.iter().copied().next()).unwrap_or(0);
            let value = |at: IxDyn| place(&at).map_or(fill, |from| a[&from[..]]);
            Ok(Constant::Int(ArrayD::from_shape_fn(IxDyn(&dims), value)))
        }
    }
}

/// ScatterND: other values at some places; of two for one place the later.
pub fn scatter(job: &Job) -> Result<Constant, Error> {
    let (node, data) = (job.node, job.input(0)?);
    if let Some(reduction) = node.text("reduction")?.filter(|r| r != "none") {
        return Err(node.unsupported("reduction", reduction, "none"));
    }
    let (Constant::Int(places), updates) = (job.input(1)?, job.input(2)?) else {
        return Err(node.wrong("indices must be integers"));
    };
    let shape = data.shape();
    let (&depth, outer) = places.shape().split_last().ok_or_else(|| node.wrong("indices without a dimension"))?;
    let wanted: Vec<usize> = outer.iter().chain(shape.get(depth..).unwrap_or(&[])).copied().collect();
    if depth > shape.len() || depth == 0 || updates.shape() != wanted {
        return Err(node.wrong(format!("updates {:?}; needed: {wanted:?}", updates.shape())));
    }
    job.room(shape, data)?;
    job.room(updates.shape(), updates)?;
    job.room(places.shape(), &Constant::from_shape(&[]))?;
    let place = |(i, &place): (usize, &i64)| axis(node, "indices", place, shape[i % depth]);
    let flat: Vec<usize> = places.iter().enumerate().map(place).collect::<Result<_, _>>()?;
    let inner: usize = shape[depth..].iter().product();
    let starts: Vec<usize> = flat
        .chunks_exact(depth)
        .map(|place| place.iter().zip(shape).fold(0, |at, (&i, &d)| at * d + i) * inner)
        .collect();
    match (data, updates) {
        (Constant::Float(a), Constant::Float(b)) => Ok(Constant::Float(scattered(job, a, b, &starts, inner)?)),
        (Constant::Int(a), Constant::Int(b)) => Ok(Constant::Int(scattered(job, a, b, &starts, inner)?)),
        _ => Err(node.wrong("inputs of different types")),
    }
}

/// `all` with runs of `new` at these places of its elements.
fn scattered<T: Copy>(
    job: &Job,
    all: &ArrayD<T>,
    new: &ArrayD<T>,
    starts: &[usize],
    run: usize,
) -> Result<ArrayD<T>, Error> {
    let (mut flat, new): (Vec<T>, Vec<T>) = (all.iter().copied().collect(), new.iter().copied().collect());
    for (&at, new) in starts.iter().zip(new.chunks(run.max(1))) {
        flat[at..at + run].copy_from_slice(new);
    }
    ArrayD::from_shape_vec(all.raw_dim(), flat).map_err(|e| job.misfit(e))
}
