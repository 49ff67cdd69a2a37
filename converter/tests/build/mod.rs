//! Small ONNX models made in the test.
#![allow(dead_code, reason = "each test file uses its part")]

use escarp_converter::samples::InMemory;
use prost::Message;
use tract_onnx::pb::{self, attribute_proto::AttributeType, tensor_proto::DataType, tensor_shape_proto, type_proto};

/// Seeded numbers in -1..1, the same on every machine.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> f32 {
        // Xorshift (Marsaglia 2003); 24 bits fill an f32.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub fn take(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.next()).collect()
    }

    pub fn samples(&mut self, count: usize, sample_len: usize) -> InMemory {
        InMemory { values: self.take(count * sample_len), sample_len, labels: vec![], source: "random".into() }
    }
}

/// A model under construction.
#[derive(Default)]
pub struct Onnx {
    graph: pb::GraphProto,
    pub opset: i64,
}

pub fn attribute(name: &str) -> pb::AttributeProto {
    pb::AttributeProto { name: name.into(), ..Default::default() }
}

pub fn int(name: &str, i: i64) -> pb::AttributeProto {
    pb::AttributeProto { r#type: AttributeType::Int as i32, i, ..attribute(name) }
}

pub fn ints(name: &str, ints: &[i64]) -> pb::AttributeProto {
    pb::AttributeProto { r#type: AttributeType::Ints as i32, ints: ints.to_vec(), ..attribute(name) }
}

pub fn text(name: &str, s: &str) -> pb::AttributeProto {
    pb::AttributeProto { r#type: AttributeType::String as i32, s: s.as_bytes().to_vec(), ..attribute(name) }
}

/// An input or output; 0 is a symbolic dimension.
pub fn value(name: &str, dims: &[i64]) -> pb::ValueInfoProto {
    let dimension = |&d: &i64| {
        use tensor_shape_proto::dimension::Value;
        let value = if d == 0 { Value::DimParam("N".into()) } else { Value::DimValue(d) };
        tensor_shape_proto::Dimension { value: Some(value), ..Default::default() }
    };
    let shape = Some(pb::TensorShapeProto { dim: dims.iter().map(dimension).collect() });
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape };
    let kind = pb::TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    pb::ValueInfoProto { name: name.into(), r#type: Some(kind), ..Default::default() }
}

impl Onnx {
    pub fn new(input: &[i64], output: &[i64]) -> Self {
        let graph = pb::GraphProto {
            name: "test".into(),
            input: vec![value("x", input)],
            output: vec![value("y", output)],
            ..Default::default()
        };
        Onnx { graph, opset: 17 }
    }

    /// With an output of any shape.
    pub fn open(input: &[i64]) -> Self {
        let mut onnx = Onnx::new(input, &[]);
        onnx.graph.output.clear();
        onnx.output("y")
    }

    /// The first input's elements are of that type.
    pub fn given(mut self, kind: DataType) -> Self {
        if let Some(type_proto::Value::TensorType(tensor)) =
            self.graph.input[0].r#type.as_mut().and_then(|t| t.value.as_mut())
        {
            tensor.elem_type = kind as i32;
        }
        self
    }

    /// One input more.
    pub fn input(mut self, name: &str, dims: &[i64]) -> Self {
        self.graph.input.push(value(name, dims));
        self
    }

    /// One output more, of any shape.
    pub fn output(mut self, name: &str) -> Self {
        let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: None };
        let kind = pb::TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
        self.graph.output.push(pb::ValueInfoProto { name: name.into(), r#type: Some(kind), ..Default::default() });
        self
    }

    pub fn node(mut self, operator: &str, inputs: &[&str], output: &str, attributes: Vec<pb::AttributeProto>) -> Self {
        self.graph.node.push(pb::NodeProto {
            name: format!("node_{output}"),
            op_type: operator.into(),
            input: inputs.iter().map(|s| s.to_string()).collect(),
            output: output.split(',').map(str::to_owned).collect(),
            attribute: attributes,
            ..Default::default()
        });
        self
    }

    /// Gives every node so far the same name.
    pub fn all_named(mut self, name: &str) -> Self {
        self.graph.node.iter_mut().for_each(|node| node.name = name.into());
        self
    }

    pub fn floats(mut self, name: &str, dims: &[i64], values: Vec<f32>) -> Self {
        assert_eq!(dims.iter().product::<i64>() as usize, values.len());
        self.graph.initializer.push(pb::TensorProto {
            name: name.into(),
            dims: dims.to_vec(),
            data_type: DataType::Float as i32,
            float_data: values,
            ..Default::default()
        });
        self
    }

    /// int8 numbers.
    pub fn bytes_int8(mut self, name: &str, dims: &[i64], values: &[i8]) -> Self {
        self.graph.initializer.push(pb::TensorProto {
            name: name.into(),
            dims: dims.to_vec(),
            data_type: DataType::Int8 as i32,
            raw_data: values.iter().map(|v| v.cast_unsigned()).collect(),
            ..Default::default()
        });
        self
    }

    pub fn ints(mut self, name: &str, values: &[i64]) -> Self {
        self.graph.initializer.push(pb::TensorProto {
            name: name.into(),
            dims: vec![values.len() as i64],
            data_type: DataType::Int64 as i32,
            raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            ..Default::default()
        });
        self
    }

    /// A list of lengths, filled with `fill`: a ConstantOfShape node.
    pub fn filled(mut self, name: &str, lengths: &[i64], fill: f32) -> Self {
        let shape = format!("{name} lengths");
        self = self.ints(&shape, lengths);
        let value = pb::TensorProto {
            dims: vec![1],
            data_type: DataType::Float as i32,
            float_data: vec![fill],
            ..Default::default()
        };
        let value = pb::AttributeProto { r#type: AttributeType::Tensor as i32, t: Some(value), ..attribute("value") };
        self.node("ConstantOfShape", &[&shape], name, vec![value])
    }

    /// One integer without a dimension.
    pub fn scalar(mut self, name: &str, value: i64) -> Self {
        self.graph.initializer.push(pb::TensorProto {
            name: name.into(),
            data_type: DataType::Int64 as i32,
            int64_data: vec![value],
            ..Default::default()
        });
        self
    }

    pub fn bytes(self) -> Vec<u8> {
        let version = pb::OperatorSetIdProto { domain: String::new(), version: self.opset };
        let model = pb::ModelProto {
            ir_version: 8,
            opset_import: vec![version],
            graph: Some(self.graph),
            ..Default::default()
        };
        model.encode_to_vec()
    }
}
