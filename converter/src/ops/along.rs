//! Sums along one dimension: each position of the result is a row of weights times the positions of the input, and a shift. A
//! convolution of one pixel whose channels are that dimension, moved there if it is another.

use super::{
    arrange::{moved, whole},
    conv::Conv,
    window::Geometry,
};
use crate::{
    epilogue::Limits,
    error::Error,
    importer::Importer,
    onnx::Node,
    view::{Axis, Dim, Run, View},
};

/// What each position of the result is.
#[derive(Clone, Debug)]
pub struct Sums {
    /// `[position of the result][position of the input]`
    pub weight: Vec<f32>,
    /// `[position of the result]`
    pub shift: Vec<f32>,
}

impl Sums {
    /// Nothing yet, from and to so many positions; its memory is taken from the budget.
    ///
    /// # Errors
    /// If there is not as much left.
    pub fn zeros(importer: &Importer, node: &Node, [from, to]: [usize; 2]) -> Result<Sums, Error> {
        let bytes = from.saturating_mul(to).saturating_mul(2 * size_of::<f32>());
        importer.charge(node, "its weights along a dimension", bytes)?;
        Ok(Sums { weight: vec![0.0; from * to], shift: vec![0.0; to] })
    }
}

/// The sums of `x` along dimension `dim`.
///
/// # Errors
/// If that is time, or time would have to be moved.
pub fn summed(importer: &mut Importer, node: &Node, x: View, dim: usize, sums: Sums) -> Result<View, Error> {
    if x.dims[dim].has_time() {
        return Err(node.unsupported("axes", format!("{dim}, which is time"), "dimensions of one time step"));
    }
    let x = whole(importer, node, x)?;
    let x =
        if x.dims[dim] == x.along(&[Axis::Channel]) { x } else { moved(importer, node, &x, &as_channels(&x, dim))? };
    let (inputs, outputs) = (x.shape[2], sums.shift.len());
    let geometry = Geometry::whole([1, 1, 1]);
    let (weight, bias) = (sums.weight, sums.shift);
    let conv = Conv { geometry, inputs, groups: 1, weight, bias, limits: Limits::NONE, residual: false };
    let shape = [x.shape[0], x.shape[1], outputs];
    let tensor = importer.emit(node, conv, vec![x.tensor], shape)?;
    let mut view = View { tensor, shape, ..x };
    view.dims[dim] = view.along(&[Axis::Channel]);
    Ok(view)
}

/// A map whose channels are dimension `dim`; the last of the others are its columns, the rest its rows.
fn as_channels(x: &View, dim: usize) -> View {
    let others = || (0..x.dims.len()).filter(|&d| d != dim && !x.dims[d].has_time());
    let last = others().rfind(|&d| x.dims[d].length() > 1);
    let rows: Vec<usize> = others().filter(|&d| Some(d) != last).collect();
    let mut to = View { start: [0; 3], ..x.clone() };
    let groups = [(Axis::Height, &rows[..]), (Axis::Width, last.as_slice()), (Axis::Channel, &[dim])];
    for (length, (axis, group)) in to.shape.iter_mut().zip(groups) {
        *length = 1;
        for &d in group.iter().rev() {
            let run = Run { axis, length: x.dims[d].length(), stride: length.cast_signed() };
            *length = length.saturating_mul(run.length);
            to.dims[d] = Dim::new([run]);
        }
    }
    to
}
