//! How an ONNX tensor looks at one of ours.
//!
//! Inside, every tensor is one map `[height, width, channel]`, and in a recurrent network a map for each time step.
//! ONNX has NCHW, NHWC, flattened, squeezed, transposed, cut and repeated forms of it. A [`View`] says for each ONNX dimension
//! which runs along our axes it consists of, outermost first, as an array with strides does. Transpose, Reshape, Flatten, Squeeze,
//! Unsqueeze, Slice, Split and Expand then only rewrite views; who needs another arrangement has the values moved
//! ([`crate::importer::Importer::arranged`]), and who reads weights in some flattened order permutes them once ([`View::places`]).

use crate::shape::{Shape, TensorId};

mod words;

/// An axis of our tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Steps of a sequence.
    Time,
    /// Rows.
    Height,
    /// Columns.
    Width,
    /// Features.
    Channel,
}

/// The axes of a map, in the order of its shape.
const MAP: [Axis; 3] = [Axis::Height, Axis::Width, Axis::Channel];

/// Equally spaced positions along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The axis.
    pub axis: Axis,
    /// How many positions.
    pub length: usize,
    /// From one to the next; 0 for a value that is repeated, below 0 for one that is read backwards.
    pub stride: isize,
}

/// An ONNX dimension: the runs it consists of, outermost first; its length is their product. A batch of one has none. Runs of one
/// position never appear, except of time; two that could be one are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dim {
    /// Outermost first.
    pub runs: Vec<Run>,
}

impl Dim {
    /// A dimension of one.
    pub const ONE: Dim = Dim { runs: vec![] };

    /// A dimension of these runs.
    pub fn new(runs: impl IntoIterator<Item = Run>) -> Dim {
        let mut all: Vec<Run> = vec![];
        for run in runs {
            if run.length == 1 && run.axis != Axis::Time {
                continue;
            }
            match all.last_mut() {
                Some(outer) if outer.axis == run.axis && outer.stride == run.stride * signed(run.length) => {
                    *outer = Run { length: outer.length * run.length, ..run };
                }
                _ => all.push(run),
            }
        }
        Dim { runs: all }
    }

    /// Positions.
    pub fn length(&self) -> usize {
        self.runs.iter().map(|r| r.length).product()
    }

    /// Does it run over time?
    pub fn has_time(&self) -> bool {
        self.runs.iter().any(|r| r.axis == Axis::Time)
    }
}

/// A length as a stride; lengths of our axes are at most 65535.
fn signed(length: usize) -> isize {
    isize::try_from(length).unwrap_or(isize::MAX)
}

/// A tensor of ours as ONNX sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Ours.
    pub tensor: TensorId,
    /// Its shape.
    pub shape: Shape,
    /// Steps of the sequence (1 for a tensor without time).
    pub steps: usize,
    /// Where the first element lies: row, column, channel.
    pub start: [usize; 3],
    /// ONNX's.
    pub dims: Vec<Dim>,
}

/// A loop of a copy: so many positions, and how far each is from the one before on both sides: rows, columns, channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loop {
    /// Positions.
    pub count: usize,
    /// In what is read.
    pub from: [isize; 3],
    /// In what is written.
    pub to: [isize; 3],
}

impl View {
    /// Length of an axis.
    pub fn length(&self, axis: Axis) -> usize {
        match axis {
            Axis::Time => self.steps,
            Axis::Height => self.shape[0],
            Axis::Width => self.shape[1],
            Axis::Channel => self.shape[2],
        }
    }

    /// A view of a whole tensor with the given axis for each dimension; `None` is a dimension of one.
    pub fn new(tensor: TensorId, shape: Shape, steps: usize, axes: &[Option<Axis>]) -> View {
        let mut view = View { tensor, shape, steps, start: [0; 3], dims: vec![] };
        view.dims = axes.iter().map(|&axis| view.along(axis.as_slice())).collect();
        view
    }

    /// A view of a whole tensor for dimensions of any number and length: the last that is not one are its channels, the one before
    /// its columns, all others its rows.
    pub fn fresh(lengths: &[usize], steps: usize) -> View {
        let (mut axes, mut shape, mut dims) = (MAP.into_iter().enumerate().rev(), [1; 3], vec![]);
        let mut at = None;
        for &length in lengths.iter().rev() {
            if length > 1 {
                at = axes.next().or(at);
            }
            let run = at.filter(|_| length > 1).map(|(place, axis)| {
                let run = Run { axis, length, stride: signed(shape[place]) };
                shape[place] = shape[place].saturating_mul(length);
                run
            });
            dims.push(Dim::new(run));
        }
        dims.reverse();
        View { tensor: 0, shape, steps, start: [0; 3], dims }
    }

    /// A dimension over all of these axes.
    pub fn along(&self, axes: &[Axis]) -> Dim {
        Dim::new(axes.iter().map(|&axis| Run { axis, length: self.length(axis), stride: 1 }))
    }

    /// The same arrangement over another tensor of the same shape.
    pub fn on(&self, tensor: TensorId) -> View {
        View { tensor, ..self.clone() }
    }

    /// ONNX's dimensions.
    pub fn lengths(&self) -> Vec<usize> {
        self.dims.iter().map(Dim::length).collect()
    }

    /// Does every dimension run over exactly that whole axis (or over none, being one)?
    pub fn is(&self, axes: &[Option<Axis>]) -> bool {
        *self == View::new(self.tensor, self.shape, self.steps, axes)
    }

    /// Does any dimension run over time?
    pub fn has_time(&self) -> bool {
        self.dims.iter().any(Dim::has_time)
    }

    /// Does it see every element of the tensor, each once?
    pub fn covers(&self) -> bool {
        MAP.iter().all(|&axis| self.covers_axis(axis, self.dims.iter().flat_map(|d| &d.runs)))
    }

    /// Do these runs see every position of an axis once, from its first or last one on?
    fn covers_axis<'r>(&self, axis: Axis, runs: impl Iterator<Item = &'r Run>) -> bool {
        let mut runs: Vec<Run> = runs.filter(|r| r.axis == axis).copied().collect();
        runs.sort_by_key(|r| r.stride.unsigned_abs());
        let end = runs.iter().try_fold(1, |step, r| (r.stride.unsigned_abs() == step).then(|| step * r.length));
        // Runs that are read backwards begin at their ends.
        let back: usize = runs.iter().filter(|r| r.stride < 0).map(|r| (r.length - 1) * r.stride.unsigned_abs()).sum();
        let start = MAP.iter().position(|&a| a == axis).map(|at| self.start[at]);
        end == Some(self.length(axis)) && start == Some(back)
    }

    /// The channel of each position of a dimension that consists of all channels, in any order; `None` if it does not.
    pub fn channels(&self, dim: &Dim) -> Option<Vec<usize>> {
        let all = dim.runs.iter().all(|r| r.axis == Axis::Channel) && self.covers_axis(Axis::Channel, dim.runs.iter());
        all.then(|| self.places(dim))
    }

    /// Cuts the same elements into other dimensions, as a row-major array is cut; `None` if a cut would go through time, or through
    /// a run at a place that does not divide it.
    pub fn reshape(&self, lengths: &[usize]) -> Option<View> {
        let mut rest: Vec<Run> = self.dims.iter().rev().flat_map(|d| d.runs.iter().rev().copied()).collect();
        let mut dims = Vec::with_capacity(lengths.len());
        for &length in lengths {
            let (mut runs, mut open) = (vec![], length);
            while open > 1 {
                let run = rest.pop()?;
                if open.is_multiple_of(run.length) {
                    open /= run.length;
                    runs.push(run);
                } else if run.length.is_multiple_of(open) && run.axis != Axis::Time {
                    let inner = run.length / open;
                    runs.push(Run { length: open, stride: run.stride * signed(inner), ..run });
                    rest.push(Run { length: inner, ..run });
                    open = 1;
                } else {
                    return None;
                }
            }
            dims.push(Dim::new(runs));
        }
        rest.is_empty().then(|| View { dims, ..self.clone() })
    }

    /// Keeps `count` positions of a dimension from `first` on, `step` apart (backwards below 0); `None` if they are no runs, or time.
    pub fn slice(&self, dim: usize, first: usize, step: isize, count: usize) -> Option<View> {
        let mut view = self.clone();
        let runs = &mut view.dims[dim].runs;
        if runs.is_empty() || (first, step, count) == (0, 1, self.dims[dim].length()) {
            return (first == 0 && count == 1 || count == self.dims[dim].length()).then_some(view);
        }
        let inner: usize = runs[1..].iter().map(|r| r.length).product();
        let Run { axis, stride, .. } = runs[0];
        // A part of an outer run with everything inside it.
        let whole = inner == 1 || step == 1 && first.is_multiple_of(inner) && count.is_multiple_of(inner);
        if !whole || axis == Axis::Time {
            return None;
        }
        let (first, count) = (first / inner, count / inner);
        let at = MAP.iter().position(|&a| a == axis)?;
        view.start[at] = view.start[at].checked_add_signed(stride * signed(first))?;
        runs[0] = Run { axis, length: count, stride: stride * step };
        view.dims[dim] = Dim::new(std::mem::take(runs));
        Some(view)
    }

    /// Repeats dimensions of one, and puts such in front, until the lengths are these, as ONNX broadcasts; `None` if they cannot be.
    pub fn expand(&self, lengths: &[usize]) -> Option<View> {
        let extra = lengths.len().checked_sub(self.dims.len())?;
        let one = Dim::ONE;
        let dims = std::iter::repeat_n(&one, extra).chain(&self.dims).zip(lengths).map(|(dim, &length)| {
            let repeated = || Dim::new([Run { axis: Axis::Height, length, stride: 0 }]);
            (dim.length() == length)
                .then(|| dim.clone())
                .or_else(|| (dim.length() == 1 && !dim.has_time()).then(repeated))
        });
        Some(View { dims: dims.collect::<Option<_>>()?, ..self.clone() })
    }

    /// For each element of a dimension, in ONNX's order, its place in our `[height, width, channel]` order, of a view that sees its
    /// whole tensor; time counts for nothing.
    pub fn places(&self, dim: &Dim) -> Vec<usize> {
        let stride = |run: &Run| {
            let one = match run.axis {
                Axis::Time => 0,
                Axis::Height => self.shape[1] * self.shape[2],
                Axis::Width => self.shape[2],
                Axis::Channel => 1,
            };
            run.stride.unsigned_abs() * one
        };
        let position = |run: &Run, i: usize| if run.stride < 0 { run.length - 1 - i } else { i };
        dim.runs.iter().fold(vec![0], |places, run| {
            let of = |p: &usize| {
                (0..run.length).map(move |i| position(run, i) * stride(run)).map(|at| p + at).collect::<Vec<_>>()
            };
            places.iter().flat_map(of).collect()
        })
    }

    /// [`View::places`] of all dimensions together: where each element of the ONNX tensor lies in ours, of one step.
    pub fn order(&self) -> Vec<usize> {
        let of_step = |r: &Run| r.axis != Axis::Time;
        self.places(&Dim { runs: self.dims.iter().flat_map(|d| &d.runs).copied().filter(of_step).collect() })
    }

    /// The loops that copy every element of one step of this view to its place in `to`, which has the same lengths; `None` if the
    /// two cut a dimension such that no runs fit both, or differ in time.
    pub fn loops(&self, to: &View) -> Option<Vec<Loop>> {
        let mut loops = vec![];
        for (from, to) in self.dims.iter().zip(&to.dims) {
            let [mut a, mut b] = [from, to].map(|dim| dim.runs.iter().rev().copied().collect::<Vec<Run>>());
            while let (Some(x), Some(y)) = (a.pop(), b.pop()) {
                if (x.axis == Axis::Time) != (y.axis == Axis::Time) {
                    return None;
                }
                let count = x.length.min(y.length);
                let (left, right) = (x.length / count, y.length / count);
                if count * left != x.length || count * right != y.length {
                    return None;
                }
                for (rest, run, parts) in [(&mut a, x, left), (&mut b, y, right)] {
                    if parts > 1 {
                        rest.push(Run { length: parts, ..run });
                    }
                }
                if x.axis == Axis::Time {
                    continue;
                }
                let vector = |run: Run, parts: usize| {
                    MAP.map(|axis| if axis == run.axis { run.stride * signed(parts) } else { 0 })
                };
                loops.push(Loop { count, from: vector(x, left), to: vector(y, right) });
            }
            if !(a.is_empty() && b.is_empty()) {
                return None;
            }
        }
        Some(merged(loops))
    }
}

/// Loops of which two could be one are one.
fn merged(loops: Vec<Loop>) -> Vec<Loop> {
    let mut all: Vec<Loop> = vec![];
    for inner in loops.into_iter().filter(|l| l.count > 1) {
        let times = |v: [isize; 3]| v.map(|d| d * signed(inner.count));
        match all.last_mut() {
            Some(outer) if outer.from == times(inner.from) && outer.to == times(inner.to) => {
                *outer = Loop { count: outer.count * inner.count, ..inner };
            }
            _ => all.push(inner),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{Axis::*, *};

    fn nchw() -> View {
        View::new(0, [2, 3, 4], 1, &[None, Some(Channel), Some(Height), Some(Width)])
    }

    #[test]
    fn flattening_keeps_onnx_order() {
        let flat = nchw().reshape(&[1, 24]).unwrap();
        assert_eq!(flat.dims[1].runs.iter().map(|r| r.axis).collect::<Vec<_>>(), [Channel, Height, Width]);
        // Element 1 in NCHW order is channel 0, row 0, column 1: place 4 in HWC order.
        let order = flat.places(&flat.dims[1]);
        assert_eq!(&order[..4], &[0, 4, 8, 12]);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..24).collect::<Vec<_>>());
        assert_eq!(flat.reshape(&[1, 4, 2, 3]).unwrap(), nchw());
    }

    #[test]
    fn cuts_go_between_and_through_axes_that_they_divide() {
        assert!(nchw().reshape(&[1, 8, 3]).is_some());
        let halves = nchw().reshape(&[1, 2, 2, 6]).unwrap();
        assert_eq!(halves.dims[1].runs, [Run { axis: Channel, length: 2, stride: 2 }]);
        assert_eq!(halves.dims[2].runs, [Run { axis: Channel, length: 2, stride: 1 }]);
        assert!(halves.covers());
        assert!(nchw().reshape(&[1, 3, 8]).is_none(), "4 channels have no thirds");
        assert!(nchw().reshape(&[4, 1, 6]).is_some());
    }

    #[test]
    fn any_dimensions_are_a_map() {
        let view = View::fresh(&[2, 1, 3, 4, 5, 6], 1);
        assert_eq!((view.shape, view.lengths()), ([24, 5, 6], vec![2, 1, 3, 4, 5, 6]));
        assert!(view.covers());
        assert_eq!(view.order(), (0..720).collect::<Vec<_>>());
        assert_eq!(View::fresh(&[1, 1], 1).shape, [1, 1, 1]);
    }

    #[test]
    fn channels_in_any_order() {
        let back = nchw().slice(1, 3, -1, 4).unwrap();
        assert!(back.covers());
        assert_eq!(back.channels(&back.dims[1]), Some(vec![3, 2, 1, 0]));
        assert_eq!(back.order()[..7], [3, 7, 11, 15, 19, 23, 2]);
        assert_eq!(back.channels(&back.dims[2]), None);
        assert_eq!(nchw().channels(&nchw().dims[1]), Some(vec![0, 1, 2, 3]));
    }

    #[test]
    fn slices_are_runs() {
        let odd = nchw().slice(1, 3, -2, 2).unwrap();
        assert_eq!((odd.start, odd.dims[1].runs[0].stride), ([0, 0, 3], -2));
        assert!(!odd.covers());
        let flat = nchw().reshape(&[24]).unwrap();
        assert_eq!(flat.slice(0, 6, 1, 12).unwrap().start, [0, 0, 1]);
        assert!(flat.slice(0, 5, 1, 12).is_none());
        assert_eq!(nchw().slice(0, 0, 1, 1), Some(nchw()));
    }

    #[test]
    fn shuffled_channels_are_a_view_and_loops_undo_it() {
        let shuffled = nchw().reshape(&[1, 2, 2, 2, 3]).unwrap();
        let mut turned = shuffled.clone();
        turned.dims.swap(1, 2);
        let turned = turned.reshape(&[1, 4, 2, 3]).unwrap();
        assert_eq!(turned.places(&turned.dims[1]), [0, 2, 1, 3]);
        assert!(turned.covers());
        let loops = turned.loops(&nchw()).unwrap();
        assert_eq!(loops.iter().map(|l| l.count).product::<usize>(), 24);
        assert_eq!(loops[0], Loop { count: 2, from: [0, 0, 1], to: [0, 0, 2] });
    }
}
