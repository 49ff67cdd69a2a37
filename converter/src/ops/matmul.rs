//! Matrix products that are no plain layer: of two tensors, with constants in front, and with constants for each of several matrices.

use ndarray::{Array2, ArrayD, s};

use super::{
    along::{Sums, summed},
    arrange::moved,
    conv::Conv,
    mul::product,
    pool::Kind,
    reduce::reduced,
    window::Geometry,
};
use crate::{
    axes::fits_rank,
    epilogue::Limits,
    error::Error,
    importer::Importer,
    onnx::Node,
    view::{Axis, Dim, Run, View},
};

/// Most values of all the products of two tensors: each is one of ours.
const MOST: usize = 1 << 22;

fn misfit(node: &Node, a: &[usize], b: &[usize]) -> Error {
    node.wrong(format!("operands of {a:?} and {b:?}, which do not fit"))
}

/// `a * b` of two tensors: all products, and the sums of those that belong together.
///
/// # Errors
/// If the shapes do not fit, or the products are too many.
pub fn of_two(importer: &mut Importer, node: &Node, mut a: View, mut b: View) -> Result<View, Error> {
    let wrong = misfit(node, &a.lengths(), &b.lengths());
    // A vector in front is a row, one behind a column; the dimension is left out again.
    let vectors = [a.dims.len() == 1, b.dims.len() == 1];
    if vectors[0] {
        a.dims.insert(0, Dim::ONE);
    }
    if vectors[1] {
        b.dims.push(Dim::ONE);
    }
    let (Some(&[rows, inner]), Some(&[other, columns])) =
        (a.lengths().last_chunk::<2>(), b.lengths().last_chunk::<2>())
    else {
        return Err(wrong);
    };
    if inner != other {
        return Err(wrong);
    }
    let others = |v: &View| v.lengths().iter().rev().skip(2).fold(1usize, |n, &d| n.saturating_mul(d));
    let all = others(&a).max(others(&b)).saturating_mul(rows).saturating_mul(inner).saturating_mul(columns);
    if all > MOST {
        let what = format!("{all} products of two tensors");
        return Err(node.unsupported("operands", what, &format!("up to {MOST}, or constant weights")));
    }
    // [..., rows, inner, 1] and [..., 1, inner, columns]
    a.dims.push(Dim::ONE);
    b.dims.insert(b.dims.len() - 2, Dim::ONE);
    fits_rank(node, a.dims.len().max(b.dims.len()))?;
    let products = product(importer, node, [a, b])?;
    let along = products.dims.len() - 2;
    let mut made = reduced(importer, node, products, &[along], Kind::Sum)?;
    made.dims.remove(along);
    if vectors[1] {
        made.dims.pop();
    }
    if vectors[0] {
        made.dims.remove(made.dims.len() - if vectors[1] { 1 } else { 2 });
    }
    Ok(made)
}

/// `weight * x`: sums along the last dimension but one.
///
/// # Errors
/// If the shapes do not fit.
pub fn by_constant(importer: &mut Importer, node: &Node, weight: &Array2<f32>, x: View) -> Result<View, Error> {
    let dim = x.dims.len().saturating_sub(2);
    if x.dims.get(dim).is_none_or(|d| d.length() != weight.ncols()) {
        return Err(misfit(node, weight.shape(), &x.lengths()));
    }
    let sums = Sums { weight: weight.iter().copied().collect(), shift: vec![0.0; weight.nrows()] };
    summed(importer, node, x, dim, sums)
}

/// `x * weight` of several matrices each: a convolution in as many groups.
///
/// # Errors
/// If the shapes do not fit, or time would have to be moved.
pub fn batched(importer: &mut Importer, node: &Node, x: View, weight: &ArrayD<f32>) -> Result<View, Error> {
    let (lengths, shape) = (x.lengths(), weight.shape().to_vec());
    let wrong = || misfit(node, &lengths, &shape);
    let rank = lengths.len().max(shape.len());
    let (Some(&[rows, inner]), Some(&[other, columns])) = (lengths.last_chunk::<2>(), shape.last_chunk::<2>()) else {
        return Err(wrong());
    };
    if inner != other || x.has_time() {
        return Err(wrong());
    }
    let at = |all: &[usize], i: usize| (i + all.len()).checked_sub(rank).map_or(1, |i| all[i]);
    let outer: Vec<usize> = (0..rank - 2).map(|i| at(&lengths, i).max(at(&shape, i))).collect();
    let count = outer.iter().fold(1usize, |n, &d| n.saturating_mul(d));
    let bytes = count.saturating_mul(inner).saturating_mul(columns).saturating_mul(2 * size_of::<f32>());
    importer.charge(node, "its matrices", bytes)?;
    let x = x.expand(&[&outer[..], &[rows, inner]].concat()).ok_or_else(wrong)?;
    let weight = weight.broadcast([&outer[..], &[inner, columns]].concat()).ok_or_else(wrong)?;
    let weight = weight.to_shape((count, inner, columns)).map_err(|e| node.wrong(e.to_string()))?;
    // Rows, and as channels the values of all matrices.
    let arranged = |length: usize| {
        let mut to = View { start: [0; 3], shape: [rows, 1, count.saturating_mul(length)], ..x.clone() };
        let run =
            |axis: Axis, length: usize, stride: usize| Dim::new([Run { axis, length, stride: stride.cast_signed() }]);
        to.dims[rank - 1] = run(Axis::Channel, length, 1);
        to.dims[rank - 2] = run(Axis::Height, rows, 1);
        let mut stride = length;
        for dim in (0..rank - 2).rev() {
            to.dims[dim] = run(Axis::Channel, outer[dim], stride);
            stride = stride.saturating_mul(outer[dim]);
        }
        to
    };
    let given = moved(importer, node, &x, &arranged(inner))?;
    let weight =
        (0..count).flat_map(|n| weight.slice(s![n, .., ..]).t().iter().copied().collect::<Vec<f32>>()).collect();
    let geometry = Geometry::whole([1, 1, 1]);
    let bias = vec![0.0; count * columns];
    let conv = Conv { geometry, inputs: inner, groups: count, weight, bias, limits: Limits::NONE, residual: false };
    let to = arranged(columns);
    let tensor = importer.emit(node, conv, vec![given.tensor], to.shape)?;
    Ok(View { tensor, ..to })
}
