//! The network in integers: every scale, weight, multiplier and limit decided; only places in memory are missing.

use std::fmt;

use escarp_media::visible;
use escarp_runtime::{Dtype, Meaning};

use crate::{
    scale::{Scale, Width},
    shape::{Shape, TensorId, show_shape},
};

mod op;

pub use crate::rows::Rows;
pub use op::{InPlace, Operand, Placed, QOp, State};

/// A tensor of integers.
#[derive(Clone, Debug)]
pub struct QTensor {
    /// The ONNX name.
    pub name: String,
    /// `[height, width, channels]`
    pub shape: Shape,
    /// What its numbers mean.
    pub scale: Scale,
    /// How wide they are.
    pub dtype: Dtype,
}

/// A node.
#[derive(Debug)]
pub struct QNode {
    /// The ONNX name.
    pub name: String,
    /// The ONNX operators it stands for.
    pub operator: String,
    /// What it does.
    pub op: Box<dyn QOp>,
    /// What it reads.
    pub inputs: Vec<TensorId>,
    /// What it makes.
    pub output: TensorId,
}

/// What the network gives.
#[derive(Clone, Debug)]
pub struct QOutput {
    /// The tensor.
    pub tensor: TensorId,
    /// What ONNX calls it.
    pub name: String,
    /// What its values are.
    pub meaning: Meaning,
}

/// The network in integers. Tensor ids are those of the folded graph.
#[derive(Debug)]
pub struct QGraph {
    /// Every tensor; those that folding left unused have no node.
    pub tensors: Vec<QTensor>,
    /// Every node, in execution order.
    pub nodes: Vec<QNode>,
    /// What it is given; at least one.
    pub inputs: Vec<TensorId>,
    /// What it gives; at least one.
    pub outputs: Vec<QOutput>,
    /// Time steps of a decision.
    pub steps: usize,
    /// Multiply-accumulates of one step.
    pub macs: u64,
}

impl fmt::Display for QGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tensor = |id: TensorId| {
            let QTensor { shape, scale: Scale { scale, zero_point, width }, .. } = &self.tensors[id];
            match width {
                Width::Int8 => format!("%{id} {} scale {scale:.6} zero {zero_point}", show_shape(*shape)),
                Width::Int16(most) => format!("%{id} {} scale {scale:.3e} int16 to {most}", show_shape(*shape)),
            }
        };
        writeln!(f, "qgraph: {} nodes, {} steps a decision, {} MAC a step", self.nodes.len(), self.steps, self.macs)?;
        for &id in &self.inputs {
            writeln!(f, "  {:<44} input `{}`", tensor(id), visible(&self.tensors[id].name))?;
        }
        for n in &self.nodes {
            let inputs: Vec<String> = n.inputs.iter().map(|i| format!("%{i}")).collect();
            writeln!(
                f,
                "  {:<44} {} ({}) {}  `{}`",
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
