//! What operators write their ONNX nodes with.
//!
//! In an exported graph every tensor of ours is `[steps, channels, height, width]`: ONNX's order, and the steps of a sequence as a
//! batch. Operators see and make real numbers; whoever walks the graph rounds them.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{self, tensor_proto::DataType};

use crate::{error::Error, proto, rows::Rows, scale::Scale, shape::Shape};

/// A node that is exported.
#[derive(Clone, Copy, Debug)]
pub struct Exported<'a> {
    /// The ONNX name of the node that it was read from.
    pub node: &'a str,
    /// The ONNX operators it stands for.
    pub operator: &'a str,
    /// What it reads.
    pub inputs: &'a [Read<'a>],
    /// `[height, width, channels]` of what it makes.
    pub output: Shape,
    /// Its int8 weights, as [`crate::qgraph::QOp::rows`] lists them; none where its float weights stand.
    pub rows: &'a [(&'static str, &'a Rows)],
    /// Steps of the sequence that it sees, 1 without: of all that it reads if it has a state, of each of these by itself if not.
    pub steps: usize,
    /// It makes as many, not the last alone.
    pub every_step: bool,
}

/// What an exported node reads.
#[derive(Clone, Copy, Debug)]
pub struct Read<'a> {
    /// Name of the value, real numbers.
    pub value: &'a str,
    /// `[height, width, channels]`
    pub shape: Shape,
    /// What it is rounded to.
    pub scale: Scale,
}

impl Exported<'_> {
    /// "this node has no such form because".
    pub fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::Node { node: self.node.into(), operator: self.operator.into(), reason: reason.into() }
    }

    /// Input `index`.
    ///
    /// # Errors
    /// [`Error::Node`] if there is none.
    pub fn input(&self, index: usize) -> Result<Read<'_>, Error> {
        self.inputs.get(index).copied().ok_or_else(|| self.wrong(format!("input {index} is missing")))
    }
}

/// A graph under construction.
#[derive(Debug, Default)]
pub struct Exporter {
    nodes: Vec<pb::NodeProto>,
    tensors: Vec<pb::TensorProto>,
    /// What was given other dimensions: by the name it has now, the one before, and its dimensions then.
    reshaped: HashMap<String, (String, Vec<usize>)>,
    /// How often each name was asked for.
    taken: HashMap<String, usize>,
    /// Lines for whoever wants to know what the file is not.
    notes: Vec<String>,
}

impl Exporter {
    /// Keeps a name for whoever [renames](Exporter::rename) a value to it.
    pub fn reserve(&mut self, name: &str) {
        self.taken.insert(name.into(), 1);
    }

    /// A name that nothing has yet.
    fn unique(&mut self, wanted: &str) -> String {
        loop {
            let count = self.taken.entry(wanted.into()).or_default();
            *count += 1;
            let name = if *count == 1 { return wanted.into() } else { format!("{wanted}.{count}") };
            if !self.taken.contains_key(&name) {
                self.taken.insert(name.clone(), 1);
                return name;
            }
        }
    }

    /// A node of one output, which is named for what it belongs to; gives that name. An empty input is one that is left out.
    pub fn node(
        &mut self,
        operator: &str,
        belongs: &str,
        inputs: &[&str],
        attribute: Vec<pb::AttributeProto>,
    ) -> String {
        self.output(operator, belongs, inputs, attribute, 0)
    }

    /// As [`Exporter::node`], of which output `index` counts, and nobody reads those before it.
    pub fn output(
        &mut self,
        operator: &str,
        belongs: &str,
        inputs: &[&str],
        attribute: Vec<pb::AttributeProto>,
        index: usize,
    ) -> String {
        let name = self.unique(&format!("{belongs}.{operator}"));
        let outputs = std::iter::repeat_n(String::new(), index).chain([name.clone()]);
        self.nodes.push(pb::NodeProto {
            name: name.clone(),
            op_type: operator.into(),
            input: inputs.iter().map(|&i| i.to_owned()).collect(),
            output: outputs.collect(),
            attribute,
            ..Default::default()
        });
        name
    }

    /// A value of dimensions `from` in others, by that operator; what was reshaped before is reshaped once.
    pub fn reshape(&mut self, operator: &str, belongs: &str, value: &str, [from, dims]: [&[usize]; 2]) -> String {
        let (origin, shape) = self.reshaped.get(value).cloned().unwrap_or_else(|| (value.into(), from.to_vec()));
        if shape == dims {
            return origin;
        }
        let lengths: Vec<i64> = dims.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)).collect();
        let lengths = self.ints(&format!("{belongs}.shape"), &[dims.len()], &lengths);
        let name = self.node(operator, belongs, &[&origin, &lengths], vec![]);
        self.reshaped.insert(name.clone(), (origin, shape));
        name
    }

    /// A constant of floats; gives its name, as the others below.
    pub fn floats(&mut self, wanted: &str, dims: &[usize], values: &[f32]) -> String {
        self.raw(wanted, dims, DataType::Float, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// A constant of int8.
    pub fn bytes(&mut self, wanted: &str, dims: &[usize], values: &[i8]) -> String {
        self.raw(wanted, dims, DataType::Int8, values.iter().map(|v| v.cast_unsigned()).collect())
    }

    /// A constant of int16.
    pub fn shorts(&mut self, wanted: &str, dims: &[usize], values: &[i16]) -> String {
        self.raw(wanted, dims, DataType::Int16, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// A constant of int32.
    pub fn words(&mut self, wanted: &str, dims: &[usize], values: &[i32]) -> String {
        self.raw(wanted, dims, DataType::Int32, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// A constant of int64: lengths, axes, indices.
    pub fn ints(&mut self, wanted: &str, dims: &[usize], values: &[i64]) -> String {
        self.raw(wanted, dims, DataType::Int64, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    fn raw(&mut self, wanted: &str, dims: &[usize], kind: DataType, data: Vec<u8>) -> String {
        let name = self.unique(wanted);
        self.tensors.push(proto::tensor(&name, dims, kind, data));
        name
    }

    /// Tells what the file is not.
    pub fn note(&mut self, line: String) {
        if !self.notes.contains(&line) {
            self.notes.push(line);
        }
    }

    /// Calls a value by a reserved name from now on.
    pub fn rename(&mut self, value: &str, name: &str) {
        let uses = self.nodes.iter_mut().flat_map(|n| n.input.iter_mut().chain(&mut n.output));
        let uses = uses.chain(self.reshaped.values_mut().map(|(origin, _)| origin));
        uses.filter(|used| *used == value).for_each(|used| name.clone_into(used));
    }

    /// Nodes, constants and notes; what none of these outputs needs is left out.
    pub fn finish(mut self, outputs: &[&str]) -> (Vec<pb::NodeProto>, Vec<pb::TensorProto>, Vec<String>) {
        let mut needed: HashSet<String> = outputs.iter().map(|&o| o.to_owned()).collect();
        let mut nodes = vec![];
        for node in self.nodes.into_iter().rev() {
            if node.output.iter().any(|made| needed.contains(made)) {
                needed.extend(node.input.iter().cloned());
                nodes.push(node);
            }
        }
        nodes.reverse();
        self.tensors.retain(|t| needed.contains(&t.name));
        (nodes, self.tensors, self.notes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_given_once() {
        let mut to = Exporter::default();
        to.reserve("y");
        assert_eq!(to.unique("y.2"), "y.2");
        assert_eq!([to.unique("y"), to.unique("y"), to.unique("z")], ["y.3", "y.4", "z"]);
    }
}
