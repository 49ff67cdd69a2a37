//! The network as we quantize it: small, typed, shaped, in execution order. No ONNX form survives here except names.

use std::{fmt, path::PathBuf};

use escarp_media::visible;

pub use escarp_runtime::Meaning;

use crate::{
    constant::Constant,
    history::{Change, Kind, Origin},
    metadata::Metadata,
    scale::Scale,
    shape::{Shape, TensorId, show_shape},
    substitute::Substitute,
    view::View,
};

mod op;

pub use op::{Channels, Cost, Factors, Map, Op, Pointwise, Products, ScaleRule, Widths};

/// A tensor: the input, or what one node makes.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// The ONNX name.
    pub name: String,
    /// `[height, width, channels]`.
    pub shape: Shape,
    /// The scale that the file itself gives its values: they are rounded to it in the float network too.
    pub grid: Option<Scale>,
    /// It is to be int16.
    pub wide: bool,
    /// The weights that make it are to have two terms, if it is int16: what int8 leaves of each becomes an int8 weight of a second step.
    pub fine: bool,
}

impl Tensor {
    /// Rounds values to the scale that the file gives them, if it does.
    pub fn round(&self, values: &mut [f32]) {
        if let Some(grid) = self.grid {
            values.iter_mut().for_each(|v| *v = grid.dequantize(grid.quantize(*v)));
        }
    }
}

/// One operation.
#[derive(Debug)]
pub struct Node {
    /// The ONNX name.
    pub name: String,
    /// The ONNX operators it stands for, joined by `+`.
    pub operator: String,
    /// What it does, with its weights.
    pub op: Box<dyn Op>,
    /// What it reads.
    pub inputs: Vec<TensorId>,
    /// What it makes.
    pub output: TensorId,
    /// The nodes of the file that it stands for, places in [`Graph::origins`]; none for a copy that makes an output.
    pub origins: Vec<usize>,
}

/// What is given to the network.
#[derive(Clone, Debug)]
pub struct Input {
    /// Ours; its name is ONNX's.
    pub tensor: TensorId,
    /// How ONNX arranges it: every element once.
    pub view: View,
}

/// What the network gives.
#[derive(Clone, Debug)]
pub struct Output {
    /// Ours.
    pub tensor: TensorId,
    /// What ONNX calls it, before what was taken off its end.
    pub name: String,
    /// What its values are.
    pub meaning: Meaning,
    /// What the file does to them at its end, and this graph does not: the meaning that was taken off.
    pub taken: Meaning,
    /// How ONNX arranges it: every element once.
    pub view: View,
}

/// A network.
#[derive(Debug)]
pub struct Graph {
    /// Every tensor.
    pub tensors: Vec<Tensor>,
    /// Every node, in execution order.
    pub nodes: Vec<Node>,
    /// What it is given, in ONNX's order; at least one.
    pub inputs: Vec<Input>,
    /// What it gives, in ONNX's order; at least one.
    pub outputs: Vec<Output>,
    /// Outputs that no sample changes, by name; only where they were asked for ([`crate::Options::any_batch`]).
    pub constants: Vec<(String, Constant)>,
    /// Time steps of a decision; 1 for a feed-forward network. The nodes are one step.
    pub steps: usize,
    /// What our trainer wrote beside the graph, if it did.
    pub metadata: Option<Metadata>,
    /// The file's nodes, as many as were read.
    pub origins: Vec<Origin>,
    /// What became of them.
    pub changes: Vec<Change>,
    /// What was read differently from what the file says: lines for the report.
    pub notes: Vec<String>,
    /// What may have been read wrongly: warnings for the report.
    pub doubts: Vec<String>,
    /// Where the files lie that belong to the model's own, if that was said.
    pub folder: Option<PathBuf>,
    /// What the float oracle computes in place of nodes that it does not know as ONNX means them.
    pub substitutes: Vec<Substitute>,
}

impl Graph {
    /// Shape of a tensor.
    pub fn shape(&self, id: TensorId) -> Shape {
        self.tensors[id].shape
    }

    /// Elements of a tensor.
    pub fn len(&self, id: TensorId) -> usize {
        self.shape(id).iter().product()
    }

    /// The first input: the one that a front end makes.
    pub fn input(&self) -> TensorId {
        self.inputs[0].tensor
    }

    /// The first output: the one that decides between classes.
    pub fn output(&self) -> TensorId {
        self.outputs[0].tensor
    }

    /// Is that tensor given?
    pub fn is_input(&self, id: TensorId) -> bool {
        self.inputs.iter().any(|i| i.tensor == id)
    }

    /// Is that tensor a result?
    pub fn is_output(&self, id: TensorId) -> bool {
        self.outputs.iter().any(|o| o.tensor == id)
    }

    /// Does it decide between classes: one output, a vector?
    pub fn decides(&self) -> bool {
        let [h, w, _] = self.shape(self.output());
        self.outputs.len() == 1 && h * w == 1
    }

    /// Values of one step of a sample: those of all inputs, one after the other.
    pub fn step_len(&self) -> usize {
        self.inputs.iter().map(|i| self.len(i.tensor)).sum()
    }

    /// Values of one sample: all steps.
    pub fn sample_len(&self) -> usize {
        self.steps * self.step_len()
    }

    fn costs(&self) -> impl Iterator<Item = Cost> {
        self.nodes.iter().map(|n| n.op.cost(self.shape(n.output)))
    }

    /// Notes which of the file's nodes are done in several steps, those apart that only bring their inputs into order.
    pub(crate) fn tell_several(&mut self) {
        let mut steps = vec![0usize; self.origins.len()];
        self.nodes.iter().flat_map(|node| &node.origins).for_each(|&origin| steps[origin] += 1);
        for change in self.changes.iter().filter(|change| change.kind == Kind::Copied) {
            change.nodes.iter().for_each(|&origin| steps[origin] = steps[origin].saturating_sub(1));
        }
        for (origin, steps) in steps.into_iter().enumerate().filter(|&(_, steps)| steps > 1) {
            let detail = format!("{steps} steps");
            self.changes.push(Change { kind: Kind::Several, nodes: vec![origin], into: None, detail });
        }
    }

    /// Multiply-accumulates of one step.
    pub fn macs(&self) -> u64 {
        self.costs().map(|c| c.macs).sum()
    }

    /// Float parameters.
    pub fn parameters(&self) -> usize {
        self.costs().map(|c| c.parameters).sum()
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tensor = |id: TensorId| format!("%{id} {}", show_shape(self.shape(id)));
        writeln!(f, "graph: {} nodes, {} steps a decision", self.nodes.len(), self.steps)?;
        for Input { tensor: id, view } in &self.inputs {
            let name = visible(&self.tensors[*id].name);
            writeln!(f, "  {:<16} input `{name}` {:?}", tensor(*id), view.lengths())?;
        }
        for n in &self.nodes {
            let inputs: Vec<String> = n.inputs.iter().map(|i| format!("%{i}")).collect();
            writeln!(
                f,
                "  {:<16} {} ({}) {}  `{}`",
                tensor(n.output),
                n.operator,
                inputs.join(", "),
                n.op.detail(),
                visible(&n.name)
            )?;
        }
        self.outputs.iter().try_for_each(|o| writeln!(f, "  output %{} {:?}", o.tensor, o.meaning))
    }
}
