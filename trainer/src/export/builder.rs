//! An ONNX graph under construction: nodes in order, tensors by name.

use tract_onnx::pb;
use tract_onnx::pb::{attribute_proto::AttributeType, tensor_proto::DataType};
use tract_onnx::pb::{tensor_shape_proto, type_proto};

use super::ExportError;

/// Nodes and constant tensors so far.
#[derive(Default)]
pub(super) struct Builder {
    nodes: Vec<pb::NodeProto>,
    tensors: Vec<pb::TensorProto>,
    ill: Option<String>,
}

impl Builder {
    /// A constant tensor of floats; returns its name.
    pub(super) fn tensor(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        if self.ill.is_none() && values.iter().any(|v| !v.is_finite()) {
            self.ill = Some(name.to_owned());
        }
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.raw(name, shape, DataType::Float, bytes)
    }

    /// A constant vector of indices; returns its name.
    pub(super) fn indices(&mut self, name: &str, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.raw(name, &[values.len()], DataType::Int64, bytes)
    }

    fn raw(&mut self, name: &str, shape: &[usize], kind: DataType, raw_data: Vec<u8>) -> String {
        self.tensors.push(pb::TensorProto {
            name: name.to_owned(),
            dims: shape.iter().map(|&d| d as i64).collect(),
            data_type: kind as i32,
            raw_data,
            ..Default::default()
        });
        name.to_owned()
    }

    /// A node with one output, named as the node; returns that name.
    pub(super) fn node(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        attributes: Vec<pb::AttributeProto>,
    ) -> String {
        self.node_named(operator, name, inputs, &[name], attributes);
        name.to_owned()
    }

    /// A node whose outputs have their own names; an empty name is an output nobody reads.
    pub(super) fn node_named(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        outputs: &[&str],
        attribute: Vec<pb::AttributeProto>,
    ) {
        let owned = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect();
        self.nodes.push(pb::NodeProto {
            op_type: operator.to_owned(),
            name: name.to_owned(),
            input: owned(inputs),
            output: owned(outputs),
            attribute,
            ..Default::default()
        });
    }

    /// The whole graph, unless a tensor is not finite.
    pub(super) fn finish(
        self,
        input: pb::ValueInfoProto,
        output: pb::ValueInfoProto,
    ) -> Result<pb::GraphProto, ExportError> {
        match self.ill {
            Some(tensor) => Err(ExportError::NotFinite { tensor }),
            None => Ok(pb::GraphProto {
                name: "escarp".into(),
                node: self.nodes,
                initializer: self.tensors,
                input: vec![input],
                output: vec![output],
                ..Default::default()
            }),
        }
    }
}

/// A float input or output of shape `[batch, rest...]`.
pub(super) fn value(name: &str, rest: &[usize]) -> pb::ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let dimension = |value| Dimension { value: Some(value), ..Default::default() };
    let batch = dimension(Value::DimParam("batch".into()));
    let rest = rest.iter().map(|&d| dimension(Value::DimValue(d as i64)));
    let shape = pb::TensorShapeProto { dim: std::iter::once(batch).chain(rest).collect() };
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(shape) };
    let kind = pb::TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    pb::ValueInfoProto { name: name.to_owned(), r#type: Some(kind), ..Default::default() }
}

/// An attribute that is one integer.
pub(super) fn int(name: &str, value: usize) -> pb::AttributeProto {
    let kind = AttributeType::Int as i32;
    pb::AttributeProto { name: name.to_owned(), r#type: kind, i: value as i64, ..Default::default() }
}

/// An attribute that is a list of integers.
pub(super) fn ints(name: &str, values: &[usize]) -> pb::AttributeProto {
    let ints = values.iter().map(|&v| v as i64).collect();
    pb::AttributeProto { name: name.to_owned(), r#type: AttributeType::Ints as i32, ints, ..Default::default() }
}
