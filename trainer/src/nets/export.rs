//! `Net` to ONNX: opset 17, IR version 8, which PyTorch, onnxruntime, tract and our converter all read.
//!
//! Images go in as PyTorch has them, `[batch, channels, height, width]`, sequences as `[batch, frames, inputs]`, tokens
//! as 64-bit integers, `[batch, frames]`;
//! `batch` is a symbol. Out come `logits`, `[batch, classes]` or, of a net that answers every frame,
//! `[batch, frames, classes]`, or of a net of one output, if the metadata call its scores binary, `probability`,
//! `[batch, 1]`. Batch normalization is folded into the convolutions: in
//! evaluation it *is* a scale and a shift of each channel, `w' = w s`, `b' = t`, and the file is smaller without it.

use escarp_converter::metadata::{KEY, Metadata, Scores};
use prost::Message;
use tract_onnx::{pb, pb::tensor_proto::DataType};

use crate::{
    layers::{
        onnx,
        onnx::{ExportError, Graph, Value},
    },
    nets::{Net, Shape},
};

/// What the graph calls what the net gives.
const OUTPUT: &str = "logits";

/// What it calls the sigmoid of that, of a net that answers yes or no.
const PROBABILITY: &str = "probability";

/// How the file calls the tensor with the numbers of the net's input and of what each node gives, in this order.
pub fn names(net: &Net) -> Vec<String> {
    let mut graph = Graph::default();
    let (_, values, last) = nodes(net, &mut graph);
    let name = |v: &Value| match graph.origin(&v.name) {
        origin if origin == last.name => OUTPUT.to_owned(),
        origin => origin.to_owned(),
    };
    values.iter().map(name).collect()
}

/// Adds the net's nodes; returns the input, what it and each node are called, and which value becomes the output.
fn nodes(net: &Net, graph: &mut Graph) -> (pb::ValueInfoProto, Vec<Value>, Value) {
    let (name, shape) = match net.arch().input {
        Shape::Map([h, w, c]) => ("image", vec![c, h, w]),
        Shape::Sequence([frames, numbers]) => ("sequence", vec![frames, numbers]),
        Shape::Tokens([frames, _]) => ("tokens", vec![frames]),
        Shape::Vector(numbers) => ("vector", vec![numbers]),
    };
    let kind = if let Shape::Tokens(_) = net.arch().input { DataType::Int64 } else { DataType::Float };
    let values = net.export(Value { name: name.into(), rank: shape.len() + 1, time_major: false }, graph);
    let last = values.last().expect("the input at least").clone();
    let last = if let Shape::Sequence(_) = net.output() { graph.batch_first(&last) } else { last };
    (onnx::value(name, &shape, kind), values, last)
}

/// The net as the bytes of an ONNX file, with `metadata` as JSON under the key `escarp`.
///
/// # Errors
/// [`ExportError`]; nothing is written anywhere.
pub fn export(net: &Net, metadata: &Metadata) -> Result<Vec<u8>, ExportError> {
    let (classes, binary) = (net.arch().classes, metadata.scores == Scores::Binary);
    let named = if binary { 2 * classes } else { classes };
    if !metadata.labels.is_empty() && metadata.labels.len() != named {
        return Err(ExportError::Labels { labels: metadata.labels.len(), classes });
    }
    let mut graph = Graph::default();
    let (input, _, last) = nodes(net, &mut graph);
    graph.rename(&last, OUTPUT);
    let mut last = Value { name: OUTPUT.into(), ..last };
    if binary {
        last = graph.node("Sigmoid", PROBABILITY, &[last], vec![]);
    }
    let mut output = vec![classes];
    if let Shape::Sequence([frames, _]) = net.output() {
        output.insert(0, frames);
    }
    let output = onnx::value(&last.name, &output, DataType::Float);
    let model = pb::ModelProto {
        ir_version: 8,
        opset_import: vec![pb::OperatorSetIdProto { domain: String::new(), version: 17 }],
        producer_name: "escarp-train".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph.finish(input, output)?),
        metadata_props: vec![pb::StringStringEntryProto { key: KEY.into(), value: serde_json::to_string(metadata)? }],
        ..Default::default()
    };
    Ok(model.encode_to_vec())
}
