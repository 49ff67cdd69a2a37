//! What operators read their nodes with: the values so far, and the graph that grows.

use std::collections::{HashMap, HashSet};

use ndarray::ArrayD;

use crate::{
    budget::{Budget, VALUES},
    constant::Constant,
    error::Error,
    graph::{self, Cost, Graph, Input, Meaning, Op, Output, ScaleRule},
    onnx::Node,
    scale::Scale,
    shape::{Shape, TensorId},
    substitute::Substitute,
    view::View,
};

mod journal;

/// How the nodes of one ONNX operator are read.
#[derive(Clone, Copy)]
pub struct Import {
    /// Reads a node: adds what it does to the graph and names what it makes.
    pub read: fn(&mut Importer, &Node) -> Result<(), Error>,
    /// What a list of the supported operators says behind the name; empty for nothing.
    pub remark: &'static str,
    /// What a node that reads the network's input tells of how that is arranged.
    pub hint: fn(&Node) -> Hint,
}

impl Import {
    /// Without remark or hint.
    pub const fn new(read: fn(&mut Importer, &Node) -> Result<(), Error>) -> Import {
        Import { read, remark: "", hint: |_| Hint::Nothing }
    }

    /// With a remark.
    #[must_use]
    pub const fn remark(self, remark: &'static str) -> Import {
        Import { remark, ..self }
    }

    /// With a hint.
    #[must_use]
    pub const fn hint(self, hint: fn(&Node) -> Hint) -> Import {
        Import { hint, ..self }
    }
}

/// What a node tells of the network's input that it reads. ONNX does not say which dimension is which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Nothing: a map has its channels first.
    Nothing,
    /// It looks at no value: the next reader is asked.
    NoReader,
    /// It treats all values alike: who reads its result is asked.
    Through,
    /// A map, or a row of features, has its channels first.
    ChannelsFirst,
    /// A map has its channels last.
    ChannelsLast,
    /// A map has its channels last if there is one channel.
    ChannelsLastIfOne,
    /// Three dimensions are a sequence; from any node of the network.
    Sequence {
        /// Time is the first dimension, not the second.
        time_first: bool,
    },
}

/// What a value that is integers in ONNX is here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Integers {
    /// These numbers, as they are.
    Numbers {
        /// Of uint8, not int8.
        unsigned: bool,
    },
    /// These numbers too, of int32: sums.
    Sums,
    /// The reals that they mean by that scale.
    Scaled {
        /// Of ours: uint8 numbers are 128 above int8's.
        scale: Scale,
        /// Of uint8, not int8.
        unsigned: bool,
    },
    /// The reals that they mean by a scale that follows from the data.
    Dynamic,
}

enum Value {
    Constant(Constant),
    View(View),
    /// Made by something that could not be read, or from such.
    Unknown,
}

/// A nonlinearity that is taken off if the network ends in it.
struct Ending {
    before: TensorId,
    meaning: Meaning,
    operator: String,
}

/// The state of the one pass over the nodes.
pub struct Importer<'a> {
    graph: Graph,
    values: HashMap<String, Value>,
    endings: HashMap<TensorId, Ending>,
    meanings: HashMap<TensorId, Meaning>,
    unsigned: HashSet<String>,
    /// Values that are integers in ONNX.
    integers: HashMap<String, Integers>,
    /// Values of all tensors so far, as [`VALUES`] counts them.
    held: u64,
    budget: &'a Budget,
    /// How many nodes there were before the one that is being read; `None` after the last.
    reading: Option<usize>,
}

/// Values of a tensor as [`VALUES`] counts them. With all lengths at most 65535 the product is below 2^64.
fn size([h, w, c]: Shape, steps: usize) -> u64 {
    [h, w, c.next_multiple_of(8), steps].into_iter().map(|n| n as u64).product()
}

impl<'a> Importer<'a> {
    /// For a graph with its inputs and no node.
    ///
    /// # Errors
    /// [`Error::Model`] if the inputs alone hold more than [`VALUES`] values.
    pub(crate) fn new(graph: Graph, constants: HashMap<String, Constant>, budget: &'a Budget) -> Result<Self, Error> {
        let mut values: HashMap<String, Value> =
            constants.into_iter().map(|(name, constant)| (name, Value::Constant(constant))).collect();
        let mut held = 0u64;
        for Input { tensor, view } in &graph.inputs {
            let name = graph.tensors[*tensor].name.clone();
            held = held.saturating_add(size(view.shape, graph.steps));
            if held > VALUES {
                return Err(Error::Model(format!(
                    "input `{name}`: with it inputs hold {held} values; allowed: {VALUES}"
                )));
            }
            values.insert(name, Value::View(view.clone()));
        }
        let (endings, meanings) = (HashMap::new(), HashMap::new());
        Ok(Importer {
            graph,
            values,
            endings,
            meanings,
            unsigned: HashSet::new(),
            integers: HashMap::new(),
            held,
            budget,
            reading: None,
        })
    }

    /// The inputs of a node if all are constants; one that is left out keeps its place, empty.
    pub(crate) fn all_constant(&self, node: &Node) -> Option<Vec<Option<&Constant>>> {
        let constant = |name: &String| match self.values.get(name.as_str()) {
            _ if name.is_empty() => Some(None),
            Some(Value::Constant(c)) => Some(Some(c)),
            _ => None,
        };
        node.inputs().iter().map(constant).collect()
    }

    /// Does a node read anything that could not be read?
    pub(crate) fn reads_unknown(&self, node: &Node) -> bool {
        node.inputs().iter().any(|name| self.is_unknown(name))
    }

    /// Could a value not be read?
    pub(crate) fn is_unknown(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some(Value::Unknown))
    }

    /// A value that could not be read: nothing that follows from it is judged.
    pub(crate) fn forget(&mut self, name: &str) {
        if !name.is_empty() {
            self.values.insert(name.into(), Value::Unknown);
        }
    }

    /// Is that value a tensor that nodes have made?
    pub(crate) fn is_made(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some(Value::View(view)) if !self.graph.is_input(view.tensor))
    }

    /// Is there no room left, so that whatever follows would be refused too?
    pub(crate) fn is_full(&self) -> bool {
        self.held > VALUES || self.budget.is_exhausted()
    }

    /// ONNX's dimensions of input `index`, be it a tensor or a constant.
    ///
    /// # Errors
    /// If the input is absent or unknown.
    pub fn lengths(&self, node: &Node, index: usize) -> Result<Vec<usize>, Error> {
        let name = node.input(index).ok_or_else(|| node.wrong(format!("input {index} is missing")))?;
        match self.values.get(name) {
            Some(Value::Constant(c)) => Ok(c.shape().to_vec()),
            Some(Value::View(v)) => Ok(v.lengths()),
            Some(Value::Unknown) | None => Err(node.wrong(format!("input `{name}` is made by no earlier node"))),
        }
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
            Some(Value::Unknown) | None => Err(node.wrong(format!("input `{name}` is made by no earlier node"))),
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
            Some(Value::Unknown) | None => Err(node.wrong(format!("input `{name}` is made by no earlier node"))),
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

    /// The optional bias at input `index`: one value for each channel, or zeros.
    ///
    /// # Errors
    /// As [`Importer::vector`].
    pub fn bias(&self, node: &Node, index: usize, channels: usize) -> Result<Vec<f32>, Error> {
        match node.input(index) {
            None => Ok(vec![0.0; channels]),
            Some(_) => self.vector(node, index, channels),
        }
    }

    /// Adds a node and the tensor it makes.
    ///
    /// # Errors
    /// If the tensor's sides leave 1..=65535, the network would hold more than [`VALUES`] values, or there is no memory left for
    /// the operator's weights in the file.
    pub fn emit(
        &mut self,
        node: &Node,
        op: impl Op + 'static,
        inputs: Vec<TensorId>,
        shape: Shape,
    ) -> Result<TensorId, Error> {
        if shape.iter().any(|d| !(1..=usize::from(u16::MAX)).contains(d)) {
            return Err(
                node.wrong(format!("an output of {shape:?} (height, width, channels); allowed: 1..=65535 each"))
            );
        }
        // Each node makes one tensor; those before are inputs.
        let maker = |id: &TensorId| self.graph.nodes.get(id.checked_sub(self.graph.inputs.len())?);
        if let Some(numbers) = inputs.iter().filter_map(maker).find(|n| n.op.scale_rule() == ScaleRule::Number) {
            let what = format!("whole numbers that `{}` makes", numbers.name);
            return Err(node.unsupported("input", what, "values; the numbers of classes are an output (--outputs)"));
        }
        self.held = self.held.saturating_add(size(shape, self.graph.steps));
        if self.held > VALUES {
            let held = self.held;
            return Err(node.wrong(format!(
                "with an output of {shape:?} (height, width, channels) the network holds {held} values; allowed: {VALUES}"
            )));
        }
        let Cost { gathered, packed, .. } = op.cost(shape);
        if gathered > VALUES {
            return Err(node.wrong(format!("its windows hold {gathered} values together; allowed: {VALUES}")));
        }
        self.take(node, "its weights, packed,", packed)?;
        let output = self.graph.tensors.len();
        self.graph.tensors.push(graph::Tensor {
            name: node.output(0).unwrap_or_default().into(),
            shape,
            grid: None,
            wide: false,
            fine: false,
        });
        self.graph.nodes.push(graph::Node {
            name: node.name().into(),
            operator: node.operator().into(),
            op: Box::new(op),
            inputs,
            output,
            origins: self.current().into_iter().collect(),
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

    /// Names output `index` of a node, a constant.
    ///
    /// # Errors
    /// As [`Importer::define`].
    pub fn define_constant(&mut self, node: &Node, index: usize, constant: Constant) -> Result<(), Error> {
        self.name(node, index, Value::Constant(constant))
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

    /// Takes memory from the budget for what an operator makes besides its weights.
    ///
    /// # Errors
    /// If there is not as much left.
    pub fn charge(&self, node: &Node, what: &str, bytes: usize) -> Result<(), Error> {
        self.take(node, what, bytes)
    }

    /// Takes memory from the budget.
    fn take(&self, node: &Node, what: &str, bytes: usize) -> Result<(), Error> {
        self.budget.take(bytes as u64).map_err(|e| node.wrong(format!("{what} {e}")))
    }

    /// The tensor `made` by a node is what the network ends in if nothing comes after it, views apart: then that node need not be
    /// executed, as it does not change the order of the scores, and `before` holds values of that meaning.
    pub fn may_end(&mut self, node: &Node, made: TensorId, before: TensorId, meaning: Meaning) {
        self.endings.insert(made, Ending { before, meaning, operator: node.operator().into() });
    }

    /// The values of `tensor` are of that meaning, should it be the output.
    pub fn means(&mut self, tensor: TensorId, meaning: Meaning) {
        self.meanings.insert(tensor, meaning);
    }

    /// The float oracle computes that in place of the node.
    pub fn substitute(&mut self, substitute: Substitute) {
        self.graph.substitutes.push(substitute);
    }

    /// The account of the import.
    pub(crate) fn budget(&self) -> &'a Budget {
        self.budget
    }

    /// Names of constants whose numbers are uint8.
    pub(crate) fn tell_unsigned(&mut self, names: HashSet<String>) {
        self.unsigned = names;
    }

    /// Is input `index` of a node a constant of uint8?
    pub fn is_unsigned(&self, node: &Node, index: usize) -> bool {
        node.input(index).is_some_and(|name| self.unsigned.contains(name))
    }

    /// What the network's output of that name is, as far as nodes have been read.
    ///
    /// # Errors
    /// If no node makes it, or it is constant.
    pub(crate) fn output(&self, name: &str) -> Result<View, Error> {
        if self.integers.get(name) == Some(&Integers::Dynamic) {
            let what = "numbers quantized by a scale of each sample's own; supported: a constant scale, or real values (end it before \
                 they are quantized, --outputs)";
            return Err(Error::Model(format!("output `{name}` is made of {what}")));
        }
        match self.values.get(name) {
            Some(Value::View(view)) => Ok(view.clone()),
            Some(Value::Constant(_)) => Err(Error::Model(format!("output `{name}` is a constant"))),
            Some(Value::Unknown) | None => Err(Error::Model(format!("output `{name}` is made by no node"))),
        }
    }

    /// Is that output a constant? Then it is put aside as one.
    pub(crate) fn is_constant_output(&mut self, name: &str) -> bool {
        let Some(Value::Constant(constant)) = self.values.get(name).filter(|_| !self.integers.contains_key(name))
        else {
            return false;
        };
        self.graph.constants.push((name.into(), constant.clone()));
        true
    }

    /// Is that tensor an input of the network?
    pub(crate) fn is_input(&self, tensor: TensorId) -> bool {
        self.graph.is_input(tensor)
    }

    /// Output `index` of a node is made of integers in ONNX.
    pub fn stands_for_integers(&mut self, node: &Node, index: usize, integers: Integers) {
        self.integers.extend(node.output(index).map(|name| (name.to_owned(), integers)));
    }

    /// What input `index` of a node is, if it is made of integers in ONNX.
    pub fn integers(&self, node: &Node, index: usize) -> Option<Integers> {
        self.integers_of(node.input(index)?)
    }

    /// What a value is, if it is made of integers in ONNX.
    pub(crate) fn integers_of(&self, name: &str) -> Option<Integers> {
        self.integers.get(name).copied()
    }

    /// The network is given numbers of int8 or uint8 by that name.
    pub(crate) fn is_given_numbers(&mut self, name: &str, unsigned: bool) {
        self.integers.insert(name.into(), Integers::Numbers { unsigned });
    }

    /// The tensor that a nonlinearity at the end was applied to, if that does not have to be executed: where the one output
    /// decides between classes.
    pub(crate) fn end(&mut self, tensor: TensorId) -> Option<(TensorId, Meaning)> {
        let Ending { before, meaning, operator } = self.endings.remove(&tensor)?;
        self.tell_end(tensor);
        let note = format!("the final {operator} is not executed: it does not change the order of the scores");
        self.graph.notes.push(note);
        Some((before, meaning))
    }

    /// What the values of a tensor are.
    pub(crate) fn meaning(&self, tensor: TensorId) -> Meaning {
        let ended = self.endings.get(&tensor).map(|_| Meaning::Probabilities);
        ended.or(self.meanings.get(&tensor).copied()).unwrap_or(Meaning::Plain)
    }

    /// The graph, when all nodes have been read.
    pub(crate) fn conclude(mut self, outputs: Vec<Output>) -> Graph {
        self.graph.outputs = outputs;
        self.graph
    }
}
