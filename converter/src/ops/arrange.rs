//! Arrangements: what an operator does where ONNX's dimensions are no form that it reads.

use escarp_runtime::ops::LOOPS_MAX;

use super::moves::{Move, Part};
use crate::{
    error::Error,
    history::Kind,
    importer::Importer,
    onnx::Node,
    view::{Axis, Dim, Run, View},
};

/// As many loops as a step of the runtime takes.
const MOST_LOOPS: usize = LOOPS_MAX as usize;

/// The same values as a whole tensor whose dimensions run over these axes; moved there if they do not already.
///
/// # Errors
/// If there are more or fewer dimensions, one that has no axis is not 1, or time would have to be moved.
pub fn arranged(importer: &mut Importer, node: &Node, view: &View, axes: &[Option<Axis>]) -> Result<View, Error> {
    if view.is(axes) {
        return Ok(view.clone());
    }
    let lengths = view.lengths();
    let fits = lengths.len() == axes.len() && lengths.iter().zip(axes).all(|(&n, axis)| n == 1 || axis.is_some());
    if !fits {
        let shown = axes.iter().map(|axis| axis.map_or("1", Axis::name)).collect::<Vec<_>>().join(", ");
        return Err(node.unsupported("input", format!("{lengths:?}"), &format!("[{shown}]")));
    }
    let length = |wanted: Axis| axes.iter().zip(&lengths).find(|(a, _)| **a == Some(wanted)).map_or(1, |(_, &n)| n);
    let shape = [Axis::Height, Axis::Width, Axis::Channel].map(length);
    moved(importer, node, view, &View::new(0, shape, view.steps, axes))
}

/// The same values as a tensor of their own, of any arrangement.
///
/// # Errors
/// If time would have to be moved.
pub fn copied(importer: &mut Importer, node: &Node, view: &View) -> Result<View, Error> {
    let to = fresh(view);
    moved(importer, node, view, &to)
}

/// The view if it sees its whole tensor, else [`copied`].
///
/// # Errors
/// As there.
pub fn whole(importer: &mut Importer, node: &Node, view: View) -> Result<View, Error> {
    if view.covers() { Ok(view) } else { copied(importer, node, &view) }
}

/// A whole tensor of the same dimensions, time where it is.
fn fresh(view: &View) -> View {
    let lengths: Vec<usize> = view.dims.iter().map(|d| if d.has_time() { 1 } else { d.length() }).collect();
    let mut to = View::fresh(&lengths, view.steps);
    for (dim, from) in to.dims.iter_mut().zip(&view.dims) {
        if from.has_time() {
            *dim = from.clone();
        }
    }
    to
}

/// Moves the values to the places of `to`, a new tensor. Where no loops fit both sides, through one row of all values.
///
/// # Errors
/// If time would have to be moved.
pub fn moved(importer: &mut Importer, node: &Node, view: &View, to: &View) -> Result<View, Error> {
    let part = |from: &View, to: &View| {
        Some(Part {
            input: 0,
            shape: from.shape,
            from: from.start,
            to: to.start,
            loops: from.loops(to).filter(|l| l.len() <= MOST_LOOPS)?,
        })
    };
    let emit = |importer: &mut Importer, from: &View, to: &View, part: Part| {
        let detail = format!("{:?} lies as {}, needed as {}", from.lengths(), from.words(), to.words());
        importer.tell(Kind::Copied, detail);
        let made = Move { parts: vec![part], fill: 0.0, shape: to.shape };
        let tensor = importer.emit(node, made, vec![from.tensor], to.shape)?;
        Ok(View { tensor, ..to.clone() })
    };
    let cannot =
        || node.wrong(format!("{:?} cannot be moved into another order: time is between them", view.lengths()));
    if let Some(part) = part(view, to) {
        return emit(importer, view, to, part);
    }
    if view.has_time() || to.has_time() {
        return Err(cannot());
    }
    let row = |v: &View| v.reshape(&[v.lengths().iter().product()]);
    let (from, to_row) = row(view).zip(row(to)).ok_or_else(cannot)?;
    let between = View::fresh(&from.lengths(), view.steps);
    let (first, second) = part(&from, &between).zip(part(&between, &to_row)).ok_or_else(cannot)?;
    let between = emit(importer, &from, &between, first)?;
    emit(importer, &between, to, second)
}

/// The two operands of an element-wise operator, broadcast and arranged alike: the second's values lie where the first's do, or are one
/// pixel that meets all of the first's where `pixels` allows it.
pub struct Pair {
    /// Which decides about the result's arrangement; whole.
    pub a: View,
    /// The other.
    pub b: View,
    /// The operands have changed places.
    pub swapped: bool,
}

/// Reads two operands of an element-wise operator, the inputs of those numbers.
///
/// # Errors
/// If the shapes do not broadcast, or time would have to be moved.
pub fn pair(importer: &mut Importer, node: &Node, [first, second]: [usize; 2], pixels: bool) -> Result<Pair, Error> {
    let (first, second) = (importer.view(node, first)?, importer.view(node, second)?);
    paired(importer, node, first, second, pixels)
}

/// [`pair`] of values that are there already.
///
/// # Errors
/// As there.
pub fn paired(importer: &mut Importer, node: &Node, first: View, second: View, pixels: bool) -> Result<Pair, Error> {
    let (one, other) = (first.lengths(), second.lengths());
    let rank = one.len().max(other.len());
    let at = |lengths: &[usize], i: usize| (i + lengths.len()).checked_sub(rank).map_or(1, |i| lengths[i]);
    let lengths: Vec<usize> = (0..rank).map(|i| at(&one, i).max(at(&other, i))).collect();
    let wrong = || node.unsupported("operands", format!("{one:?} and {other:?}"), "shapes that broadcast");
    let (first, second) = (first.expand(&lengths).ok_or_else(wrong)?, second.expand(&lengths).ok_or_else(wrong)?);
    // The one that is whole keeps its place.
    let swapped = !first.covers() && second.covers();
    let (a, b) = if swapped { (second, first) } else { (first, second) };
    let a = whole(importer, node, a)?;
    let alike = b.covers() && b.shape == a.shape && b.dims == a.dims;
    let b = if alike || pixels && is_pixel(&a, &b) { b } else { moved(importer, node, &b, &a)? };
    Ok(Pair { a, b, swapped })
}

/// Whether `b` is one pixel, all of it, that meets every pixel of `a`.
fn is_pixel(a: &View, b: &View) -> bool {
    let meets = |(a, b): (&Dim, &Dim)| {
        a == b || b.runs.iter().all(|r| r.stride == 0) && a.runs.iter().all(|r| r.axis != Axis::Channel)
    };
    b.shape == [1, 1, a.shape[2]] && b.start == [0; 3] && a.dims.iter().zip(&b.dims).all(meets)
}

/// An arrangement for a new tensor of other lengths that has the axes of `view` where it can: a map stays a map, of other sides.
pub fn resized(view: &View, lengths: &[usize]) -> View {
    let mut shape = [1; 3];
    let mut free: Vec<Axis> = [Axis::Height, Axis::Width, Axis::Channel]
        .into_iter()
        .filter(|axis| view.dims.iter().flat_map(|d| &d.runs).all(|r| r.axis != *axis))
        .collect();
    let mut axes = vec![];
    for (dim, &length) in view.dims.iter().zip(lengths) {
        let axis = match dim.runs[..] {
            _ if length == 1 => None,
            [] => free.pop(),
            [Run { axis, .. }] => Some(axis),
            _ => return View::fresh(lengths, view.steps),
        };
        let place = [Axis::Height, Axis::Width, Axis::Channel].iter().position(|&a| Some(a) == axis);
        match place {
            _ if length == 1 => {}
            // Two dimensions along one axis, or none left.
            Some(place) if shape[place] == 1 => shape[place] = length,
            _ => return View::fresh(lengths, view.steps),
        }
        axes.push(axis);
    }
    View::new(0, shape, view.steps, &axes)
}
