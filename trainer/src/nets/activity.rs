//! L2 on activities: a term of the loss that keeps what layers give small.
//!
//! `l sum a^2 / batch` over all numbers `a` that hidden activations and recurrent layers give; its gradient by each is
//! `2 l a / batch`, added where that of the rest of the loss arrives. As Keras' `activity_regularizer=L2(l)` on each of
//! these layers. The net's outputs do not count, nor do frames beyond the end of a sequence.

use ndarray::{ArrayD, ArrayViewD, Axis, Slice};

use super::{Batch, Net, Node};
use crate::engine::scalar::Scalar;

impl<T: Scalar> Net<T> {
    /// Penalizes activities by `l`; 0, as at first, is not at all.
    pub fn set_activity_penalty(&mut self, l: f32) {
        self.activity_penalty = l.into();
    }

    /// Its part of the loss of a batch that has just gone through.
    pub(super) fn activity_loss(&self, batch: Batch<'_, T>) -> f64 {
        if self.activity_penalty == 0.0 {
            return 0.0;
        }
        let hidden = self.nodes.iter().zip(&self.values).take(self.nodes.len() - 1);
        let of_node = |y: &ArrayD<T>| {
            let of_sample = |(i, y): (usize, ArrayViewD<'_, T>)| {
                frames(y, batch.lengths, i).iter().map(|a: &T| a.wide() * a.wide()).sum::<f64>()
            };
            y.outer_iter().enumerate().map(of_sample).sum::<f64>()
        };
        let squares: f64 = hidden.filter(|(node, _)| node.layer.activation().is_some()).map(|(_, y)| of_node(y)).sum();
        self.activity_penalty * squares / batch.x.shape()[0] as f64
    }
}

/// Adds the gradient by `y`, which `node`, not the last, has given, if that counts; `slope` is `2 l / batch`.
pub(super) fn add_gradient<T: Scalar>(
    node: &Node<T>,
    y: &ArrayD<T>,
    lengths: Option<&[usize]>,
    slope: f64,
    dy: &mut ArrayD<T>,
) {
    if slope == 0.0 || node.layer.activation().is_none() {
        return;
    }
    let slope = T::of(slope);
    for (i, (y, mut dy)) in y.outer_iter().zip(dy.outer_iter_mut()).enumerate() {
        let y = frames(y, lengths, i);
        let mut dy = dy.slice_axis_mut(Axis(0), Slice::from(0..y.shape()[0]));
        dy.zip_mut_with(&y, |d, &a| *d += slope * a);
    }
}

/// What counts of sample `i`: of a sequence, `[frames, numbers]`, the frames before its end.
fn frames<'y, T>(mut y: ArrayViewD<'y, T>, lengths: Option<&[usize]>, i: usize) -> ArrayViewD<'y, T> {
    if let (2, Some(lengths)) = (y.ndim(), lengths) {
        y.slice_axis_inplace(Axis(0), Slice::from(0..lengths[i]));
    }
    y
}
