//! How an ONNX tensor looks at one of ours.
//!
//! Inside, every tensor is one map `[height, width, channel]`, and in a recurrent network a map for each time step.
//! ONNX has NCHW, NHWC, flattened, squeezed and transposed forms of it. A [`View`] says for each ONNX dimension which
//! of our axes it runs over, outermost first. Transpose, Reshape, Flatten, Squeeze and Unsqueeze then only rewrite
//! views, and who reads weights in some flattened order permutes them once ([`View::flat_order`]).

use crate::shape::{Shape, TensorId};

/// An axis of our tensors. Axes of length 1 never appear in a view, except time.
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

/// An ONNX dimension: its length and the axes it runs over, outermost first. A batch of one has none.
#[derive(Clone, Debug, PartialEq)]
pub struct Dim {
    /// Length, the product of the axes'.
    pub length: usize,
    /// Outermost first.
    pub axes: Vec<Axis>,
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
    /// ONNX's.
    pub dims: Vec<Dim>,
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

    /// A view with the given axis for each dimension; `None` is a dimension of one.
    pub fn new(tensor: TensorId, shape: Shape, steps: usize, axes: &[Option<Axis>]) -> View {
        let mut view = View { tensor, shape, steps, dims: Vec::new() };
        view.dims = axes
            .iter()
            .map(|&axis| match axis {
                None => Dim { length: 1, axes: vec![] },
                Some(axis) => view.along(&[axis]),
            })
            .collect();
        view
    }

    /// A dimension over these axes.
    pub fn along(&self, axes: &[Axis]) -> Dim {
        let shown = |a: &Axis| *a == Axis::Time || self.length(*a) > 1;
        Dim {
            length: axes.iter().map(|&a| self.length(a)).product(),
            axes: axes.iter().copied().filter(shown).collect(),
        }
    }

    /// The same arrangement over another tensor.
    pub fn on(&self, tensor: TensorId) -> View {
        View { tensor, ..self.clone() }
    }

    /// ONNX's dimensions.
    pub fn lengths(&self) -> Vec<usize> {
        self.dims.iter().map(|d| d.length).collect()
    }

    /// Does every dimension run over exactly that axis (or over none, being one)?
    pub fn is(&self, axes: &[Option<Axis>]) -> bool {
        let want = View::new(self.tensor, self.shape, self.steps, axes);
        self.dims == want.dims
    }

    /// Does any dimension run over time?
    pub fn has_time(&self) -> bool {
        self.dims.iter().any(|d| d.axes.contains(&Axis::Time))
    }

    /// Cuts the same elements into other dimensions; `None` if a cut would go through one of our axes.
    pub fn reshape(&self, lengths: &[usize]) -> Option<View> {
        let mut axes = self.dims.iter().flat_map(|d| d.axes.iter().copied()).peekable();
        let mut dims = Vec::with_capacity(lengths.len());
        for &length in lengths {
            let mut dim = Dim { length, axes: vec![] };
            let mut product = 1;
            while product < length {
                let axis = axes.next()?;
                product *= self.length(axis);
                dim.axes.push(axis);
            }
            if product != length {
                return None;
            }
            dims.push(dim);
        }
        axes.peek().is_none().then(|| View { dims, ..self.clone() })
    }

    /// For each element of a dimension over `axes`, in ONNX's order, its place in our `[height, width, channel]` order.
    pub fn flat_order(&self, axes: &[Axis]) -> Vec<usize> {
        let stride = |axis: Axis| match axis {
            Axis::Time => 0,
            Axis::Height => self.shape[1] * self.shape[2],
            Axis::Width => self.shape[2],
            Axis::Channel => 1,
        };
        axes.iter().fold(vec![0], |places, &axis| {
            places.iter().flat_map(|p| (0..self.length(axis)).map(move |i| p + i * stride(axis))).collect()
        })
    }
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
        assert_eq!(flat.dims[1].axes, [Channel, Height, Width]);
        // Element 1 in NCHW order is channel 0, row 0, column 1: place 4 in HWC order.
        let order = flat.flat_order(&flat.dims[1].axes);
        assert_eq!(&order[..4], &[0, 4, 8, 12]);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..24).collect::<Vec<_>>());
    }

    #[test]
    fn cuts_go_between_axes_only() {
        assert!(nchw().reshape(&[1, 8, 3]).is_some());
        assert!(nchw().reshape(&[1, 2, 2, 6]).is_none());
        assert!(nchw().reshape(&[1, 12]).is_none());
        assert!(nchw().reshape(&[4, 1, 6]).is_some());
    }
}
