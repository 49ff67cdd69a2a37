//! Axes, lengths and places as operators give them: from the end or the front, as attributes or as inputs.

use crate::{budget::RANK, constant::Constant, error::Error, onnx::Node};

/// A constant that is a list of axes, lengths or places.
///
/// # Errors
/// If it is no list of integers, or of more than [`RANK`].
pub fn list(node: &Node, what: &str, constant: &Constant) -> Result<Vec<i64>, Error> {
    let Constant::Int(list) = constant else { return Err(node.wrong(format!("{what} must be integers"))) };
    if list.len() > RANK {
        return Err(node.wrong(format!("{what}: {} numbers; allowed: {RANK}", list.len())));
    }
    Ok(list.iter().copied().collect())
}

/// An axis that may count from the end.
pub fn axis(node: &Node, name: &str, value: i64, rank: usize) -> Result<usize, Error> {
    let from_end = || rank.checked_sub(usize::try_from(value.unsigned_abs()).ok()?);
    let found = if value < 0 { from_end() } else { usize::try_from(value).ok() };
    found.filter(|&axis| axis < rank).ok_or_else(|| node.unsupported(name, value, &format!("-{rank}..{rank}")))
}

/// The axes of Squeeze, Unsqueeze or ReduceMean, ascending: an attribute in old operator sets, an input since 13 or 18.
///
/// # Errors
/// For an axis outside the rank, or given twice.
pub fn axes(node: &Node, input: Option<&Constant>, rank: usize) -> Result<Option<Vec<usize>>, Error> {
    let Some(list) = axes_given(node, input)? else { return Ok(None) };
    let mut axes = list.iter().map(|&a| axis(node, "axes", a, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    if axes.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(node.unsupported("axes", format!("{list:?}"), "each axis once"));
    }
    Ok(Some(axes))
}

fn axes_given(node: &Node, input: Option<&Constant>) -> Result<Option<Vec<i64>>, Error> {
    match (input, node.ints("axes")?) {
        (Some(_), Some(axes)) => {
            Err(node.unsupported("axes", format!("{axes:?}"), "an input or an attribute, not both"))
        }
        (Some(c), None) => list(node, "axes", c).map(Some),
        (None, Some(axes)) if axes.len() > RANK => {
            Err(node.wrong(format!("axes: {} numbers; allowed: {RANK}", axes.len())))
        }
        (None, axes) => Ok(axes.map(<[i64]>::to_vec)),
    }
}

/// The axes of an Unsqueeze of a tensor of that rank: places in its result.
///
/// # Errors
/// As [`axes`], if there are none, and if the result has more than [`RANK`] dimensions.
pub fn new_axes(node: &Node, input: Option<&Constant>, rank: usize) -> Result<Vec<usize>, Error> {
    let extra = axes_given(node, input)?.ok_or_else(|| node.wrong("axes are missing"))?.len();
    fits_rank(node, rank + extra)?;
    Ok(axes(node, input, rank + extra)?.unwrap_or_default())
}

/// A result of that many dimensions may be.
///
/// # Errors
/// If they are more than [`RANK`].
pub fn fits_rank(node: &Node, rank: usize) -> Result<(), Error> {
    match rank {
        0..=RANK => Ok(()),
        _ => Err(node.wrong(format!("a result of {rank} dimensions; allowed: {RANK}"))),
    }
}

/// The target of a Reshape with its 0 ("as before") and -1 ("what remains") resolved.
pub fn reshape_target(node: &Node, from: &[usize], to: &[i64]) -> Result<Vec<usize>, Error> {
    fits_rank(node, to.len())?;
    let wrong = || node.wrong(format!("cannot reshape {from:?} to {to:?}"));
    let keep_zero = node.int("allowzero")?.unwrap_or(0) == 0;
    let mut shape = Vec::with_capacity(to.len());
    let mut open = None;
    for (i, &d) in to.iter().enumerate() {
        shape.push(match d {
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            0 if keep_zero => *from.get(i).ok_or_else(wrong)?,
            d => usize::try_from(d).map_err(|_| wrong())?,
        });
    }
    let product = |s: &[usize]| s.iter().try_fold(1usize, |p, &d| p.checked_mul(d)).ok_or_else(wrong);
    let (have, want) = (product(from)?, product(&shape)?);
    if let Some(i) = open {
        if want == 0 || have % want != 0 {
            return Err(wrong());
        }
        shape[i] = have / want;
    } else if have != want {
        return Err(wrong());
    }
    Ok(shape)
}

/// [`span`] of at least one position.
///
/// # Errors
/// For a step of 0, and where nothing is left.
pub fn slice(node: &Node, length: usize, start: i64, end: i64, step: i64) -> Result<(usize, usize), Error> {
    match span(node, length, start, end, step)? {
        (_, 0) => Err(node.wrong(format!("{start}..{end} in steps of {step} of {length} leaves nothing"))),
        found => Ok(found),
    }
}

/// First position and number of positions of a slice, as ONNX counts: from the end below 0, clamped to what there is.
///
/// # Errors
/// For a step of 0.
pub fn span(node: &Node, length: usize, start: i64, end: i64, step: i64) -> Result<(usize, usize), Error> {
    let n = i64::try_from(length).unwrap_or(i64::MAX);
    let at = |i: i64, low: i64, high: i64| (if i < 0 { i.saturating_add(n) } else { i }).clamp(low, high);
    // Backwards, the end may lie before the first.
    let (first, room) = match step {
        0 => return Err(node.unsupported("steps", 0, "any but 0")),
        1.. => (at(start, 0, n), at(end, 0, n) - at(start, 0, n)),
        _ if n == 0 => (0, 0),
        _ => (at(start, 0, n - 1), at(start, 0, n - 1) - at(end, -1, n - 1)),
    };
    let count = (room.max(0).unsigned_abs()).div_ceil(step.unsigned_abs());
    match (usize::try_from(first), usize::try_from(count)) {
        (Ok(first), Ok(count)) => Ok((first, count)),
        _ => Err(node.wrong(format!("{start}..{end} in steps of {step} of {length}"))),
    }
}

/// A permutation of `rank` axes; ONNX reverses them where none is given.
pub fn permutation(node: &Node, rank: usize) -> Result<Vec<usize>, Error> {
    let Some(perm) = node.ints("perm")? else { return Ok((0..rank).rev().collect()) };
    let wrong = || node.unsupported("perm", format!("{perm:?}"), &format!("a permutation of {rank} axes"));
    let mut seen = vec![false; rank];
    let mut axes = Vec::with_capacity(rank);
    for &p in perm {
        let p = usize::try_from(p).ok().filter(|&p| p < rank && !seen[p]).ok_or_else(wrong)?;
        seen[p] = true;
        axes.push(p);
    }
    if axes.len() == rank { Ok(axes) } else { Err(wrong()) }
}
