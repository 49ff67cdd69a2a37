//! The network in integers: every scale, weight, multiplier and limit decided; only places in memory are missing.

use std::fmt;

use escarp_media::visible;

use crate::{
    graph::OutputKind,
    ops::conv::Geometry,
    scale::Scale,
    shape::{Shape, TensorId, show_shape},
};

/// An int8 tensor.
#[derive(Clone, Debug)]
pub struct QTensor {
    /// The ONNX name.
    pub name: String,
    /// `[height, width, channels]`
    pub shape: Shape,
    /// What its numbers mean.
    pub scale: Scale,
}

/// Rows of int8 weights and what turns their sums into the next numbers.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// `[row][tap][channel]`, in [-127, 127]
    pub weight: Vec<i8>,
    /// `[row]`, with `-zero_point * sum(w)` folded in
    pub bias: Vec<i32>,
    /// `[row]`, in [2^30, 2^31)
    pub multiplier: Vec<i32>,
    /// `[row]`
    pub shift: Vec<u8>,
    /// `[row]` real value of one unit of weight
    pub scale: Vec<f32>,
}

/// A convolution.
#[derive(Clone, Debug)]
pub struct QConv {
    /// Windows.
    pub geometry: Geometry,
    /// Input channels.
    pub inputs: usize,
    /// One row for each output channel.
    pub rows: Rows,
    /// Lower clamp.
    pub min: i8,
    /// Upper clamp.
    pub max: i8,
    /// The second input lies in the output's bytes: its scale over the output's, Q12.
    pub residual: Option<i32>,
}

/// A sum.
#[derive(Clone, Copy, Debug)]
pub struct QAdd {
    /// Operand scales over the output's, Q12.
    pub multipliers: [i32; 2],
    /// Lower clamp.
    pub min: i8,
    /// Upper clamp.
    pub max: i8,
}

/// A pool.
#[derive(Clone, Copy, Debug)]
pub struct QPool {
    /// Windows.
    pub geometry: Geometry,
    /// Mean: multiplier and shift, 1/count in them. `None`: maximum.
    pub average: Option<(i32, u8)>,
    /// Lower clamp.
    pub min: i8,
    /// Upper clamp.
    pub max: i8,
}

/// A step of a GRU. Its output is the int8 copy of the state; the state itself (Q0.15) appears in the plan.
#[derive(Clone, Debug)]
pub struct QGru {
    /// Features of the input.
    pub inputs: usize,
    /// Features of the state.
    pub hidden: usize,
    /// The reset gate acts after the product.
    pub reset_after: bool,
    /// W x + b to Q3.12: rows z, r, h.
    pub input: Rows,
    /// U h + b to Q3.12: rows z, r, h.
    pub state: Rows,
}

/// An operation in integers.
#[derive(Clone, Debug)]
pub enum QOp {
    /// Convolution or matrix product.
    Conv(QConv),
    /// Sum.
    Add(QAdd),
    /// Pool.
    Pool(QPool),
    /// Recurrent step.
    Gru(QGru),
}

/// A node.
#[derive(Clone, Debug)]
pub struct QNode {
    /// The ONNX name.
    pub name: String,
    /// The ONNX operators it stands for.
    pub operator: String,
    /// What it does.
    pub op: QOp,
    /// What it reads; for a residual convolution the second is overwritten.
    pub inputs: Vec<TensorId>,
    /// What it makes.
    pub output: TensorId,
}

/// The network in integers. Tensor ids are those of the folded graph.
#[derive(Clone, Debug)]
pub struct QGraph {
    /// Every tensor; those that folding left unused have no node.
    pub tensors: Vec<QTensor>,
    /// Every node, in execution order.
    pub nodes: Vec<QNode>,
    /// The input.
    pub input: TensorId,
    /// The output.
    pub output: TensorId,
    /// Time steps of a decision.
    pub steps: usize,
    /// Meaning of the output.
    pub output_kind: OutputKind,
    /// Multiply-accumulates of one step.
    pub macs: u64,
}

impl fmt::Display for QGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tensor = |id: TensorId| {
            let QTensor { shape, scale: Scale { scale, zero_point }, .. } = &self.tensors[id];
            format!("%{id} {} scale {scale:.6} zero {zero_point}", show_shape(*shape))
        };
        writeln!(f, "qgraph: {} nodes, {} steps a decision, {} MAC a step", self.nodes.len(), self.steps, self.macs)?;
        writeln!(f, "  {:<44} input `{}`", tensor(self.input), visible(&self.tensors[self.input].name))?;
        for n in &self.nodes {
            let inputs: Vec<String> = n.inputs.iter().map(|i| format!("%{i}")).collect();
            let detail = match &n.op {
                QOp::Conv(c) => {
                    let residual = c.residual.map_or(String::new(), |m| format!(" residual * {m} / 4096"));
                    format!("{} clamp {}..{}{residual}", c.geometry, c.min, c.max)
                }
                QOp::Add(a) => format!("* {:?} / 4096 clamp {}..{}", a.multipliers, a.min, a.max),
                QOp::Pool(p) => format!("{} {:?} clamp {}..{}", p.geometry, p.average, p.min, p.max),
                QOp::Gru(g) => format!("hidden {} reset_after {}", g.hidden, g.reset_after),
            };
            writeln!(
                f,
                "  {:<44} {} ({}) {detail}  `{}`",
                tensor(n.output),
                n.operator,
                inputs.join(", "),
                visible(&n.name)
            )?;
        }
        writeln!(f, "  output %{} {:?}", self.output, self.output_kind)
    }
}
