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
    graph::{Graph, Input, Output},
    ops,
    proto::{Dimension, value},
    qgraph::{QGraph, QTensor},
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
    let mut writing = Writing { graph, quantized, to: Exporter::default(), values: vec![], last: vec![] };
    let names = graph.inputs.iter().map(|i| graph.tensors[i.tensor].name.as_str());
    names.chain(graph.outputs.iter().map(|o| o.name.as_str())).for_each(|name| writing.to.reserve(name));
    writing.values = vec![String::new(); graph.tensors.len()];
    writing.last.clone_from(&writing.values);
    for input in &graph.inputs {
        writing.input(input)?;
    }
    let every_step = every_step(graph);
    for at in 0..graph.nodes.len() {
        writing.node(at, &every_step)?;
    }
    for output in &graph.outputs {
        writing.output(output, every_step[output.tensor]);
    }
    Ok(finished(graph, quantized, writing.to))
}

/// Of which tensors every step counts: those that something with a state depends on. Of all others the last does.
fn every_step(graph: &Graph) -> Vec<bool> {
    let mut every = vec![false; graph.tensors.len()];
    for node in graph.nodes.iter().rev() {
        if graph.steps > 1 && (node.op.state_len() > 0 || every[node.output]) {
            node.inputs.iter().for_each(|&input| every[input] = true);
        }
    }
    every
}

/// A graph while it is written.
struct Writing<'g> {
    graph: &'g Graph,
    quantized: &'g QGraph,
    to: Exporter,
    /// What each tensor is called, real numbers.
    values: Vec<String>,
    /// What its last step is called, where that was asked for of several.
    last: Vec<String>,
}

impl Writing<'_> {
    fn rounded(&mut self, id: usize, real: &str) -> Result<String, Error> {
        let QTensor { name, scale, dtype, .. } = &self.quantized.tensors[id];
        ops::rounded(&mut self.to, name, real, *scale, *dtype)
    }

    fn input(&mut self, input: &Input) -> Result<(), Error> {
        let (id, name) = (input.tensor, &self.graph.tensors[input.tensor].name);
        // Fusing looks for what is rounded right in front of an operator; but a sequence goes into operators that are not fused.
        self.values[id] = if self.graph.steps > 1 {
            let real = self.rounded(id, name)?;
            ops::to_map(&mut self.to, name, &real, &input.view)
        } else {
            let real = ops::to_map(&mut self.to, name, name, &input.view);
            self.rounded(id, &real)?
        };
        Ok(())
    }

    /// The last step of a tensor of all steps.
    fn last_step(&mut self, id: usize) -> String {
        if self.last[id].is_empty() {
            let name = &self.quantized.tensors[id].name;
            self.last[id] = ops::last(&mut self.to, name, &self.values[id], self.graph.steps);
        }
        self.last[id].clone()
    }

    fn node(&mut self, at: usize, every_step: &[bool]) -> Result<(), Error> {
        let (graph, quantized) = (self.graph, self.quantized);
        let (node, integers) = (&graph.nodes[at], &quantized.nodes[at]);
        let all = node.op.state_len() > 0 || every_step[node.output];
        let mut values = vec![];
        for &id in &node.inputs {
            // An input of the network has all steps whoever reads it.
            let several = every_step[id] || graph.steps > 1 && graph.is_input(id);
            values.push(if several && !all { self.last_step(id) } else { self.values[id].clone() });
        }
        let read = |(&id, value)| Read { value, shape: graph.shape(id), scale: quantized.tensors[id].scale };
        let inputs: Vec<Read> = node.inputs.iter().zip(values.iter().map(String::as_str)).map(read).collect();
        let site = Exported {
            node: &node.name,
            operator: &node.operator,
            inputs: &inputs,
            output: graph.shape(node.output),
            rows: &integers.op.rows(),
            steps: if all { graph.steps } else { 1 },
            every_step: every_step[node.output],
        };
        let real = node.op.export(&mut self.to, &site)?;
        self.values[node.output] = match quantized.tensors[node.output].dtype {
            // Numbers of classes are not rounded.
            Dtype::I32 => real,
            Dtype::I8 | Dtype::I16 => self.rounded(node.output, &real)?,
        };
        Ok(())
    }

    fn output(&mut self, output: &Output, every_step: bool) {
        let (id, name) = (output.tensor, &output.name);
        let value = if every_step { self.last_step(id) } else { self.values[id].clone() };
        let scores = ops::ended(&mut self.to, name, &value, output.taken);
        let made = ops::from_map(&mut self.to, name, &scores, &output.view);
        self.to.rename(&made, name);
        // Another output may read it.
        let all = self.values.iter_mut().chain(&mut self.last);
        all.filter(|value| **value == made).for_each(|value| name.clone_into(value));
    }
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
    let (node, initializer, notes) = to.finish(&graph.outputs.iter().map(|o| o.name.as_str()).collect::<Vec<_>>());
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
