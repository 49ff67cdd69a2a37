//! An ONNX graph under construction: nodes in order, tensors by name.

use escarp_converter::proto::{self, Dimension};
pub use escarp_converter::proto::{int, ints, string};
use tract_onnx::{pb, pb::tensor_proto::DataType};

use crate::engine::scalar::Scalar;

/// Why a net cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Not one name for each output.
    #[error("export: {labels} labels for {classes} outputs; give none, one for each, or two for one that is binary")]
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

/// A tensor of the graph under construction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Its name in the graph.
    pub name: String,
    /// How many axes it has, the batch included.
    pub rank: usize,
    /// Whether the frames come before the batch, as in ONNX's recurrent operators.
    pub time_major: bool,
}

/// Nodes and constant tensors so far.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: Vec<pb::NodeProto>,
    tensors: Vec<pb::TensorProto>,
    ill: Option<String>,
}

impl Graph {
    /// A constant tensor of floats.
    pub fn tensor(&mut self, name: &str, shape: &[usize], values: Vec<f32>) -> Value {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        if self.ill.is_none() && values.iter().any(|v| !v.is_finite()) {
            self.ill = Some(name.to_owned());
        }
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.raw(name, shape, DataType::Float, bytes)
    }

    /// A constant vector of indices.
    pub fn indices(&mut self, name: &str, values: &[i64]) -> Value {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.raw(name, &[values.len()], DataType::Int64, bytes)
    }

    fn raw(&mut self, name: &str, shape: &[usize], kind: DataType, raw_data: Vec<u8>) -> Value {
        self.tensors.push(proto::tensor(name, shape, kind, raw_data));
        Value { name: name.to_owned(), rank: shape.len(), time_major: false }
    }

    /// A node whose one output bears its name, and has rank and layout of its first input; `Flatten` and `Squeeze`
    /// and their like say what they change on the result.
    pub fn node(&mut self, operator: &str, name: &str, inputs: &[Value], attributes: Vec<pb::AttributeProto>) -> Value {
        self.push(operator, name, inputs, &[name], attributes);
        let rank = if operator == "Flatten" { 2 } else { inputs[0].rank };
        Value { name: name.to_owned(), rank, time_major: inputs[0].time_major }
    }

    /// An ONNX recurrent operator on a time-major `inputs[0]` and its weights: every state, `[frames, batch, hidden]`
    /// and time-major, or the last, `[batch, hidden]`. Two directions stand side by side, `2 hidden` numbers.
    #[allow(clippy::too_many_arguments)] // Of a graph builder: each is one part of the node.
    pub fn recurrent(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[Value],
        every_step: bool,
        hidden: usize,
        directions: usize,
        mut attributes: Vec<pb::AttributeProto>,
    ) -> Value {
        attributes.push(int("hidden_size", hidden));
        if directions == 2 {
            attributes.push(string("direction", "bidirectional"));
        }
        let states = format!("{name}.{}", if every_step { "all" } else { "last" });
        let outputs: &[&str] = if every_step { &[&states] } else { &["", &states] };
        self.push(operator, name, inputs, outputs, attributes);
        let states = Value { name: states, rank: 4 - usize::from(!every_step), time_major: every_step };
        // The axis of directions: second among all states, first in the last state.
        if directions == 2 {
            let (order, shape): (&[usize], &[i64]) = match every_step {
                true => (&[0, 2, 1, 3], &[0, 0, 2 * hidden as i64]),
                false => (&[1, 0, 2], &[0, 2 * hidden as i64]),
            };
            let states = self.node("Transpose", &format!("{name}.beside"), &[states], vec![ints("perm", order)]);
            let shape = self.indices(&format!("{name}.shape"), shape);
            let states = self.node("Reshape", &format!("{name}.state"), &[states, shape], vec![]);
            return Value { rank: states.rank - 1, ..states };
        }
        let axis = self.indices(&format!("{name}.direction"), &[i64::from(every_step)]);
        let squeezed = self.node("Squeeze", &format!("{name}.state"), &[states, axis], vec![]);
        Value { rank: squeezed.rank - 1, ..squeezed }
    }

    /// The same sequences with the frames before the batch.
    pub fn time_major(&mut self, x: &Value) -> Value {
        if x.time_major { x.clone() } else { self.transposed(x, "time_major", true) }
    }

    /// The same values with the batch first.
    pub fn batch_first(&mut self, x: &Value) -> Value {
        if x.time_major { self.transposed(x, "batch_first", false) } else { x.clone() }
    }

    fn transposed(&mut self, x: &Value, layout: &str, time_major: bool) -> Value {
        let name = format!("{}.{layout}", x.name);
        // A value that several layers take is turned once: names are given once.
        if self.nodes.iter().all(|node| node.name != name) {
            self.push("Transpose", &name, std::slice::from_ref(x), &[&name], vec![ints("perm", &[1, 0, 2])]);
        }
        Value { name, rank: x.rank, time_major }
    }

    /// A node with outputs of their own names; an empty name is an output nobody reads.
    fn push(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[Value],
        outputs: &[&str],
        attribute: Vec<pb::AttributeProto>,
    ) {
        self.nodes.push(pb::NodeProto {
            op_type: operator.to_owned(),
            name: name.to_owned(),
            input: inputs.iter().map(|v| v.name.clone()).collect(),
            output: outputs.iter().map(|&n| n.to_owned()).collect(),
            attribute,
            ..Default::default()
        });
    }

    /// The tensor whose numbers lie in another order or shape in the tensor `name`; itself, if it is no such view.
    pub(crate) fn origin<'a>(&'a self, name: &'a str) -> &'a str {
        let makes = |n: &&pb::NodeProto| n.output.iter().any(|output| output == name);
        match self.nodes.iter().find(makes) {
            Some(n) if matches!(n.op_type.as_str(), "Flatten" | "Reshape" | "Squeeze" | "Transpose") => {
                self.origin(&n.input[0])
            }
            _ => name,
        }
    }

    /// Calls a value of the graph `name` from now on.
    pub(crate) fn rename(&mut self, value: &Value, name: &str) {
        let uses = self.nodes.iter_mut().flat_map(|n| n.input.iter_mut().chain(&mut n.output));
        uses.filter(|used| **used == value.name).for_each(|used| name.clone_into(used));
    }

    /// The whole graph with the output `output`, unless a tensor is not finite.
    ///
    /// # Errors
    /// [`ExportError::NotFinite`] names the tensor.
    pub(crate) fn finish(
        self,
        input: pb::ValueInfoProto,
        output: pb::ValueInfoProto,
    ) -> Result<pb::GraphProto, ExportError> {
        if let Some(tensor) = self.ill {
            return Err(ExportError::NotFinite { tensor });
        }
        Ok(pb::GraphProto {
            name: "escarp".into(),
            node: self.nodes,
            initializer: self.tensors,
            input: vec![input],
            output: vec![output],
            ..Default::default()
        })
    }
}

/// Weights in the precision of the file.
pub fn floats<T: Scalar>(values: &[T]) -> Vec<f32> {
    values.iter().map(|v| v.wide() as f32).collect()
}

/// Columns `columns` of a row-major matrix of `width` columns, one after the other.
pub fn transposed<T: Scalar>(matrix: &[T], width: usize, columns: std::ops::Range<usize>) -> Vec<f32> {
    columns.flat_map(|c| matrix.iter().skip(c).step_by(width).map(|v| v.wide() as f32)).collect()
}

/// An input or output of shape `[batch, rest...]`.
pub(crate) fn value(name: &str, rest: &[usize], elements: DataType) -> pb::ValueInfoProto {
    let dims: Vec<Dimension> =
        std::iter::once(Dimension::Open("batch")).chain(rest.iter().copied().map(Dimension::Of)).collect();
    proto::value(name, &dims, elements)
}

/// An attribute that is one number.
pub fn float(name: &str, value: f64) -> pb::AttributeProto {
    proto::float(name, value as f32)
}
