//! ONNX -> [`Graph`]: one pass over the nodes, in the file's order, which ONNX promises to be an execution order.
//!
//! A value is either a constant (then the node is folded) or a [`View`] of one of our tensors (then the operator's own
//! file reads the node). What we do not know is an error that names it; nothing is skipped.

use std::{
    collections::{HashMap, HashSet},
    ops::RangeInclusive,
    path::Path,
};

use tract_onnx::pb;

use crate::{
    budget::Budget,
    constant::Constant,
    error::Error,
    graph::{self, Graph, Input, Meaning, Output},
    history::{Change, Kind},
    importer::Importer,
    metadata::FrontEnd,
    onnx::{self, Node},
    ops::{self, constants},
    part::{self, Part},
    view::View,
};

mod findings;
mod input;

use findings::Findings;

/// Versions of the standard operator set whose definitions this importer follows. Before 7, broadcasting and
/// BatchNormalization meant something else; later than the last, an operator may have changed.
pub const OPSETS: RangeInclusive<i64> = 7..=23;

/// Most inputs, and most outputs: what a model file may have.
const PORTS: usize = 32;

/// Most outputs at which a refused model is proposed to be cut.
const CUTS: usize = 12;

/// So many times the nodes that are left may be lost then: post-processing may have more nodes than the network.
const LEFT: usize = 8;

/// What of a model is read, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// Length of the sequence where the file leaves it open.
    pub frames: Option<usize>,
    /// Where the network begins and ends.
    pub part: Option<&'a Part>,
    /// Inputs of any dimensions, and outputs that are constants.
    pub any_batch: bool,
    /// The first input's channels are blue, green, red: what reads them is given red, green, blue.
    pub bgr: bool,
    /// Where the file lies, and what belongs to it.
    pub folder: Option<&'a Path>,
}

/// Reads a model.
///
/// # Errors
/// [`Error::Onnx`] for bytes that are no model, [`Error::Operator`], [`Error::Attribute`] and [`Error::Node`] for nodes
/// outside the supported set, [`Error::Model`] for operator set versions, inputs and outputs outside it, [`Error::Several`] for more
/// than one of these.
pub fn import(bytes: &[u8], request: &Request) -> Result<Graph, Error> {
    let budget = Budget::new(bytes.len());
    let mut model = onnx::parse(bytes, request.folder, &budget)?;
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
    let proto = model.graph.as_mut().ok_or_else(|| Error::Onnx("the model holds no graph".into()))?;
    let (all, mut changes) = (proto.node.len(), vec![]);
    if let Some(part) = request.part {
        part::select(proto, part)?;
        let kept = proto.node.len();
        if kept < all {
            let detail = format!("{} of {all} nodes", all - kept);
            changes.push(Change { kind: Kind::Cut, nodes: vec![], into: None, detail });
        }
    }
    let proto = &*proto;
    let constants = constants_of(proto, &budget)?;
    let declared: Vec<_> = proto.input.iter().filter(|i| !constants.contains_key(i.name.as_str())).collect();
    for (what, count) in [("inputs", declared.len()), ("outputs", proto.output.len())] {
        let least = if request.any_batch { 0 } else { 1 };
        if !(least..=PORTS).contains(&count) {
            return Err(Error::Model(format!("{count} {what}; allowed: 1 to {PORTS}")));
        }
    }
    let frames = request.frames.or(match metadata.as_ref().map(|m| &m.front_end) {
        Some(FrontEnd::LogMel { frames, .. } | FrontEnd::Sensor { frames, .. }) => Some(usize::from(*frames)),
        _ => None,
    });
    let nodes: Vec<Node> = proto.node.iter().map(|n| Node::new(n, opset)).collect();
    let (mut findings, mut unread) = (Findings::default(), vec![]);
    let (mut tensors, mut inputs, mut steps) = (vec![], vec![], None);
    for input in declared {
        match input::read(input, &nodes, frames, request.any_batch) {
            // Of several inputs each is seen in every step, so all have as many.
            Ok(view) if view.steps == *steps.get_or_insert(view.steps) => {
                let view = View { tensor: tensors.len(), ..view };
                let grid = input::unsigned(input).map(ops::numbers);
                let (name, shape) = (input.name.clone(), view.shape);
                tensors.push(graph::Tensor { name, shape, grid, wide: false, fine: false });
                inputs.push(Input { tensor: view.tensor, view });
            }
            read => {
                let others = steps.unwrap_or(1);
                let differ = |view: View| {
                    Error::Model(format!("input `{}` has {} steps, the first one {others}", input.name, view.steps))
                };
                findings.add(None, read.map_or_else(|e| e, differ));
                unread.push(input.name.as_str());
            }
        }
    }
    let mut notes = vec![];
    if request.bgr {
        let first = inputs.first_mut().ok_or_else(|| Error::Model("no input for pixels".into()))?;
        first.view = input::swapped(&first.view)?;
        notes.push(
            "the network takes blue, green, red; the file takes red, green, blue as any other: its weights stand so"
                .into(),
        );
    }
    let graph = Graph {
        tensors,
        nodes: vec![],
        inputs,
        outputs: vec![],
        constants: vec![],
        steps: steps.unwrap_or(1),
        metadata,
        notes,
        doubts,
        origins: vec![],
        changes,
        substitutes: vec![],
        folder: request.folder.map(Path::to_owned),
    };
    let given = proto.input.iter().filter(|i| !constants.contains_key(i.name.as_str()));
    let given: Vec<_> = given.filter_map(|i| Some((&i.name, input::unsigned(i)?))).collect();
    let mut importer = Importer::new(graph, constants, &budget)?;
    given.into_iter().for_each(|(name, unsigned)| importer.is_given_numbers(name, unsigned));
    importer.tell_unsigned(unsigned(proto));
    unread.into_iter().for_each(|name| importer.forget(name));
    read_all(&mut importer, proto, &nodes, &mut findings);
    let names: Vec<&str> = proto.output.iter().map(|o| o.name.as_str()).collect();
    if !findings.is_empty() {
        return Err(findings.error(opset, &cut(&importer, &nodes, &names)));
    }
    let outputs = outputs(&mut importer, proto, request.any_batch, opset)?;
    Ok(importer.conclude(outputs))
}

/// The constants of the file.
fn constants_of(proto: &pb::GraphProto, budget: &Budget) -> Result<HashMap<String, Constant>, Error> {
    let mut constants = HashMap::new();
    for t in &proto.initializer {
        let constant = Constant::from_proto(t, budget).map_err(Error::Onnx)?;
        if constants.insert(t.name.clone(), constant).is_some() {
            return Err(Error::Model(format!("two initializers are named `{}`", t.name)));
        }
    }
    if let Some(t) = proto.sparse_initializer.first() {
        let name = t.values.as_ref().map_or("", |v| &v.name);
        return Err(Error::Model(format!("sparse initializer `{name}`; supported: dense weights")));
    }
    Ok(constants)
}

/// The constants of the file whose numbers are uint8: no other holder of them says so.
fn unsigned(proto: &pb::GraphProto) -> HashSet<String> {
    let is = |t: &pb::TensorProto| t.data_type == pb::tensor_proto::DataType::Uint8 as i32;
    let initializers = proto.initializer.iter().filter(|t| is(t)).map(|t| t.name.clone());
    let made = proto.node.iter().filter(|n| n.attribute.iter().filter_map(|a| a.t.as_ref()).any(is));
    initializers.chain(made.flat_map(|n| n.output.iter().cloned())).collect()
}

/// Reads every node that can be judged. What follows from one that could not be read is not; that its operator is foreign is said all
/// the same.
fn read_all(importer: &mut Importer, proto: &pb::GraphProto, nodes: &[Node], findings: &mut Findings) {
    for (node, proto) in nodes.iter().zip(&proto.node) {
        importer.begin(node);
        let foreign = foreign(node, &proto.domain);
        let read = match foreign {
            Some(error) => Err(Some(error)),
            None if importer.reads_unknown(node) => Err(None),
            None => ops::read(importer, node).map_err(Some),
        };
        if let Err(error) = read {
            node.outputs().iter().for_each(|name| importer.forget(name));
            if let Some(error) = error {
                findings.add(Some(node), error);
            }
        }
        importer.done(node);
        if importer.is_full() {
            return;
        }
    }
}

/// That an operator is not supported.
fn foreign(node: &Node, domain: &str) -> Option<Error> {
    let of_onnxruntime = domain == "com.microsoft" && ops::is_of_onnxruntime(node.operator());
    if known(node.operator()) && (matches!(domain, "" | "ai.onnx") || of_onnxruntime) {
        return None;
    }
    let domain = if matches!(domain, "" | "ai.onnx") { "" } else { &format!("{domain}:") };
    Some(Error::Operator {
        node: node.name().into(),
        operator: format!("{domain}{}", node.operator()),
        advice: String::new(),
        supported: ops::supported(),
    })
}

/// Tensors that are known and needed by what could not be read, or are outputs: at these the graph could end. None if that leaves
/// next to nothing of it, or they are many.
fn cut(importer: &Importer, nodes: &[Node], outputs: &[&str]) -> Vec<String> {
    let lost = |node: &&Node| node.outputs().iter().any(|name| importer.is_unknown(name));
    let behind = nodes.iter().filter(lost).flat_map(Node::inputs).map(String::as_str);
    let mut names: Vec<String> = vec![];
    for name in behind.chain(outputs.iter().copied()).filter(|name| importer.is_made(name)) {
        if !names.iter().any(|known| known == name) {
            names.push(name.into());
        }
    }
    let made = nodes.iter().filter(|node| node.outputs().iter().any(|name| importer.is_made(name))).count();
    let few = names.len() <= CUTS && LEFT * made >= nodes.iter().filter(lost).count();
    if few { names } else { vec![] }
}

/// What the network gives: tensors that nodes have made, each whole and once.
fn outputs(importer: &mut Importer, proto: &pb::GraphProto, any_batch: bool, opset: i64) -> Result<Vec<Output>, Error> {
    let mut outputs: Vec<Output> = vec![];
    let (mut findings, count) = (Findings::default(), proto.output.len());
    for pb::ValueInfoProto { name, .. } in &proto.output {
        if any_batch && importer.is_constant_output(name) {
            continue;
        }
        let mut view = match importer.output(name) {
            Ok(view) => view,
            Err(error) => {
                findings.add(None, error);
                continue;
            }
        };
        let mut wrong = |supported: &str| {
            let error = Error::Model(format!("output `{name}` {:?}; supported: {supported}", view.lengths()));
            findings.add(None, error);
        };
        if view.has_time() {
            wrong("the answer after the last time step (Y[-1] or Y_h), not one for each step");
            continue;
        }
        if outputs.iter().any(|o| o.name == *name) {
            wrong("each output once");
            continue;
        }
        let (mut meaning, mut taken_off) = (importer.meaning(view.tensor), Meaning::Plain);
        let decides = count == 1 && view.shape[0] * view.shape[1] == 1 && view.covers() && !any_batch;
        if decides && let Some((before, taken)) = importer.end(view.tensor) {
            (view.tensor, meaning, taken_off) = (before, taken, taken);
        }
        let proto = pb::NodeProto { op_type: "output".into(), output: vec![name.clone()], ..Default::default() };
        let node = Node::new(&proto, opset);
        if let Some(integers) = importer.integers_of(name) {
            view = ops::as_numbers(importer, &node, view, integers)?;
        }
        let taken = importer.is_input(view.tensor) || outputs.iter().any(|o| o.tensor == view.tensor);
        if taken || !view.covers() {
            view = ops::copied(importer, &node, &view)?;
        }
        outputs.push(Output { tensor: view.tensor, name: name.clone(), meaning, taken: taken_off, view });
    }
    if findings.is_empty() { Ok(outputs) } else { Err(findings.error(opset, &[])) }
}

fn known(operator: &str) -> bool {
    constants::folds(operator) || ops::find(operator).is_some()
}
