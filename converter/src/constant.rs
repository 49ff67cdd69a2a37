//! Constants of the graph.

use ndarray::{Array1, ArrayD};
use tract_onnx::pb::{self, tensor_proto::DataType};

use crate::{
    budget::{Budget, RANK},
    scale::narrow,
};

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
