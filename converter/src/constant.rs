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
            return Err(format!(
                "tensor `{}` lies in another file, and where the model's own lies was not said; give the folder",
                t.name
            ));
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
            Ok(DataType::Float16) => floats(read(t, &dims, budget, &t.int32_data, halves, from_half)?),
            Ok(DataType::Bfloat16) => floats(read(t, &dims, budget, &t.int32_data, halves, from_brain)?),
            Ok(DataType::Uint8) => ints(read(t, &dims, budget, &t.int32_data, |[b]| i32::from(b), i64::from)?),
            Ok(DataType::Int8) => {
                ints(read(t, &dims, budget, &t.int32_data, |[b]| i32::from(b.cast_signed()), i64::from)?)
            }
            Ok(DataType::Uint16) => ints(read(t, &dims, budget, &t.int32_data, halves, i64::from)?),
            Ok(DataType::Int16) => {
                ints(read(t, &dims, budget, &t.int32_data, |b| i16::from_le_bytes(b).into(), i64::from)?)
            }
            Ok(DataType::Uint32) => {
                ints(read(t, &dims, budget, &t.uint64_data, |b| u32::from_le_bytes(b).into(), below_2_63)?)
            }
            Ok(DataType::Uint64) => ints(read(t, &dims, budget, &t.uint64_data, u64::from_le_bytes, below_2_63)?),
            Ok(DataType::Bool) => ints(read(t, &dims, budget, &t.int32_data, |[b]| i32::from(b), i64::from)?),
            _ => {
                return Err(format!(
                    "tensor `{}` has data type {}; supported: float, float16, bfloat16, double, integers, bool",
                    t.name,
                    DataType::try_from(t.data_type)
                        .map_or_else(|_| t.data_type.to_string(), |d| d.as_str_name().to_lowercase())
                ));
            }
        };
        made.map_err(|e| format!("tensor `{}` has dimensions {dims:?}: {e}", t.name))
    }

    /// Reads a tensor that stands for itself, as ONNX's tests have them.
    ///
    /// # Errors
    /// In words: a type that is not supported, dimensions that contradict the elements.
    pub fn of_tensor(t: &pb::TensorProto) -> Result<Constant, String> {
        Constant::from_proto(t, &Budget::new(t.raw_data.len()))
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

/// Two bytes as the fields of a message hold them.
fn halves(bytes: [u8; 2]) -> i32 {
    u16::from_le_bytes(bytes).into()
}

/// The lower half of a number is what counts.
fn lower(v: i32) -> u32 {
    v.cast_unsigned() & 0xffff
}

/// IEEE 754's binary16: a sign, 5 bits of exponent, 10 of mantissa. Every value is an f32.
fn from_half(v: i32) -> f32 {
    let v = lower(v);
    let (sign, exponent, mantissa) = (v >> 15 << 31, v >> 10 & 0x1f, v & 0x3ff);
    // 2^-24 is the unit of the smallest; exponents are biased by 15 there, by 127 here.
    let magnitude = match exponent {
        0 => (mantissa as f32 / 16_777_216.0).to_bits(),
        0x1f => 0x7f80_0000 | mantissa << 13,
        _ => (exponent + 112) << 23 | mantissa << 13,
    };
    f32::from_bits(sign | magnitude)
}

/// The upper half of an f32.
fn from_brain(v: i32) -> f32 {
    f32::from_bits(lower(v) << 16)
}

/// Beyond, the largest; nothing here counts so far.
fn below_2_63(v: u64) -> i64 {
    i64::try_from(v).unwrap_or(i64::MAX)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_floats() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_95),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x7bff, 65504.0),
            (0x8000, -0.0),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(from_half(bits).to_bits(), f32::to_bits(value), "{bits:x}");
        }
        assert!(from_half(0x7e00).is_nan());
        // As a sign-extended field holds it.
        assert_eq!(from_half(-16384), -2.0);
        assert_eq!(from_brain(0x3fc0), 1.5);
    }
}
