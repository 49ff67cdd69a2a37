//! The way back from [`crate::nets::export`]: the graph's weights under the names and in the layouts of the net's parameters.
//!
//! The export has folded the normalization of a convolution into it, `w' = w s`, `b' = t`. The net gets `w'` as kernel, and
//! a normalization that does nothing but add `b'`:
//!
//! ```text
//! gamma = 1, beta = b', mean = 0, variance = 1 - eps,   gamma (x - mean) / sqrt(variance + eps) + beta = x + b'
//! ```

use std::collections::HashMap;

use prost::Message;
use tract_onnx::pb::{AttributeProto, ModelProto, NodeProto, TensorProto, tensor_proto::DataType};

use super::Tensor;
use crate::layers::batch_norm::EPSILON;

/// Operators of our exports that have no weights.
const WEIGHTLESS: [&str; 18] = [
    "Relu",
    "LeakyRelu",
    "Sigmoid",
    "Tanh",
    "Mul",
    "HardSwish",
    "HardSigmoid",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "AveragePool",
    "MaxPool",
    "ReduceMean",
    "ReduceMax",
    "Flatten",
    "Transpose",
    "Reshape",
    "Squeeze",
    "Add",
];

/// All weights of a file that `escarp-train` has exported. `wanted` says whether the net has a parameter of a name.
pub(super) fn read(bytes: &[u8], wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Tensor>, String> {
    let graph = ModelProto::decode(bytes).ok().and_then(|model| model.graph);
    let graph = graph.ok_or("neither a checkpoint of escarp-train nor an ONNX file")?;
    let constants = graph.initializer.iter().map(|t| (t.name.as_str(), t)).collect();
    let mut reader = Reader { constants, wanted, tensors: Vec::new() };
    for node in &graph.node {
        reader.node(node).map_err(|reason| {
            let name = if node.name.is_empty() { node.output.first() } else { Some(&node.name) };
            let name = name.map_or("", String::as_str);
            format!(
                "node `{name}` ({}): {reason}; only ONNX files that escarp-train exported can be read",
                node.op_type
            )
        })?;
    }
    Ok(reader.tensors)
}

struct Reader<'a> {
    constants: HashMap<&'a str, &'a TensorProto>,
    wanted: &'a dyn Fn(&str) -> bool,
    tensors: Vec<Tensor>,
}

impl Reader<'_> {
    fn node(&mut self, node: &NodeProto) -> Result<(), String> {
        match node.op_type.as_str() {
            "Conv" => self.convolution(node),
            "Gemm" => {
                let (w, [outputs, _]) = self.weights(node, 1, &node.name, "weight")?;
                let (b, [_]) = self.weights(node, 2, &node.name, "bias")?;
                if attribute(node, "transB").is_none_or(|a| a.i != 1) {
                    return Err("transB is not 1".into());
                }
                self.push(format!("{}.weight", node.name), transposed(&w, outputs), outputs);
                self.push(format!("{}.bias", node.name), b, 1);
                Ok(())
            }
            // Of a dense layer on every frame: product and sum.
            "MatMul" => {
                let layer = node.name.strip_suffix(".product").ok_or("not a name that escarp-train gives")?;
                let (w, [_, outputs]) = self.weights(node, 1, layer, "weight")?;
                self.push(format!("{layer}.weight"), w, outputs);
                Ok(())
            }
            "Gather" => {
                let (w, [_, _]) = self.weights(node, 0, &node.name, "weight")?;
                self.push(format!("{}.weight", node.name), w, 1);
                Ok(())
            }
            "BatchNormalization" => {
                for (i, part) in ["gamma", "beta", "mean", "variance"].into_iter().enumerate() {
                    let (values, [_]) = self.weights(node, i + 1, &node.name, part)?;
                    self.push(format!("{}.{part}", node.name), values, 1);
                }
                Ok(())
            }
            // Of a normalization on every frame: product and sum.
            "Mul" if self.constant(node) => {
                let layer = node.name.strip_suffix(".scaled").ok_or("not a name that escarp-train gives")?;
                let (scale, [_]) = self.weights(node, 1, layer, "scale")?;
                self.normalization(layer, scale);
                Ok(())
            }
            "Add" if self.constant(node) && node.input.last() == Some(&format!("{}.shift", node.name)) => {
                let (shift, [_]) = self.weights(node, 1, &node.name, "shift")?;
                self.push(format!("{}.beta", node.name), shift, 1);
                Ok(())
            }
            "Add" if self.constant(node) => {
                let (b, [_]) = self.weights(node, 1, &node.name, "bias")?;
                self.push(format!("{}.bias", node.name), b, 1);
                Ok(())
            }
            "GRU" | "LSTM" | "RNN" => self.recurrent(node),
            operator if WEIGHTLESS.contains(&operator) => Ok(()),
            _ => Err("not an operator that escarp-train writes".into()),
        }
    }

    /// Kernel `[out, in, u, v]` to `[u, v, in, out]`.
    fn convolution(&mut self, node: &NodeProto) -> Result<(), String> {
        let layer = node.name.strip_suffix(".conv").ok_or("not a name that escarp-train gives")?;
        let (w, [outputs, inputs, height, width]) = self.weights(node, 1, layer, "weight")?;
        let (b, [_]) = self.weights(node, 2, layer, "bias")?;
        let taps = height * width;
        let at = |tap: usize, i: usize, o: usize| w[(o * inputs + i) * taps + tap];
        let pixels = (0..taps).flat_map(|tap| (0..inputs).map(move |i| (tap, i)));
        let kernel = pixels.flat_map(|(tap, i)| (0..outputs).map(move |o| at(tap, i, o))).collect();
        self.push(format!("{layer}.conv.weight"), kernel, outputs);
        if !(self.wanted)(&format!("{layer}.norm.gamma")) {
            self.push(format!("{layer}.conv.bias"), b, 1);
            return Ok(());
        }
        self.normalization(&format!("{layer}.norm"), vec![1.0; b.len()]);
        self.push(format!("{layer}.norm.beta"), b, 1);
        Ok(())
    }

    /// A normalization that multiplies by `scale`; the shift is its `beta`.
    fn normalization(&mut self, name: &str, scale: Vec<f32>) {
        let n = scale.len();
        let variance = (1.0 - EPSILON) as f32;
        for (part, values) in [("gamma", scale), ("mean", vec![0.0; n]), ("variance", vec![variance; n])] {
            self.push(format!("{name}.{part}"), values, 1);
        }
    }

    /// Whether one of the node's inputs is a constant.
    fn constant(&self, node: &NodeProto) -> bool {
        node.input.iter().any(|input| self.constants.contains_key(input.as_str()))
    }

    /// `W`, `R` and `B` of each direction, `[gates, inputs]`, `[gates, hidden]`, `[2 gates]`.
    fn recurrent(&mut self, node: &NodeProto) -> Result<(), String> {
        let layer = &node.name;
        let (w, [directions, gates, inputs]) = self.weights(node, 1, layer, "W")?;
        let (r, [_, _, hidden]) = self.weights(node, 2, layer, "R")?;
        let (b, [_, biases]) = self.weights(node, 3, layer, "B")?;
        if r.len() != directions * gates * hidden || b.len() != directions * 2 * gates || biases != 2 * gates {
            return Err("the shapes of W, R and B do not fit each other".into());
        }
        let names = match directions {
            1 => vec![layer.clone()],
            _ => vec![format!("{layer}.forward"), format!("{layer}.backward")],
        };
        let reset_after = attribute(node, "linear_before_reset").is_some_and(|a| a.i == 1);
        let parts = w.chunks_exact(gates * inputs).zip(r.chunks_exact(gates * hidden)).zip(b.chunks_exact(2 * gates));
        for (name, ((w, r), b)) in names.into_iter().zip(parts) {
            self.push(format!("{name}.weight"), transposed(w, gates), gates);
            self.push(format!("{name}.recurrent"), transposed(r, gates), gates);
            let (bias, recurrent) = b.split_at(gates);
            if reset_after {
                self.push(format!("{name}.bias"), bias.to_vec(), 1);
                self.push(format!("{name}.recurrent_bias"), recurrent.to_vec(), 1);
            } else {
                // Both are added in the same place.
                self.push(format!("{name}.bias"), bias.iter().zip(recurrent).map(|(b, c)| b + c).collect(), 1);
            }
        }
        Ok(())
    }

    /// The constant that `node` takes as input `index`, which must be `layer.part`, with its shape of `N` axes.
    fn weights<const N: usize>(
        &self,
        node: &NodeProto,
        index: usize,
        layer: &str,
        part: &str,
    ) -> Result<(Vec<f32>, [usize; N]), String> {
        let expected = format!("{layer}.{part}");
        let name = node.input.get(index).map_or("", String::as_str);
        if name != expected {
            return Err(format!("input {index} is `{name}`, not `{expected}`"));
        }
        let tensor = self.constants.get(name).ok_or_else(|| format!("`{name}` is not a constant"))?;
        let dims: Vec<usize> = tensor.dims.iter().map(|&d| usize::try_from(d).unwrap_or(0)).collect();
        let shape = <[usize; N]>::try_from(dims).map_err(|d| format!("`{name}` has shape {d:?}, not {N} axes"))?;
        let count = shape.iter().try_fold(4usize, |n, &d| n.checked_mul(d));
        if shape.contains(&0) || tensor.data_type != DataType::Float as i32 || Some(tensor.raw_data.len()) != count {
            return Err(format!("`{name}` does not hold the raw floats of its shape {shape:?}"));
        }
        let values: Vec<f32> =
            tensor.raw_data.chunks_exact(4).map(|v| f32::from_le_bytes([v[0], v[1], v[2], v[3]])).collect();
        match values.iter().all(|v| v.is_finite()) {
            true => Ok((values, shape)),
            false => Err(format!("`{name}` holds a number that is NaN or infinite")),
        }
    }

    fn push(&mut self, name: String, values: Vec<f32>, units: usize) {
        self.tensors.push(Tensor { name, values, units });
    }
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|a| a.name == name)
}

/// A row-major matrix of `rows` rows, column after column.
fn transposed(matrix: &[f32], rows: usize) -> Vec<f32> {
    let width = matrix.len() / rows;
    (0..width).flat_map(|c| matrix.iter().skip(c).step_by(width).copied()).collect()
}
