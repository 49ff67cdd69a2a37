//! ONNX -> [`Graph`]: one pass over the nodes, in the file's order, which ONNX promises to be an execution order.
//!
//! A value is either a constant (then the node is folded) or a [`View`] of one of our tensors (then the operator's own
//! file reads the node). What we do not know is an error that names it; nothing is skipped.

use std::{collections::HashMap, ops::RangeInclusive};

use ndarray::ArrayD;
use tract_onnx::pb;

use crate::{
    budget::{Budget, RANK, VALUES},
    constant::Constant,
    error::Error,
    graph::{self, Graph, InputLayout, OutputKind},
    metadata::FrontEnd,
    onnx::{self, Node},
    ops::{self, Op},
    shape::{Shape, TensorId},
    view::{Axis, View},
};

/// The operators that [`import`] reads, as errors list them.
pub const SUPPORTED: &str = "Conv, Gemm, MatMul, GRU, BatchNormalization, Add, Relu, Clip, MaxPool, AveragePool, \
    GlobalAveragePool, GlobalMaxPool, ReduceMean, Transpose, Reshape, Flatten, Squeeze, Unsqueeze, Gather (last step), \
    Identity, Dropout, a final Softmax or Sigmoid; Sub, Mul, Div with constants; and on constants and shapes \
    Constant, ConstantOfShape, Shape, Cast, Concat, Expand, Slice";

/// Versions of the standard operator set whose definitions this importer follows. Before 7, broadcasting and
/// BatchNormalization meant something else; later than the last, an operator may have changed.
pub const OPSETS: RangeInclusive<i64> = 7..=22;

/// Most names that an error lists.
const SHOWN: usize = 8;

enum Value {
    Constant(Constant),
    View(View),
}

/// The state of the one pass.
pub struct Importer<'a> {
    graph: Graph,
    values: HashMap<String, Value>,
    output: &'a str,
    /// Values of all tensors so far, as [`VALUES`] counts them.
    held: u64,
    budget: Budget,
}

/// Reads a model. `frames` gives the length of the sequence where the file leaves it open.
///
/// # Errors
/// [`Error::Onnx`] for bytes that are no model, [`Error::Operator`], [`Error::Attribute`] and [`Error::Node`] for nodes
/// outside the supported set, [`Error::Model`] for operator set versions, inputs and outputs outside it.
pub fn import(bytes: &[u8], frames: Option<usize>) -> Result<Graph, Error> {
    let budget = Budget::new(bytes.len());
    let model = onnx::parse(bytes, &budget)?;
    let opset = onnx::opset(&model);
    let mut doubts = vec![];
    if opset < *OPSETS.start() {
        return Err(Error::Model(format!(
            "opset {opset}; supported: {} to {} (convert it with onnx.version_converter)",
            OPSETS.start(),
            OPSETS.end()
        )));
    }
    if opset > *OPSETS.end() {
        doubts.push(format!("opset {opset} is newer than {}, the newest that is known here", OPSETS.end()));
    }
    let metadata = onnx::metadata(&model)?;
    let proto = model.graph.as_ref().ok_or_else(|| Error::Onnx("the model holds no graph".into()))?;
    let frames = frames.or(match metadata.as_ref().map(|m| &m.front_end) {
        Some(FrontEnd::LogMel { frames, .. } | FrontEnd::Sensor { frames, .. }) => Some(usize::from(*frames)),
        _ => None,
    });
    let mut values = HashMap::new();
    for t in &proto.initializer {
        let constant = Constant::from_proto(t, &budget).map_err(Error::Onnx)?;
        if values.insert(t.name.clone(), Value::Constant(constant)).is_some() {
            return Err(Error::Model(format!("two initializers are named `{}`", t.name)));
        }
    }
    if let Some(t) = proto.sparse_initializer.first() {
        let name = t.values.as_ref().map_or("", |v| &v.name);
        return Err(Error::Model(format!("sparse initializer `{name}`; supported: dense weights")));
    }
    let inputs: Vec<_> = proto.input.iter().filter(|i| !values.contains_key(i.name.as_str())).collect();
    let &[input] = inputs.as_slice() else {
        let names: Vec<_> = inputs.iter().map(|i| i.name.as_str()).collect();
        let more = if names.len() > SHOWN { ", ..." } else { "" };
        let shown = names[..names.len().min(SHOWN)].join(", ");
        return Err(Error::Model(format!("{} inputs [{shown}{more}]; supported: one", names.len())));
    };
    let [output] = proto.output.as_slice() else {
        return Err(Error::Model(format!("{} outputs; supported: one", proto.output.len())));
    };
    let nodes: Vec<Node> = proto.node.iter().map(|n| Node::new(n, opset)).collect();
    // Foreign operators are better named before anything else is said about the model.
    for (node, proto) in nodes.iter().zip(&proto.node) {
        if !(known(node.operator()) && matches!(proto.domain.as_str(), "" | "ai.onnx")) {
            let operator = if proto.domain.is_empty() { "" } else { &format!("{}:", proto.domain) };
            return Err(Error::Operator {
                node: node.name().into(),
                operator: format!("{operator}{}", node.operator()),
                supported: SUPPORTED.into(),
            });
        }
    }
    let (input_layout, shape, steps) = input_form(input, &nodes, frames)?;
    let graph = Graph {
        tensors: vec![graph::Tensor { name: input.name.clone(), shape }],
        nodes: vec![],
        input: 0,
        output: 0,
        input_layout,
        steps,
        output_kind: OutputKind::Plain,
        metadata,
        notes: vec![],
        doubts,
    };
    let held = size(shape, steps);
    if held > VALUES {
        return Err(Error::Model(format!("input `{}` holds {held} values; allowed: {VALUES}", input.name)));
    }
    let (none, time, channel) = (None, Some(Axis::Time), Some(Axis::Channel));
    let axes = match input_layout {
        InputLayout::Flat => vec![none, channel],
        InputLayout::Nchw => vec![none, channel, Some(Axis::Height), Some(Axis::Width)],
        InputLayout::Nhwc => vec![none, Some(Axis::Height), Some(Axis::Width), channel],
        InputLayout::BatchTime => vec![none, time, channel],
        InputLayout::TimeBatch => vec![time, none, channel],
    };
    values.insert(input.name.clone(), Value::View(View::new(0, shape, steps, &axes)));
    let mut importer = Importer { graph, values, output: &output.name, held, budget };
    for node in &nodes {
        importer.node(node)?;
    }
    importer.conclude()
}

/// Values of a tensor as [`VALUES`] counts them. With all lengths at most 65535 the product is below 2^64.
fn size([h, w, c]: Shape, steps: usize) -> u64 {
    [h, w, c.next_multiple_of(8), steps].into_iter().map(|n| n as u64).product()
}

fn known(operator: &str) -> bool {
    ops::constants::folds(operator)
        || matches!(
            operator,
            "Conv"
                | "Gemm"
                | "MatMul"
                | "GRU"
                | "BatchNormalization"
                | "Relu"
                | "Clip"
                | "MaxPool"
                | "AveragePool"
                | "GlobalAveragePool"
                | "GlobalMaxPool"
                | "ReduceMean"
                | "Flatten"
                | "Dropout"
                | "Softmax"
                | "Sigmoid"
                | "Shape"
        )
}

/// What the one input is: ONNX does not say which dimension is which, the first nodes that read it do.
fn input_form(
    input: &pb::ValueInfoProto,
    nodes: &[Node],
    frames: Option<usize>,
) -> Result<(InputLayout, Shape, usize), Error> {
    let name = &input.name;
    let dims = onnx::declared_shape(input).ok_or_else(|| Error::Model(format!("input `{name}` has no shape")))?;
    if dims.len() > RANK {
        return Err(Error::Model(format!("input `{name}` has {} dimensions; supported: 2 to 4", dims.len())));
    }
    let shown: Vec<_> = dims.iter().map(|d| d.map_or("?".into(), |d| d.to_string())).collect();
    let shown = shown.join(", ");
    let wrong = |reason: &str| Error::Model(format!("input `{name}` [{shown}]: {reason}"));
    let reader = nodes.iter().find(|n| n.operator() != "Shape" && n.inputs().contains(name));
    let transposed = reader.filter(|n| n.operator() == "Transpose").and_then(|n| n.ints("perm").ok()?);
    // Keras models: a Transpose to channels first, or with one channel a Reshape, which does the same.
    let channels_last = transposed == Some(&[0, 3, 1, 2])
        || dims.last() == Some(&Some(1)) && reader.is_some_and(|n| n.operator() == "Reshape");
    let batch = |d: Option<usize>| match d {
        None | Some(1) => Ok(()),
        Some(n) => Err(wrong(&format!("the batch is fixed at {n}; supported: 1 or symbolic"))),
    };
    let fixed = |d: Option<usize>| {
        d.filter(|&d| d <= usize::from(u16::MAX))
            .ok_or_else(|| wrong("all dimensions but batch and time must be 1..=65535"))
    };
    match dims[..] {
        [b, n] => {
            batch(b)?;
            Ok((InputLayout::Flat, [1, 1, fixed(n)?], 1))
        }
        [b, x, y, z] => {
            batch(b)?;
            let (x, y, z) = (fixed(x)?, fixed(y)?, fixed(z)?);
            match channels_last {
                true => Ok((InputLayout::Nhwc, [x, y, z], 1)),
                false => Ok((InputLayout::Nchw, [y, z, x], 1)),
            }
        }
        [first, second, features] => {
            let time_first =
                reader.is_some_and(|n| n.operator() == "GRU" && n.int("layout").ok().flatten().unwrap_or(0) == 0);
            let (b, t, layout) = match time_first {
                true => (second, first, InputLayout::TimeBatch),
                false => (first, second, InputLayout::BatchTime),
            };
            batch(b)?;
            if !nodes.iter().any(|n| n.operator() == "GRU") {
                return Err(wrong("three dimensions are a sequence, and no node is recurrent; supported: GRU"));
            }
            let steps = t.or(frames).ok_or_else(|| wrong("the length of the sequence is open; give --frames"))?;
            if !(2..=usize::from(u16::MAX)).contains(&steps) {
                return Err(wrong(&format!("a sequence of {steps} steps; allowed: 2..=65535")));
            }
            if let (Some(t), Some(f)) = (t, frames.filter(|&f| Some(f) != t)) {
                return Err(wrong(&format!("the sequence has {t} steps, the samples or the metadata {f}")));
            }
            Ok((layout, [1, 1, fixed(features)?], steps))
        }
        _ => Err(wrong("supported: [1, n], [1, channels, height, width], [1, height, width, channels], [1, time, n]")),
    }
}

impl Importer<'_> {
    fn node(&mut self, node: &Node) -> Result<(), Error> {
        if node.operator() == "Shape" {
            return self.shape(node);
        }
        if ops::constants::folds(node.operator()) {
            // An input that is left out keeps its place, empty.
            let constants: Option<Vec<Option<&Constant>>> = node
                .inputs()
                .iter()
                .map(|name| match self.values.get(name.as_str()) {
                    _ if name.is_empty() => Some(None),
                    Some(Value::Constant(c)) => Some(Some(c)),
                    _ => None,
                })
                .collect();
            if let Some(constants) = constants {
                let folded = ops::constants::fold(node, &constants, &self.budget)?;
                return self.name(node, 0, Value::Constant(folded));
            }
        }
        match node.operator() {
            "Conv" => ops::conv::import(self, node),
            "Gemm" => ops::linear::import_gemm(self, node),
            "MatMul" => ops::linear::import_matmul(self, node),
            "GRU" => ops::gru::import(self, node),
            "BatchNormalization" => ops::affine::import_norm(self, node),
            "Add" | "Sub" | "Mul" | "Div" => ops::add::import(self, node),
            "Relu" | "Clip" => ops::activation::import_clamp(self, node),
            "Softmax" | "Sigmoid" => ops::activation::import_final(self, node),
            "MaxPool" | "AveragePool" | "GlobalAveragePool" | "GlobalMaxPool" => ops::pool::import(self, node),
            "ReduceMean" => ops::pool::import_reduce_mean(self, node),
            "Transpose" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Identity" | "Dropout" => {
                ops::reshape::import(self, node)
            }
            "Gather" => ops::reshape::import_gather(self, node),
            _ => Err(node.unsupported("inputs", "data that depend on the sample", "constants and shapes")),
        }
    }

    /// The shape of anything is a constant once the batch is one and the sequence has a length.
    fn shape(&mut self, node: &Node) -> Result<(), Error> {
        node.only(&[])?;
        let name = node.input(0).ok_or_else(|| node.wrong("input 0 is missing"))?;
        let lengths = match self.values.get(name) {
            Some(Value::Constant(c)) => c.shape().to_vec(),
            Some(Value::View(v)) => v.lengths(),
            None => return Err(node.wrong(format!("input `{name}` is made by no earlier node"))),
        };
        self.name(node, 0, Value::Constant(Constant::from_shape(&lengths)))
    }

    /// The tensor at input `index`.
    ///
    /// # Errors
    /// If the input is absent, unknown, or a constant.
    pub fn view(&self, node: &Node, index: usize) -> Result<View, Error> {
        let name = node.input(index).ok_or_else(|| node.wrong(format!("input {index} is missing")))?;
        match self.values.get(name) {
            Some(Value::View(v)) => Ok(v.clone()),
            Some(Value::Constant(_)) => Err(node.unsupported(&format!("input {index}"), "a constant", "a tensor")),
            None => Err(node.wrong(format!("input `{name}` is made by no earlier node"))),
        }
    }

    /// The constant at input `index`; `None` if the input is absent or a tensor.
    ///
    /// # Errors
    /// If no earlier node makes it.
    pub fn constant(&self, node: &Node, index: usize) -> Result<Option<&Constant>, Error> {
        let Some(name) = node.input(index) else { return Ok(None) };
        match self.values.get(name) {
            Some(Value::Constant(c)) => Ok(Some(c)),
            Some(Value::View(_)) => Ok(None),
            None => Err(node.wrong(format!("input `{name}` is made by no earlier node"))),
        }
    }

    /// The float weights at input `index`, all finite: a copy for the operator to keep, charged to the budget.
    ///
    /// # Errors
    /// If they are not constant floats, or there is no memory left for them.
    pub fn weights(&self, node: &Node, index: usize) -> Result<ArrayD<f32>, Error> {
        let floats = self.constant(node, index)?.and_then(Constant::floats);
        let floats = floats.ok_or_else(|| {
            node.unsupported(
                &format!("input {index}"),
                node.input(index).unwrap_or("(absent)"),
                "constant float weights",
            )
        })?;
        if let Some(v) = floats.iter().find(|v| !v.is_finite()) {
            return Err(node.wrong(format!("input {index} holds {v}; weights must be finite")));
        }
        self.take(node, "its weights, in float,", floats.len().saturating_mul(size_of::<f32>()))?;
        Ok(floats.clone())
    }

    /// A vector of exactly `length` weights, whatever ones its shape has.
    ///
    /// # Errors
    /// If they are not constant floats, or not as many.
    pub fn vector(&self, node: &Node, index: usize, length: usize) -> Result<Vec<f32>, Error> {
        let weights = self.weights(node, index)?;
        if weights.len() != length {
            return Err(node.wrong(format!("input {index} has shape {:?}; needed: {length} values", weights.shape())));
        }
        Ok(weights.iter().copied().collect())
    }

    /// The optional bias at input `index`: one value for each channel, or one for all (Gemm broadcasts), or zeros.
    ///
    /// # Errors
    /// As [`Importer::vector`].
    pub fn bias(&self, node: &Node, index: usize, channels: usize) -> Result<Vec<f32>, Error> {
        match node.input(index) {
            None => Ok(vec![0.0; channels]),
            Some(_) if node.operator() == "Gemm" && self.weights(node, index)?.len() == 1 => {
                Ok(vec![self.weights(node, index)?.iter().copied().sum(); channels])
            }
            Some(_) => self.vector(node, index, channels),
        }
    }

    /// Adds a node and the tensor it makes.
    ///
    /// # Errors
    /// If the tensor's sides leave 1..=65535, the network would hold more than [`VALUES`] values, or there is no memory left for
    /// the operator's weights in the file.
    pub fn emit(&mut self, node: &Node, op: Op, inputs: Vec<TensorId>, shape: Shape) -> Result<TensorId, Error> {
        if shape.iter().any(|d| !(1..=usize::from(u16::MAX)).contains(d)) {
            return Err(
                node.wrong(format!("an output of {shape:?} (height, width, channels); allowed: 1..=65535 each"))
            );
        }
        self.held = self.held.saturating_add(size(shape, self.graph.steps));
        if self.held > VALUES {
            let held = self.held;
            return Err(node.wrong(format!(
                "with an output of {shape:?} (height, width, channels) the network holds {held} values; allowed: {VALUES}"
            )));
        }
        if let Op::Conv(conv) = &op {
            let gathered = (shape[0] * shape[1]) as u64 * conv.depth() as u64;
            if gathered > VALUES {
                return Err(node.wrong(format!("its windows hold {gathered} values together; allowed: {VALUES}")));
            }
        }
        self.take(node, "its weights, packed,", op.packed(shape))?;
        let output = self.graph.tensors.len();
        self.graph.tensors.push(graph::Tensor { name: node.output(0).unwrap_or_default().into(), shape });
        self.graph.nodes.push(graph::Node {
            name: node.name().into(),
            operator: node.operator().into(),
            op,
            inputs,
            output,
        });
        Ok(output)
    }

    /// Names output `index` of a node; an output that nobody asked for is let go.
    ///
    /// # Errors
    /// If another node has made a value of that name: which of the two a reader means, no file can say.
    pub fn define(&mut self, node: &Node, index: usize, view: View) -> Result<(), Error> {
        self.name(node, index, Value::View(view))
    }

    fn name(&mut self, node: &Node, index: usize, value: Value) -> Result<(), Error> {
        let Some(name) = node.output(index) else { return Ok(()) };
        match self.values.insert(name.into(), value) {
            None => Ok(()),
            Some(_) => {
                Err(node.wrong(format!("output `{name}` is made already, by an earlier node, input or initializer")))
            }
        }
    }

    /// Takes memory from the budget.
    fn take(&self, node: &Node, what: &str, bytes: usize) -> Result<(), Error> {
        self.budget.take(bytes as u64).map_err(|e| node.wrong(format!("{what} {e}")))
    }

    /// The graph's last node was a nonlinearity that we take off.
    ///
    /// # Errors
    /// If anything but the graph's output comes after it.
    pub fn finish(&mut self, node: &Node, kind: OutputKind) -> Result<(), Error> {
        if node.output(0) != Some(self.output) {
            return Err(node.unsupported("place", "inside the graph", "the last node"));
        }
        self.graph.output_kind = kind;
        let what = format!("the final {} is not executed: it does not change the order of the scores", node.operator());
        self.graph.notes.push(what);
        Ok(())
    }

    fn conclude(mut self) -> Result<Graph, Error> {
        let view = match self.values.remove(self.output) {
            Some(Value::View(v)) => v,
            Some(Value::Constant(_)) => return Err(Error::Model(format!("output `{}` is a constant", self.output))),
            None => return Err(Error::Model(format!("output `{}` is made by no node", self.output))),
        };
        let form = |supported: &str| {
            Err(Error::Model(format!("output `{}` {:?}; supported: {supported}", self.output, view.lengths())))
        };
        if view.has_time() {
            return form("the answer after the last time step (Y[-1] or Y_h), not one for each step");
        }
        if view.tensor == self.graph.input {
            return form("something made by a node");
        }
        if view.shape[0] * view.shape[1] > 1 {
            return form("a vector");
        }
        self.graph.output = view.tensor;
        Ok(self.graph)
    }
}
