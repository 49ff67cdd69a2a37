//! Constants of the graph, and the axes and lengths that operators read from them.

use ndarray::{Array1, ArrayD};
use tract_onnx::pb::{self, tensor_proto::DataType};

use crate::{
    budget::{Budget, RANK},
    error::Error,
    onnx::Node,
    scale::narrow,
};

mod fold;

pub use fold::{fold, folds};

/// A tensor known before the network runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// Weights.
    Float(ArrayD<f32>),
    /// Shapes, axes, indices.
    Int(ArrayD<i64>),
}

impl Constant {
    /// Reads a tensor of the file. The message, not the node, is the error: the caller knows the node.
    pub fn from_proto(t: &pb::TensorProto, budget: &Budget) -> Result<Constant, String> {
        if t.data_location == Some(pb::tensor_proto::DataLocation::External as i32) || !t.external_data.is_empty() {
            return Err(format!("tensor `{}` lies in another file; supported: weights inside the ONNX file", t.name));
        }
        if t.dims.len() > RANK {
            return Err(format!("tensor `{}` has {} dimensions; allowed: {RANK}", t.name, t.dims.len()));
        }
        let dims: Vec<usize> = t
            .dims
            .iter()
            .map(|&d| usize::try_from(d).map_err(|_| format!("tensor `{}` has dimension {d}", t.name)))
            .collect::<Result<_, _>>()?;
        let floats = |v: Vec<f32>| ArrayD::from_shape_vec(dims.clone(), v).map(Constant::Float);
        let ints = |v: Vec<i64>| ArrayD::from_shape_vec(dims.clone(), v).map(Constant::Int);
        let made = match DataType::try_from(t.data_type) {
            Ok(DataType::Float) => floats(read(t, &dims, budget, &t.float_data, f32::from_le_bytes, |v| v)?),
            Ok(DataType::Double) => floats(read(t, &dims, budget, &t.double_data, f64::from_le_bytes, narrow)?),
            Ok(DataType::Int64) => ints(read(t, &dims, budget, &t.int64_data, i64::from_le_bytes, |v| v)?),
            Ok(DataType::Int32) => ints(read(t, &dims, budget, &t.int32_data, i32::from_le_bytes, i64::from)?),
            Ok(DataType::Bool) => ints(read(t, &dims, budget, &t.int32_data, |[b]| i32::from(b), i64::from)?),
            _ => {
                return Err(format!(
                    "tensor `{}` has data type {}; supported: float, double, int64, int32, bool",
                    t.name, t.data_type
                ));
            }
        };
        made.map_err(|e| format!("tensor `{}` has dimensions {dims:?}: {e}", t.name))
    }

    /// Dimensions.
    pub fn shape(&self) -> &[usize] {
        match self {
            Constant::Float(a) => a.shape(),
            Constant::Int(a) => a.shape(),
        }
    }

    /// The weights, if that is what they are.
    pub fn floats(&self) -> Option<&ArrayD<f32>> {
        match self {
            Constant::Float(a) => Some(a),
            Constant::Int(_) => None,
        }
    }

    /// A shape as a constant.
    pub fn from_shape(shape: &[usize]) -> Constant {
        let lengths: Vec<i64> = shape.iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect();
        Constant::Int(Array1::from_vec(lengths).into_dyn())
    }
}

/// The elements of a tensor of the file. They lie either as raw little-endian bytes or in the field of their type; nothing is
/// allocated before they are as many as the dimensions say.
fn read<const N: usize, S: Copy, T>(
    t: &pb::TensorProto,
    dims: &[usize],
    budget: &Budget,
    field: &[S],
    from_raw: fn([u8; N]) -> S,
    to: fn(S) -> T,
) -> Result<Vec<T>, String> {
    let (raw, rest) = t.raw_data.as_chunks::<N>();
    let found = if t.raw_data.is_empty() { field.len() } else { raw.len() };
    let needed = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    if needed != Some(found) || !rest.is_empty() {
        let rest = if rest.is_empty() { String::new() } else { format!(" and {} bytes", rest.len()) };
        return Err(format!("tensor `{}` has dimensions {dims:?} and {found} elements{rest}", t.name));
    }
    budget.array(dims, size_of::<T>()).map_err(|e| format!("tensor `{}` {dims:?} {e}", t.name))?;
    Ok(match t.raw_data.is_empty() {
        true => field.iter().map(|&v| to(v)).collect(),
        false => raw.iter().map(|&bytes| to(from_raw(bytes))).collect(),
    })
}

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
