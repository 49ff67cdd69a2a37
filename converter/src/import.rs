//! ONNX -> [`Graph`]: one pass over the nodes, in the file's order, which ONNX promises to be an execution order.
//!
//! A value is either a constant (then the node is folded) or a [`View`] of one of our tensors (then the operator's own
//! file reads the node). What we do not know is an error that names it; nothing is skipped.

use std::{collections::HashMap, ops::RangeInclusive};

use crate::{
    budget::Budget,
    constant::Constant,
    error::Error,
    graph::{self, Graph, Meaning},
    importer::Importer,
    metadata::FrontEnd,
    onnx::{self, Node},
    ops::{self, constants},
};

mod input;

/// Versions of the standard operator set whose definitions this importer follows. Before 7, broadcasting and
/// BatchNormalization meant something else; later than the last, an operator may have changed.
pub const OPSETS: RangeInclusive<i64> = 7..=22;

/// Most names that an error lists.
const SHOWN: usize = 8;

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
    let mut constants = HashMap::new();
    for t in &proto.initializer {
        let constant = Constant::from_proto(t, &budget).map_err(Error::Onnx)?;
        if constants.insert(t.name.clone(), constant).is_some() {
            return Err(Error::Model(format!("two initializers are named `{}`", t.name)));
        }
    }
    if let Some(t) = proto.sparse_initializer.first() {
        let name = t.values.as_ref().map_or("", |v| &v.name);
        return Err(Error::Model(format!("sparse initializer `{name}`; supported: dense weights")));
    }
    let inputs: Vec<_> = proto.input.iter().filter(|i| !constants.contains_key(i.name.as_str())).collect();
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
                supported: ops::supported(),
            });
        }
    }
    let (input_layout, shape, steps) = input::read(input, &nodes, frames)?;
    let graph = Graph {
        tensors: vec![graph::Tensor { name: input.name.clone(), shape }],
        nodes: vec![],
        input: 0,
        output: 0,
        output_name: output.name.clone(),
        input_layout,
        steps,
        meaning: Meaning::Plain,
        metadata,
        notes: vec![],
        doubts,
    };
    let view = input::view(input_layout, shape, steps);
    let mut importer = Importer::new(graph, constants, view, &output.name, &budget)?;
    for node in &nodes {
        read(&mut importer, node, &budget)?;
    }
    importer.conclude()
}

fn known(operator: &str) -> bool {
    constants::folds(operator) || ops::find(operator).is_some()
}

fn read(importer: &mut Importer, node: &Node, budget: &Budget) -> Result<(), Error> {
    if constants::folds(node.operator())
        && let Some(inputs) = importer.all_constant(node)
    {
        let folded = constants::fold(node, &inputs, budget)?;
        return importer.define_constant(node, 0, folded);
    }
    match ops::find(node.operator()) {
        Some(import) => (import.read)(importer, node),
        None => Err(node.unsupported("inputs", "data that depend on the sample", "constants and shapes")),
    }
}
