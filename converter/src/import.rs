//! ONNX -> [`Graph`]: one pass over the nodes, in the file's order, which ONNX promises to be an execution order.
//!
//! A value is either a constant (then the node is folded) or a [`View`] of one of our tensors (then the operator's own
//! file reads the node). What we do not know is an error that names it; nothing is skipped.

use std::{collections::HashMap, ops::RangeInclusive};

use tract_onnx::pb;

use crate::{
    budget::Budget,
    constant::Constant,
    error::Error,
    graph::{self, Graph, Input, Output},
    importer::Importer,
    metadata::FrontEnd,
    onnx::{self, Node},
    ops::{self, constants},
    view::View,
};

mod input;

/// Versions of the standard operator set whose definitions this importer follows. Before 7, broadcasting and
/// BatchNormalization meant something else; later than the last, an operator may have changed.
pub const OPSETS: RangeInclusive<i64> = 7..=22;

/// Most inputs, and most outputs: what a model file may have.
const PORTS: usize = 32;

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
    let declared: Vec<_> = proto.input.iter().filter(|i| !constants.contains_key(i.name.as_str())).collect();
    for (what, count) in [("inputs", declared.len()), ("outputs", proto.output.len())] {
        if !(1..=PORTS).contains(&count) {
            return Err(Error::Model(format!("{count} {what}; allowed: 1 to {PORTS}")));
        }
    }
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
    let (mut tensors, mut inputs, mut steps) = (vec![], vec![], None);
    for (tensor, input) in declared.into_iter().enumerate() {
        let view = View { tensor, ..input::read(input, &nodes, frames)? };
        // Of several inputs each is seen in every step, so all have as many.
        let (name, others) = (input.name.clone(), *steps.get_or_insert(view.steps));
        if view.steps != others {
            return Err(Error::Model(format!("input `{name}` has {} steps, the first one {others}", view.steps)));
        }
        tensors.push(graph::Tensor { name, shape: view.shape });
        inputs.push(Input { tensor, view });
    }
    let graph = Graph {
        tensors,
        nodes: vec![],
        inputs,
        outputs: vec![],
        steps: steps.unwrap_or(1),
        metadata,
        notes: vec![],
        doubts,
        substitutes: vec![],
    };
    let mut importer = Importer::new(graph, constants, &budget)?;
    for node in &nodes {
        read(&mut importer, node, &budget)?;
    }
    let names: Vec<&str> = proto.output.iter().map(|o| o.name.as_str()).collect();
    let outputs = outputs(&mut importer, &names, opset)?;
    Ok(importer.conclude(outputs))
}

/// What the network gives: tensors that nodes have made, each whole and once.
fn outputs(importer: &mut Importer, names: &[&str], opset: i64) -> Result<Vec<Output>, Error> {
    let mut outputs: Vec<Output> = vec![];
    for &name in names {
        let mut view = importer.output(name)?;
        let wrong = |supported: &str| {
            Err(Error::Model(format!("output `{name}` {:?}; supported: {supported}", view.lengths())))
        };
        if view.has_time() {
            return wrong("the answer after the last time step (Y[-1] or Y_h), not one for each step");
        }
        if outputs.iter().any(|o| o.name == name) {
            return wrong("each output once");
        }
        let mut meaning = importer.meaning(view.tensor);
        let decides = names.len() == 1 && view.shape[0] * view.shape[1] == 1 && view.covers();
        if decides && let Some((before, taken)) = importer.end(view.tensor) {
            (view.tensor, meaning) = (before, taken);
        }
        let taken = importer.is_input(view.tensor) || outputs.iter().any(|o| o.tensor == view.tensor);
        if taken || !view.covers() {
            let proto = pb::NodeProto { op_type: "Identity".into(), output: vec![name.into()], ..Default::default() };
            view = ops::copied(importer, &Node::new(&proto, opset), &view)?;
        }
        outputs.push(Output { tensor: view.tensor, name: name.into(), meaning, view });
    }
    Ok(outputs)
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
