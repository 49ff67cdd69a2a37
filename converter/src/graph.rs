//! The network as we quantize it: small, typed, shaped, in execution order. No ONNX form survives here except names.

use std::fmt;

use escarp_media::visible;

pub use escarp_runtime::Meaning;

use crate::{
    metadata::Metadata,
    shape::{Shape, TensorId, show_shape},
};

mod op;

pub use op::{Cost, Map, Op, ScaleRule};

/// A tensor: the input, or what one node makes.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// The ONNX name.
    pub name: String,
    /// `[height, width, channels]`.
    pub shape: Shape,
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
}

/// How the ONNX input is arranged; ours is always `[height, width, channel]` for each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputLayout {
    /// `[1, n]`
    Flat,
    /// `[1, channel, height, width]`
    Nchw,
    /// `[1, height, width, channel]`
    Nhwc,
    /// `[1, time, feature]`
    BatchTime,
    /// `[time, 1, feature]`
    TimeBatch,
}

impl InputLayout {
    /// The ONNX dimensions of an input of our shape, over that many steps.
    pub fn onnx_shape(self, [h, w, c]: Shape, steps: usize) -> Vec<usize> {
        match self {
            InputLayout::Flat => vec![1, c],
            InputLayout::Nchw => vec![1, c, h, w],
            InputLayout::Nhwc => vec![1, h, w, c],
            InputLayout::BatchTime => vec![1, steps, c],
            InputLayout::TimeBatch => vec![steps, 1, c],
        }
    }
}

/// A network.
#[derive(Debug)]
pub struct Graph {
    /// Every tensor.
    pub tensors: Vec<Tensor>,
    /// Every node, in execution order.
    pub nodes: Vec<Node>,
    /// The one input.
    pub input: TensorId,
    /// The one output.
    pub output: TensorId,
    /// How ONNX arranges the input.
    pub input_layout: InputLayout,
    /// Time steps of a decision; 1 for a feed-forward network. The nodes are one step.
    pub steps: usize,
    /// What ONNX calls the output, before what was taken off its end.
    pub output_name: String,
    /// Meaning of the output.
    pub meaning: Meaning,
    /// What our trainer wrote beside the graph, if it did.
    pub metadata: Option<Metadata>,
    /// What was read differently from what the file says: lines for the report.
    pub notes: Vec<String>,
    /// What may have been read wrongly: warnings for the report.
    pub doubts: Vec<String>,
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

    /// Values of one sample: all steps.
    pub fn sample_len(&self) -> usize {
        self.steps * self.len(self.input)
    }

    fn costs(&self) -> impl Iterator<Item = Cost> {
        self.nodes.iter().map(|n| n.op.cost(self.shape(n.output)))
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
        writeln!(
            f,
            "graph: {} nodes, {} steps a decision, {:?} input",
            self.nodes.len(),
            self.steps,
            self.input_layout
        )?;
        writeln!(f, "  {:<16} input `{}`", tensor(self.input), visible(&self.tensors[self.input].name))?;
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
        writeln!(f, "  output %{} {:?}", self.output, self.meaning)
    }
}
