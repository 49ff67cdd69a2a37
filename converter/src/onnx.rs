//! ONNX messages as the importer wants them: nodes that answer questions and complain by name.

use std::path::Path;

use escarp_media::fence;
use tract_onnx::{
    pb::{self, attribute_proto::AttributeType, tensor_proto::DataType},
    prelude::Framework,
};

use crate::{
    budget::Budget,
    constant::Constant,
    error::Error,
    external,
    metadata::{self, Metadata},
    wire,
};

mod words;

/// Parses the protobuf, once it is known what that takes, and reads what lies in files beside it.
///
/// # Errors
/// [`Error::Onnx`] if the bytes are no ONNX model, hold no graph, or would take more than the budget has, or for external data that is
/// not there.
pub fn parse(bytes: &[u8], folder: Option<&Path>, budget: &Budget) -> Result<pb::ModelProto, Error> {
    wire::charge(bytes, budget)?;
    let model = fence(|| tract_onnx::onnx().proto_model_for_read(&mut &bytes[..]));
    let mut model = model.map_err(Error::Onnx)?.map_err(|e| Error::Onnx(format!("{e:#}")))?;
    let graph = model.graph.as_mut().ok_or_else(|| Error::Onnx("the model holds no graph".into()))?;
    if graph.node.is_empty() {
        return Err(Error::Onnx("the graph holds no node".into()));
    }
    if let Some(folder) = folder {
        external::load(graph, folder, budget)?;
    }
    Ok(model)
}

/// The version of the standard operator set.
pub fn opset(model: &pb::ModelProto) -> i64 {
    model.opset_import.iter().find(|i| matches!(i.domain.as_str(), "" | "ai.onnx")).map_or(1, |i| i.version)
}

/// What our trainer wrote beside the graph, if it did.
///
/// # Errors
/// [`Error::Onnx`] if the entry exists and cannot be understood: a guess would change the input's meaning.
pub fn metadata(model: &pb::ModelProto) -> Result<Option<Metadata>, Error> {
    let Some(entry) = model.metadata_props.iter().find(|p| p.key == metadata::KEY) else { return Ok(None) };
    serde_json::from_str(&entry.value)
        .map(Some)
        .map_err(|e| Error::Onnx(format!("metadata_props[\"{}\"]: {e}", metadata::KEY)))
}

/// One node of the graph.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    proto: &'a pb::NodeProto,
    /// Version of the operator set.
    pub opset: i64,
}

impl<'a> Node<'a> {
    /// A node of a model of that operator set.
    pub fn new(proto: &'a pb::NodeProto, opset: i64) -> Self {
        Node { proto, opset }
    }

    /// Its name; exporters may leave it empty, then its first output names it.
    pub fn name(&self) -> &'a str {
        if self.proto.name.is_empty() { self.proto.output.first().map_or("", |s| s) } else { &self.proto.name }
    }

    /// ONNX operator type.
    pub fn operator(&self) -> &'a str {
        &self.proto.op_type
    }

    /// Name of input `index`; `None` where the optional input is absent.
    pub fn input(&self, index: usize) -> Option<&'a str> {
        self.proto.input.get(index).map(String::as_str).filter(|s| !s.is_empty())
    }

    /// Names of all inputs, empty where absent.
    pub fn inputs(&self) -> &'a [String] {
        &self.proto.input
    }

    /// Name of output `index`.
    pub fn output(&self, index: usize) -> Option<&'a str> {
        self.proto.output.get(index).map(String::as_str).filter(|s| !s.is_empty())
    }

    /// Names of all outputs, empty where absent.
    pub fn outputs(&self) -> &'a [String] {
        &self.proto.output
    }

    /// All attributes.
    pub fn attributes(&self) -> &'a [pb::AttributeProto] {
        &self.proto.attribute
    }

    /// "this node is wrong because".
    pub fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::Node { node: self.name().into(), operator: self.operator().into(), reason: reason.into() }
    }

    /// "this attribute is not supported".
    pub fn unsupported(&self, attribute: &str, value: impl ToString, supported: &str) -> Error {
        Error::Attribute {
            node: self.name().into(),
            operator: self.operator().into(),
            attribute: attribute.into(),
            value: clipped(value.to_string()),
            supported: supported.into(),
        }
    }

    /// Refuses attributes that nobody reads: ignoring one would silently compute something else.
    pub fn only(&self, known: &[&str]) -> Result<(), Error> {
        match self.proto.attribute.iter().find(|a| !known.contains(&a.name.as_str())) {
            None => Ok(()),
            Some(a) => Err(self.unsupported(&a.name, "(present)", &format!("the attributes [{}]", known.join(", ")))),
        }
    }

    fn attribute(&self, name: &str, kind: AttributeType) -> Result<Option<&'a pb::AttributeProto>, Error> {
        let Some(a) = self.proto.attribute.iter().find(|a| a.name == name) else { return Ok(None) };
        // IR version 1 left the type undefined.
        if a.r#type != kind as i32 && a.r#type != AttributeType::Undefined as i32 {
            return Err(self.unsupported(name, format!("type {}", a.r#type), kind.as_str_name()));
        }
        Ok(Some(a))
    }

    /// An integer attribute.
    pub fn int(&self, name: &str) -> Result<Option<i64>, Error> {
        Ok(self.attribute(name, AttributeType::Int)?.map(|a| a.i))
    }

    /// A float attribute.
    pub fn float(&self, name: &str) -> Result<Option<f32>, Error> {
        Ok(self.attribute(name, AttributeType::Float)?.map(|a| a.f))
    }

    /// A list of integers.
    pub fn ints(&self, name: &str) -> Result<Option<&'a [i64]>, Error> {
        Ok(self.attribute(name, AttributeType::Ints)?.map(|a| a.ints.as_slice()))
    }

    /// A list of floats.
    pub fn floats(&self, name: &str) -> Result<Option<&'a [f32]>, Error> {
        Ok(self.attribute(name, AttributeType::Floats)?.map(|a| a.floats.as_slice()))
    }

    /// A list of exactly `N` integers in `range`, or the default.
    pub fn sizes<const N: usize>(
        &self,
        name: &str,
        default: [usize; N],
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<[usize; N], Error> {
        let Some(ints) = self.ints(name)? else { return Ok(default) };
        let sizes: Option<Vec<usize>> =
            ints.iter().map(|i| usize::try_from(*i).ok().filter(|_| range.contains(i))).collect();
        sizes.and_then(|sizes| sizes.try_into().ok()).ok_or_else(|| {
            let supported = format!("{N} numbers in {}..={}", range.start(), range.end());
            self.unsupported(name, format!("{ints:?}"), &supported)
        })
    }

    /// A text attribute.
    pub fn text(&self, name: &str) -> Result<Option<String>, Error> {
        Ok(self.attribute(name, AttributeType::String)?.map(|a| String::from_utf8_lossy(&a.s).into_owned()))
    }

    /// A list of texts.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Error> {
        let texts =
            |a: &pb::AttributeProto| a.strings.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect();
        Ok(self.attribute(name, AttributeType::Strings)?.map(texts))
    }

    /// A tensor attribute.
    pub fn tensor(&self, name: &str, budget: &Budget) -> Result<Option<Constant>, Error> {
        match self.attribute(name, AttributeType::Tensor)?.and_then(|a| a.t.as_ref()) {
            None => Ok(None),
            Some(t) => Constant::from_proto(t, budget).map(Some).map_err(|e| self.wrong(format!("{name}: {e}"))),
        }
    }
}

/// A value as an error shows it: a hostile list may have millions of numbers.
fn clipped(mut value: String) -> String {
    const MOST: usize = 200;
    if value.len() > MOST {
        value.truncate(value.floor_char_boundary(MOST));
        value += "...";
    }
    value
}

/// The type of an input's or output's elements as the file declares it.
pub fn declared_type(info: &pb::ValueInfoProto) -> Option<DataType> {
    use pb::type_proto;
    let type_proto::Value::TensorType(tensor) = info.r#type.as_ref()?.value.as_ref()?;
    DataType::try_from(tensor.elem_type).ok()
}

/// Dimensions of an input or output as the file declares them: `None` is symbolic.
pub fn declared_shape(info: &pb::ValueInfoProto) -> Option<Vec<Option<usize>>> {
    use pb::{tensor_shape_proto::dimension, type_proto};
    let type_proto::Value::TensorType(tensor) = info.r#type.as_ref()?.value.as_ref()?;
    let dim = |d: &pb::tensor_shape_proto::Dimension| match d.value {
        Some(dimension::Value::DimValue(n)) if n > 0 => usize::try_from(n).ok(),
        _ => None,
    };
    Some(tensor.shape.as_ref()?.dim.iter().map(dim).collect())
}
