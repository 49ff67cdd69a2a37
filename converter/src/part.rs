//! Which part of a model is read: from which tensors to which, and in what shapes.

use std::collections::HashSet;

use tract_onnx::pb::{self, tensor_shape_proto, type_proto};

use crate::error::Error;

/// Most dimensions that a shape may be given with.
const RANK: usize = 8;

/// Most names that an error shows.
const SHOWN: usize = 5;

/// Names of tensors, each with a shape or with the one in the file.
pub type Shapes = Vec<(String, Option<Vec<usize>>)>;

/// Where a network begins and ends other than its file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Names of the tensors that are its outputs; empty for the file's.
    pub outputs: Vec<String>,
    /// Inputs with other shapes than the file gives them, and tensors inside the graph at which it begins; `None` for the shape in
    /// the file.
    pub inputs: Shapes,
}

/// `a,b`: names of tensors.
///
/// # Errors
/// What is wrong, and what is allowed.
pub fn parse_outputs(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    match names.iter().any(String::is_empty) {
        true => Err(format!("`{text}`; allowed: names of tensors, A,B,C")),
        false => Ok(names),
    }
}

/// `a=1x3x224x224,b`: names of tensors and their shapes.
///
/// # Errors
/// What is wrong, and what is allowed.
pub fn parse_inputs(text: &str) -> Result<Shapes, String> {
    let allowed = "allowed: NAME=1x3x224x224,OTHER=1x10, or NAME alone for the shape in the file";
    let one = |item: &str| {
        let item = item.trim();
        let split = item.rsplit_once('=').filter(|(name, _)| !name.is_empty());
        let Some((name, shape)) = split else {
            return (!item.is_empty()).then(|| (item.to_owned(), None)).ok_or_else(|| format!("`{text}`; {allowed}"));
        };
        let length = |d: &str| d.parse::<u16>().ok().filter(|&d| d > 0).map(usize::from);
        let shape: Option<Vec<usize>> = shape.split('x').map(length).collect();
        let shape = shape.filter(|shape| shape.len() <= RANK);
        shape.map(|shape| (name.to_owned(), Some(shape))).ok_or_else(|| {
            format!("`{item}`: a shape is up to {RANK} lengths of 1..=65535 with x between them; {allowed}")
        })
    };
    text.split(',').map(one).collect()
}

/// Makes a graph that part of it. What is not needed for its outputs is gone then, whatever it is; a part that begins and ends where
/// the file does keeps everything.
///
/// # Errors
/// [`Error::Model`] for names that are no tensors, with similar ones that are, and for shapes that contradict the file's.
pub fn select(graph: &mut pb::GraphProto, part: &Part) -> Result<(), Error> {
    let mut inner = false;
    let mut seen = HashSet::new();
    for (name, shape) in &part.inputs {
        if !seen.insert(name) {
            return Err(Error::Model(format!("input `{name}` is given twice")));
        }
        if graph.initializer.iter().any(|t| t.name == *name) {
            return Err(Error::Model(format!("input `{name}` is a constant of the file")));
        }
        match graph.input.iter_mut().find(|input| input.name == *name) {
            Some(input) => shape.iter().try_for_each(|shape| reshape(input, shape))?,
            None => {
                let info = inside(graph, name, shape.as_deref())?;
                graph.input.push(info);
                inner = true;
            }
        }
    }
    if let Some(name) = part.outputs.iter().find(|name| !is_tensor(graph, name)) {
        return Err(Error::Model(format!("output `{name}` is made by no node{}", similar(graph, name))));
    }
    if !part.outputs.is_empty() {
        let info = |name: &String| pb::ValueInfoProto { name: name.clone(), ..Default::default() };
        graph.output = part.outputs.iter().map(info).collect();
    }
    if inner || !part.outputs.is_empty() {
        keep_needed(graph);
    }
    if graph.node.is_empty() {
        return Err(Error::Model("no node is left between the inputs and outputs that were given".into()));
    }
    Ok(())
}

/// Gives an input another shape.
fn reshape(input: &mut pb::ValueInfoProto, shape: &[usize]) -> Result<(), Error> {
    let name = &input.name;
    let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_mut().and_then(|t| t.value.as_mut()) else {
        return Err(Error::Model(format!("input `{name}` is no tensor")));
    };
    let declared = tensor.shape.as_ref().map(|s| s.dim.len());
    if let Some(rank) = declared.filter(|&rank| rank != shape.len()) {
        return Err(Error::Model(format!(
            "input `{name}` has {rank} dimensions in the file; {} are given: {shape:?}",
            shape.len()
        )));
    }
    tensor.shape = Some(proto_shape(shape));
    Ok(())
}

fn proto_shape(shape: &[usize]) -> pb::TensorShapeProto {
    let dimension = |&d: &usize| {
        let value = tensor_shape_proto::dimension::Value::DimValue(i64::try_from(d).unwrap_or(i64::MAX));
        tensor_shape_proto::Dimension { value: Some(value), ..Default::default() }
    };
    pb::TensorShapeProto { dim: shape.iter().map(dimension).collect() }
}

/// A tensor inside the graph as an input.
fn inside(graph: &pb::GraphProto, name: &str, shape: Option<&[usize]>) -> Result<pb::ValueInfoProto, Error> {
    if !is_tensor(graph, name) {
        return Err(Error::Model(format!("input `{name}` is no tensor of the graph{}", similar(graph, name))));
    }
    let known = graph.value_info.iter().chain(&graph.output).find(|info| info.name == name);
    let Some(shape) = shape else {
        let missing = || Error::Model(format!("input `{name}` has no shape in the file; give it: {name}=1x..."));
        return known.filter(|info| info.r#type.is_some()).cloned().ok_or_else(missing);
    };
    let value = type_proto::Value::TensorType(type_proto::Tensor {
        elem_type: pb::tensor_proto::DataType::Float as i32,
        shape: None,
    });
    let float = pb::TypeProto { value: Some(value), ..Default::default() };
    let mut info = pb::ValueInfoProto { name: name.into(), r#type: Some(float), ..Default::default() };
    if let Some(kind) = known.and_then(|known| known.r#type.clone()) {
        info.r#type = Some(kind);
    }
    reshape(&mut info, shape)?;
    Ok(info)
}

/// Every name that a node makes, and of every input.
fn tensors(graph: &pb::GraphProto) -> impl Iterator<Item = &str> {
    let made = graph.node.iter().flat_map(|node| &node.output);
    let given = graph.input.iter().map(|input| &input.name);
    made.chain(given).map(String::as_str).filter(|name| !name.is_empty())
}

fn is_tensor(graph: &pb::GraphProto, name: &str) -> bool {
    tensors(graph).any(|other| other == name)
}

/// "; similar: a, b": names of tensors that begin or end as this one does.
pub fn similar(graph: &pb::GraphProto, name: &str) -> String {
    let alike = |a: &mut dyn Iterator<Item = char>, b: &mut dyn Iterator<Item = char>| {
        a.zip(b).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count()
    };
    let score = |other: &str| {
        let ends =
            alike(&mut name.chars(), &mut other.chars()) + alike(&mut name.chars().rev(), &mut other.chars().rev());
        let within = other.contains(name) || 2 * other.len() >= name.len() && name.contains(other);
        if within { usize::MAX - other.len().abs_diff(name.len()) } else { ends }
    };
    let mut scored: Vec<(usize, &str)> = tensors(graph).map(|other| (score(other), other)).collect();
    scored.retain(|&(score, _)| 2 * score.min(usize::MAX / 2) >= name.chars().count().max(2));
    // Stable: of equals those that are made first.
    scored.sort_by_key(|&(score, _)| std::cmp::Reverse(score));
    scored.dedup_by_key(|&mut (_, name)| name);
    let names: Vec<String> = scored.iter().take(SHOWN).map(|(_, name)| format!("`{name}`")).collect();
    if names.is_empty() { String::new() } else { format!("; similar: {}", names.join(", ")) }
}

/// All names that a node reads, those inside its own graphs too.
fn reads(node: &pb::NodeProto, found: &mut HashSet<String>) {
    found.extend(node.input.iter().filter(|name| !name.is_empty()).cloned());
    let graphs = node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs));
    for inner in graphs {
        inner.node.iter().for_each(|node| reads(node, found));
        found.extend(inner.output.iter().map(|output| output.name.clone()));
    }
}

/// Nodes, inputs and constants that the outputs need, between them and the inputs. Nodes are in execution order.
fn keep_needed(graph: &mut pb::GraphProto) {
    let constants: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let begins: HashSet<String> =
        graph.input.iter().map(|input| input.name.clone()).filter(|name| !constants.contains(name.as_str())).collect();
    let mut needed: HashSet<String> = graph.output.iter().map(|output| output.name.clone()).collect();
    let mut kept = vec![];
    for mut node in graph.node.drain(..).rev() {
        if node.output.iter().any(|name| needed.contains(name) && !begins.contains(name)) {
            // What the network is given, nobody makes.
            node.output.iter_mut().filter(|name| begins.contains(*name)).for_each(String::clear);
            reads(&node, &mut needed);
            kept.push(node);
        }
    }
    kept.reverse();
    graph.node = kept;
    graph.input.retain(|input| needed.contains(&input.name));
    graph.initializer.retain(|t| needed.contains(&t.name));
    graph.sparse_initializer.retain(|t| t.values.as_ref().is_some_and(|v| needed.contains(&v.name)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_shapes() {
        let shape = |d: &[usize]| Some(d.to_vec());
        assert_eq!(parse_inputs("x=1x3x8x8").unwrap(), [("x".into(), shape(&[1, 3, 8, 8]))]);
        assert_eq!(parse_inputs("a=b=5, c:0").unwrap(), [("a=b".into(), shape(&[5])), ("c:0".into(), None)]);
        for bad in ["", "x=", "x=1x", "x=0", "x=1x-3", "x=1*3", "x=70000", "x,,y", "x=1x1x1x1x1x1x1x1x1"] {
            assert!(parse_inputs(bad).unwrap_err().contains("allowed: NAME=1x3"), "{bad}");
        }
        assert_eq!(parse_outputs("a, b").unwrap(), ["a", "b"]);
        assert!(parse_outputs("a,").is_err());
    }
}
