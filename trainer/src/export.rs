//! `Net` to ONNX: opset 17, IR version 8, which PyTorch, onnxruntime, tract and our converter all read.
//!
//! Images go in as PyTorch has them, `[batch, channels, height, width]`, sequences as `[batch, frames, inputs]`;
//! `batch` is a symbol. Out come `logits`, `[batch, classes]`. Batch normalization is folded into the convolutions: in
//! evaluation it *is* a scale and a shift of each channel, `w' = w s`, `b' = t`, and the file is smaller without it.

mod builder;

use escarp_converter::metadata::{KEY, Metadata};
use prost::Message;
use tract_onnx::pb;

use crate::layers::dense::Dense;
use crate::layers::gru::Gru;
use crate::nets::gru::GruNet;
use crate::nets::resnet::{ConvNorm, ResNet};
use crate::nets::{Arch, Net};
use builder::{Builder, ints};

/// Why a net cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Not one name for each output.
    #[error("export: {labels} labels for {classes} outputs; give none or one for each")]
    Labels {
        /// How many names came.
        labels: usize,
        /// How many outputs there are.
        classes: usize,
    },
    /// Training has left a number that no file should carry.
    #[error("export: {tensor} holds a number that is NaN or infinite: this net has diverged")]
    NotFinite {
        /// Which tensor of the graph.
        tensor: String,
    },
    /// The metadata cannot be written as JSON.
    #[error("export: metadata")]
    Metadata(#[from] serde_json::Error),
}

/// The net as the bytes of an ONNX file, with `metadata` as JSON under the key `escarp`.
///
/// # Errors
/// [`ExportError`]; nothing is written anywhere.
pub fn export(net: &Net, metadata: &Metadata) -> Result<Vec<u8>, ExportError> {
    let classes = net.arch().classes();
    if !metadata.labels.is_empty() && metadata.labels.len() != classes {
        return Err(ExportError::Labels { labels: metadata.labels.len(), classes });
    }
    let mut graph = Builder::default();
    let input = match (net, net.arch()) {
        (Net::ResNet(net), &Arch::ResNet { input: [h, w, c], .. }) => {
            residual_net(&mut graph, net);
            builder::value("image", &[c, h, w])
        }
        (Net::Gru(net), &Arch::Gru { frames, inputs, .. }) => {
            gru_net(&mut graph, net);
            builder::value("sequence", &[frames, inputs])
        }
        _ => unreachable!("a net is of the kind of its architecture"),
    };
    let output = builder::value("logits", &[classes]);
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

fn residual_net(graph: &mut Builder, net: &ResNet<f32>) {
    let mut x = conv_norm(graph, &net.stem, "stem", "image");
    x = graph.node("Relu", "stem.relu", &[&x], vec![]);
    for block in &net.blocks {
        let name = &block.name;
        let a = conv_norm(graph, &block.a, &format!("{name}.a"), &x);
        let a = graph.node("Relu", &format!("{name}.a.relu"), &[&a], vec![]);
        let b = conv_norm(graph, &block.b, &format!("{name}.b"), &a);
        let shortcut = match &block.projection {
            Some(projection) => conv_norm(graph, projection, &format!("{name}.shortcut"), &x),
            None => x,
        };
        let sum = graph.node("Add", &format!("{name}.add"), &[&b, &shortcut], vec![]);
        x = graph.node("Relu", &format!("{name}.relu"), &[&sum], vec![]);
    }
    let pooled = graph.node("GlobalAveragePool", "pool", &[&x], vec![]);
    let flat = graph.node("Flatten", "flatten", &[&pooled], vec![]);
    dense(graph, &net.head, &flat);
}

/// Kernel `[u, v, in, out]` to ONNX `[out, in, u, v]`, times the normalization's scale.
fn conv_norm(graph: &mut Builder, unit: &ConvNorm<f32>, name: &str, x: &str) -> String {
    let conv = &unit.conv;
    let (k, inputs, outputs) = (conv.kernel, conv.inputs, conv.outputs);
    let (scale, shift) = unit.norm.folded();
    let mut weight = Vec::with_capacity(conv.weight.value.len());
    for (o, scale) in scale.iter().enumerate() {
        for i in 0..inputs {
            let taps = (0..k * k).map(|tap| conv.weight.value[(tap * inputs + i) * outputs + o]);
            weight.extend(taps.map(|w| (f64::from(w) * scale) as f32));
        }
    }
    let bias: Vec<f32> = shift.iter().map(|&v| v as f32).collect();
    let weight = graph.tensor(&format!("{name}.weight"), &[outputs, inputs, k, k], &weight);
    let bias = graph.tensor(&format!("{name}.bias"), &[outputs], &bias);
    let attributes =
        vec![ints("kernel_shape", &[k; 2]), ints("strides", &[conv.stride; 2]), ints("pads", &[conv.padding; 4])];
    graph.node("Conv", &format!("{name}.conv"), &[x, &weight, &bias], attributes)
}

/// The classifier; its output is the graph's.
fn dense(graph: &mut Builder, head: &Dense<f32>, x: &str) {
    let weight = transposed(&head.weight.value, head.outputs, 0..head.outputs);
    let weight = graph.tensor("head.weight", &[head.outputs, head.inputs], &weight);
    let bias = graph.tensor("head.bias", &[head.outputs], &head.bias.value);
    graph.node_named("Gemm", "head", &[x, &weight, &bias], &["logits"], vec![builder::int("transB", 1)]);
}

/// Columns `columns` of a row-major matrix of `width` columns, one after the other.
fn transposed(matrix: &[f32], width: usize, columns: std::ops::Range<usize>) -> Vec<f32> {
    columns.flat_map(|c| matrix.iter().skip(c).step_by(width).copied()).collect()
}

fn gru_net(graph: &mut Builder, net: &GruNet<f32>) {
    // ONNX recurrent operators are time-major.
    let time_major = vec![ints("perm", &[1, 0, 2])];
    let mut x = graph.node("Transpose", "time_major", &["sequence"], time_major);
    for (i, layer) in net.layers.iter().enumerate() {
        let last = i + 1 == net.layers.len();
        x = gru(graph, layer, &format!("gru{}", i + 1), &x, last);
    }
    dense(graph, &net.head, &x);
}

/// One layer: every state `[frames, batch, hidden]` for the layer above, or the last `[batch, hidden]`.
fn gru(graph: &mut Builder, layer: &Gru<f32>, name: &str, x: &str, last: bool) -> String {
    let (hidden, gates) = (layer.hidden, 3 * layer.hidden);
    let w = transposed(&layer.weight.value, gates, 0..gates);
    let r = transposed(&layer.recurrent.value, gates, 0..gates);
    let b = [&layer.bias.value[..], &layer.recurrent_bias.value[..]].concat();
    let w = graph.tensor(&format!("{name}.W"), &[1, gates, layer.inputs], &w);
    let r = graph.tensor(&format!("{name}.R"), &[1, gates, hidden], &r);
    let b = graph.tensor(&format!("{name}.B"), &[1, 2 * gates], &b);
    let states = format!("{name}.{}", if last { "last" } else { "all" });
    let outputs: &[&str] = if last { &["", &states] } else { &[&states] };
    let attributes = vec![builder::int("hidden_size", hidden), builder::int("linear_before_reset", 1)];
    graph.node_named("GRU", name, &[x, &w, &r, &b], outputs, attributes);
    // The axis of directions: first in the last state, second among all states.
    let axis = graph.indices(&format!("{name}.direction"), &[i64::from(!last)]);
    graph.node("Squeeze", &format!("{name}.state"), &[&states, &axis], vec![])
}
