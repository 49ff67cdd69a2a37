//! Parts of a tensor: Slice, Split, Gather by constants. Runs of equally spaced positions are views; what is not is copied.

use super::{
    arrange::{copied, resized},
    moves::{Move, Part},
};
use crate::{
    axes,
    error::Error,
    importer::{Import, Importer},
    onnx::Node,
    view::{Dim, View},
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[
    ("Slice", Import::new(import_slice)),
    ("Split", Import::new(import_split)),
    ("Gather", Import::new(import_gather).remark("by constants")),
];

/// Most runs of positions that a Gather may be made of: each becomes a step.
const MOST_RUNS: usize = 64;

/// `count` positions of a dimension, moved first where they are no runs.
///
/// # Errors
/// If they are steps of time, but for the last one.
pub fn part(
    importer: &mut Importer,
    node: &Node,
    x: &View,
    along: usize,
    [first, count]: [usize; 2],
    step: isize,
) -> Result<View, Error> {
    if let Some(view) = x.slice(along, first, step, count) {
        return Ok(view);
    }
    let last_step = x.dims[along].has_time() && (first, count) == (x.steps.wrapping_sub(1), 1);
    if x.dims[along].has_time() && !last_step {
        let what = format!("{count} positions from {first} on along dimension {along} of {:?}", x.lengths());
        return Err(node.unsupported("positions", what, "the last time step"));
    }
    if last_step {
        // The state after the whole sequence is what a streaming step leaves behind.
        let mut view = x.clone();
        view.dims[along] = Dim::ONE;
        return Ok(view);
    }
    let copy = copied(importer, node, x)?;
    copy.slice(along, first, step, count).ok_or_else(|| node.wrong("positions that are no part of the input"))
}

/// Slice: positions from a start to an end, exclusive, some steps apart; attributes before operator set 10.
fn import_slice(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    let x = importer.view(node, 0)?;
    let rank = x.dims.len();
    let given = |index: usize, name: &str| -> Result<Option<Vec<i64>>, Error> {
        if node.opset < 10 && index < 4 {
            return Ok(node.ints(name)?.map(<[i64]>::to_vec));
        }
        match importer.constant(node, index)? {
            Some(constant) => axes::list(node, name, constant).map(Some),
            None if node.input(index).is_some() => Err(node.unsupported(name, "(not constant)", "a constant")),
            None => Ok(None),
        }
    };
    node.only(if node.opset < 10 { &["starts", "ends", "axes"] } else { &[] })?;
    let missing = |name: &str| node.wrong(format!("{name} are missing"));
    let starts = given(1, "starts")?.ok_or_else(|| missing("starts"))?;
    let ends = given(2, "ends")?.ok_or_else(|| missing("ends"))?;
    let places = match given(3, "axes")? {
        Some(axes) => axes.iter().map(|&a| axes::axis(node, "axes", a, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..starts.len()).collect(),
    };
    let steps = given(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), places.len(), steps.len()] != [starts.len(); 3] || starts.len() > rank {
        return Err(node.wrong(format!(
            "{} starts, {} ends, {} axes, {} steps",
            starts.len(),
            ends.len(),
            places.len(),
            steps.len()
        )));
    }
    let mut view = x;
    for (((&start, &end), &along), &step) in starts.iter().zip(&ends).zip(&places).zip(&steps) {
        let (first, count) = axes::slice(node, view.dims[along].length(), start, end, step)?;
        let step = isize::try_from(step).map_err(|_| node.wrong(format!("a step of {step}")))?;
        view = part(importer, node, &view, along, [first, count], if count == 1 { 1 } else { step })?;
    }
    importer.define(node, 0, view)
}

/// Split: `split` positions for each output, an attribute before operator set 13, or as equal parts as can be.
fn import_split(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["axis", "split", "num_outputs"])?;
    let x = importer.view(node, 0)?;
    let along = axes::axis(node, "axis", node.int("axis")?.unwrap_or(0), x.dims.len())?;
    let (length, parts) = (x.dims[along].length(), node.outputs().len());
    let given = match (importer.constant(node, 1)?, node.ints("split")?) {
        (Some(constant), _) => Some(axes::list(node, "split", constant)?),
        (None, Some(list)) => Some(list.to_vec()),
        (None, None) => None,
    };
    // The last of the equal parts has what is left.
    let each = length.div_ceil(parts.max(1));
    let counts: Option<Vec<usize>> = match &given {
        Some(list) => list.iter().map(|&n| usize::try_from(n).ok().filter(|&n| n > 0)).collect(),
        None => {
            (0..parts).map(|i| length.checked_sub(i * each).map(|left| left.min(each)).filter(|&n| n > 0)).collect()
        }
    };
    let fits = counts.filter(|counts| counts.len() == parts && counts.iter().sum::<usize>() == length);
    let counts = fits.ok_or_else(|| {
        let what = given.map_or_else(|| format!("{parts} parts"), |list| format!("{list:?}"));
        node.unsupported(
            "split",
            format!("{what} of {length}"),
            "lengths above 0, one for each output, that add up to the input's",
        )
    })?;
    let mut first = 0;
    for (index, count) in counts.into_iter().enumerate() {
        if node.output(index).is_some() {
            let view = part(importer, node, &x, along, [first, count], 1)?;
            importer.define(node, index, view)?;
        }
        first += count;
    }
    Ok(())
}

/// Gather: positions in the order of the indices, whose dimensions take the place of the one that is gathered from.
fn import_gather(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["axis"])?;
    let x = importer.view(node, 0)?;
    let along = axes::axis(node, "axis", node.int("axis")?.unwrap_or(0), x.dims.len())?;
    let length = x.dims[along].length();
    let (shape, indices) = match importer.constant(node, 1)? {
        Some(crate::constant::Constant::Int(indices)) => {
            (indices.shape().to_vec(), indices.iter().copied().collect::<Vec<_>>())
        }
        _ => return Err(node.unsupported("indices", "(not a constant)", "constant integers")),
    };
    axes::fits_rank(node, x.dims.len() - 1 + shape.len())?;
    let places = indices.iter().map(|&i| axes::axis(node, "indices", i, length)).collect::<Result<Vec<_>, _>>()?;
    let mut view = gathered(importer, node, &x, along, &places)?;
    // The one dimension becomes those of the indices.
    let mut lengths = view.lengths();
    lengths.splice(along..=along, shape);
    view = view.reshape(&lengths).ok_or_else(|| node.wrong(format!("indices of {lengths:?} dimensions")))?;
    importer.define(node, 0, view)
}

/// These positions of a dimension, in that order.
///
/// # Errors
/// If there are none or too many runs of them, or they are steps of time.
pub fn gathered(importer: &mut Importer, node: &Node, x: &View, along: usize, places: &[usize]) -> Result<View, Error> {
    let runs = runs(places);
    match runs[..] {
        [] => Err(node.unsupported("indices", "none", "at least one")),
        [([first, count], step)] => part(importer, node, x, along, [first, count], step),
        _ if runs.len() > MOST_RUNS => {
            let what = format!("{} runs of positions", runs.len());
            Err(node.unsupported("indices", what, &format!("up to {MOST_RUNS} runs of equally spaced ones")))
        }
        _ => joined(importer, node, x, along, &runs),
    }
}

/// Equally spaced positions, as long as they are: first and count, and how far apart.
fn runs(places: &[usize]) -> Vec<([usize; 2], isize)> {
    let mut runs: Vec<([usize; 2], isize)> = vec![];
    for &place in places {
        if let Some(([first, count], step)) = runs.last_mut() {
            let next = place.cast_signed() - first.cast_signed();
            if *count == 1 && next != 0 {
                (*count, *step) = (2, next);
                continue;
            }
            if next == *step * count.cast_signed() && *count > 1 {
                *count += 1;
                continue;
            }
        }
        runs.push(([place, 1], 1));
    }
    runs
}

/// Several runs, one after the other, in a tensor of their own.
fn joined(
    importer: &mut Importer,
    node: &Node,
    x: &View,
    along: usize,
    runs: &[([usize; 2], isize)],
) -> Result<View, Error> {
    let x = if x.slice(along, 0, 1, 1).is_some() { x.clone() } else { copied(importer, node, x)? };
    let mut lengths = x.lengths();
    lengths[along] = runs.iter().map(|([_, count], _)| count).sum();
    let to = resized(&x, &lengths);
    let (mut parts, mut at) = (vec![], 0);
    for &([first, count], step) in runs {
        let made = x.slice(along, first, step, count).zip(to.slice(along, at, 1, count));
        let made = made.and_then(|(from, to)| {
            Some(Part { input: 0, shape: from.shape, from: from.start, to: to.start, loops: from.loops(&to)? })
        });
        parts.push(made.ok_or_else(|| node.unsupported("indices", format!("{first}"), "positions outside time"))?);
        at += count;
    }
    let made = Move { parts, fill: 0.0, shape: to.shape };
    let tensor = importer.emit(node, made, vec![x.tensor], to.shape)?;
    Ok(View { tensor, ..to })
}
