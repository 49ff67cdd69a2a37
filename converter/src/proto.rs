//! Messages of ONNX as those who write models want them: the trainer's export, and ours.

use tract_onnx::pb::{self, attribute_proto::AttributeType, tensor_proto::DataType, tensor_shape_proto, type_proto};

/// A length or an index; nothing that fits memory is larger than 2^63.
fn whole(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// An attribute that is one integer.
pub fn int(name: &str, value: usize) -> pb::AttributeProto {
    let kind = AttributeType::Int as i32;
    pb::AttributeProto { name: name.to_owned(), r#type: kind, i: whole(value), ..Default::default() }
}

/// An attribute that is one word.
pub fn string(name: &str, value: &str) -> pb::AttributeProto {
    let kind = AttributeType::String as i32;
    pb::AttributeProto { name: name.to_owned(), r#type: kind, s: value.as_bytes().to_vec(), ..Default::default() }
}

/// An attribute that is one number.
pub fn float(name: &str, value: f32) -> pb::AttributeProto {
    let kind = AttributeType::Float as i32;
    pb::AttributeProto { name: name.to_owned(), r#type: kind, f: value, ..Default::default() }
}

/// An attribute that is a list of integers.
pub fn ints(name: &str, values: &[usize]) -> pb::AttributeProto {
    let ints = values.iter().copied().map(whole).collect();
    pb::AttributeProto { name: name.to_owned(), r#type: AttributeType::Ints as i32, ints, ..Default::default() }
}

/// A dimension of an input or output.
#[derive(Clone, Debug)]
pub enum Dimension {
    /// So many.
    Of(usize),
    /// Any number, by a name.
    Open(&'static str),
}

/// An input or output.
pub fn value(name: &str, dims: &[Dimension], elements: DataType) -> pb::ValueInfoProto {
    use tensor_shape_proto::dimension::Value;
    let dimension = |d: &Dimension| {
        let value = match d {
            Dimension::Of(n) => Value::DimValue(whole(*n)),
            Dimension::Open(name) => Value::DimParam((*name).into()),
        };
        tensor_shape_proto::Dimension { value: Some(value), ..Default::default() }
    };
    let shape = pb::TensorShapeProto { dim: dims.iter().map(dimension).collect() };
    let tensor = type_proto::Tensor { elem_type: elements as i32, shape: Some(shape) };
    let kind = pb::TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    pb::ValueInfoProto { name: name.to_owned(), r#type: Some(kind), ..Default::default() }
}

/// A constant; `raw_data` has its numbers one after the other, little-endian.
pub fn tensor(name: &str, shape: &[usize], kind: DataType, raw_data: Vec<u8>) -> pb::TensorProto {
    pb::TensorProto {
        name: name.to_owned(),
        dims: shape.iter().copied().map(whole).collect(),
        data_type: kind as i32,
        raw_data,
        ..Default::default()
    }
}
