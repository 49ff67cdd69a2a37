//! The quantized network as ONNX again, for others to run: QuantizeLinear and DequantizeLinear around float operators, weights in int8
//! with a scale for each channel, biases in int32. Whoever fuses these computes what our file does, up to how it rounds.
//!
//! The file has the names, the order and the arrangement of the original's inputs and outputs, a batch of one and, of a sequence, the
//! length that was converted.

use escarp_runtime::Dtype;
use prost::Message;
use tract_onnx::pb::{self, tensor_proto::DataType};

use crate::{
    error::Error,
    exporter::{Exported, Exporter, Read},
    graph::Graph,
    ops,
    proto::{Dimension, value},
    qgraph::QGraph,
    view::View,
};

/// The operator set: the first with scales along an axis, which all who read such files know; and the first with int16.
const OPSETS: [i64; 2] = [13, 21];

/// Versions of the format that go with these.
const IR: [i64; 2] = [8, 10];

/// A network as others run it.
#[derive(Clone, Debug)]
pub struct Onnx {
    /// The file.
    pub bytes: Vec<u8>,
    /// What it does not say as ours does.
    pub notes: Vec<String>,
}

/// Writes a folded graph and what was made of it, node for node.
///
/// # Errors
/// [`Error::Node`] for an operation without such a form, [`Error::Pack`] if the two do not belong together.
pub fn export(graph: &Graph, quantized: &QGraph) -> Result<Onnx, Error> {
    if graph.nodes.len() != quantized.nodes.len() || graph.tensors.len() != quantized.tensors.len() {
        return Err(Error::Pack("a graph and its quantized form have not the same nodes".into()));
    }
    let mut to = Exporter::default();
    let names = graph.inputs.iter().map(|i| graph.tensors[i.tensor].name.as_str());
    names.chain(graph.outputs.iter().map(|o| o.name.as_str())).for_each(|name| to.reserve(name));
    let mut values: Vec<String> = vec![String::new(); graph.tensors.len()];
    let rounded = |to: &mut Exporter, id: usize, real: &str| {
        let tensor = &quantized.tensors[id];
        ops::rounded(to, &tensor.name, real, tensor.scale, tensor.dtype)
    };
    for input in &graph.inputs {
        let map = ops::to_map(&mut to, &graph.tensors[input.tensor].name, &input.view);
        values[input.tensor] = rounded(&mut to, input.tensor, &map)?;
    }
    for (node, integers) in graph.nodes.iter().zip(&quantized.nodes) {
        let read =
            |&id: &usize| Read { value: &values[id], shape: graph.shape(id), scale: quantized.tensors[id].scale };
        let (inputs, rows): (Vec<Read>, _) = (node.inputs.iter().map(read).collect(), integers.op.rows());
        let site = Exported {
            node: &node.name,
            operator: &node.operator,
            inputs: &inputs,
            output: graph.shape(node.output),
            rows: &rows,
            steps: graph.steps,
        };
        let real = node.op.export(&mut to, &site)?;
        values[node.output] = match quantized.tensors[node.output].dtype {
            // Numbers of classes are not rounded.
            Dtype::I32 => real,
            Dtype::I8 | Dtype::I16 => rounded(&mut to, node.output, &real)?,
        };
    }
    for output in &graph.outputs {
        let scores = ops::ended(&mut to, &output.name, &values[output.tensor], output.taken);
        let made = ops::from_map(&mut to, &output.name, &scores, &output.view, graph.steps);
        to.rename(&made, &output.name);
        // Another output may read it.
        values.iter_mut().filter(|v| **v == made).for_each(|v| output.name.clone_into(v));
    }
    Ok(finished(graph, quantized, to))
}

fn finished(graph: &Graph, quantized: &QGraph, to: Exporter) -> Onnx {
    let port = |name: &str, view: &View, kind: DataType| {
        let dims: Vec<Dimension> = view.lengths().into_iter().map(Dimension::Of).collect();
        value(name, &dims, kind)
    };
    let inputs = graph.inputs.iter().map(|i| port(&graph.tensors[i.tensor].name, &i.view, DataType::Float));
    let outputs = graph.outputs.iter().map(|o| {
        let whole = quantized.tensors[o.tensor].dtype == Dtype::I32;
        port(&o.name, &o.view, if whole { DataType::Int64 } else { DataType::Float })
    });
    let wide = usize::from(quantized.tensors.iter().any(|t| t.dtype == Dtype::I16));
    let (input, output) = (inputs.collect(), outputs.collect());
    let (node, initializer, notes) = to.finish();
    let model = pb::ModelProto {
        ir_version: IR[wide],
        opset_import: vec![pb::OperatorSetIdProto { domain: String::new(), version: OPSETS[wide] }],
        producer_name: "escarp-convert".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(pb::GraphProto { name: "escarp".into(), node, initializer, input, output, ..Default::default() }),
        ..Default::default()
    };
    Onnx { bytes: model.encode_to_vec(), notes }
}
