//! QGraph -> [`Plan`]: which step writes where. States lie at the start of the arena and live for ever; scratch lies at its
//! end. Constants are placed too, in the order of the steps; then every step is what it will be.

use std::fmt;

use escarp_media::visible;
use escarp_runtime::{
    Tensor, TensorId,
    format::ARENA_MAX,
    ops::{Step, Totals},
};

use crate::{
    blocks::Constants,
    error::Error,
    qgraph::{Operand, Placed, QGraph},
};

mod arena;
mod records;
mod search;

pub use arena::Buffer;
use arena::{align, alive_at_most, lifetimes};
use records::{Kind, Records};
use search::place;

/// Everything that a file holds, but what it says besides the network.
#[derive(Debug)]
pub struct Plan {
    /// What is planned.
    pub graph: QGraph,
    /// Tensor records of the file.
    pub tensors: Vec<Tensor>,
    /// At least one step for each node, in order.
    pub steps: Vec<Step>,
    /// The node of each step.
    pub nodes: Vec<usize>,
    /// What the steps read in place.
    pub constants: Constants,
    /// The inputs' records.
    pub inputs: Vec<TensorId>,
    /// The outputs' records.
    pub outputs: Vec<TensorId>,
    /// Activations, placed.
    pub buffers: Vec<Buffer>,
    /// Bytes of states, at the start.
    pub state_len: u64,
    /// Multiply-accumulates, work and scratch, which lies at the end.
    pub totals: Totals,
    /// Bytes of arena, all in all.
    pub arena_len: u64,
    /// The most bytes of activations alive during one step: no placement needs less.
    pub lower_bound: u64,
}

/// Plans a quantized graph.
///
/// # Errors
/// [`Error::Pack`] if the arena, the constants or the number of tensors exceed what the format can say.
pub fn plan(graph: QGraph) -> Result<Plan, Error> {
    let mut buffers = lifetimes(&graph);
    let lower_bound = alive_at_most(&buffers);
    place(&mut buffers);
    let activations = buffers.iter().map(|b| b.offset + b.len).max().unwrap_or(0);

    // States first: the records of the file refer to final offsets.
    let mut records = Records::default();
    let (mut states, mut state_len) = (Vec::with_capacity(graph.nodes.len()), 0);
    for node in &graph.nodes {
        let mut ids = vec![];
        for state in node.op.states() {
            let name = format!("{} ({})", node.name, state.what);
            let kind = Kind { scale: state.scale, dtype: state.dtype, state: true };
            ids.push(records.add(&name, state.shape, state_len, &kind)?);
            state_len += records.0.last().map_or(0, |t| align(t.bytes()));
        }
        states.push(ids);
    }
    let mut operands: Vec<Option<Operand>> = vec![None; graph.tensors.len()];
    for buffer in &buffers {
        for &id in &buffer.tensors {
            let t = &graph.tensors[id];
            let kind = Kind { scale: t.scale, dtype: t.dtype, state: false };
            let record = records.add(&t.name, t.shape, state_len + buffer.offset, &kind)?;
            operands[id] = Some(Operand { id: record, shape: t.shape, scale: t.scale });
        }
    }
    let operand =
        |id: usize| operands[id].ok_or_else(|| Error::Pack(format!("`{}` is made by no step", graph.tensors[id].name)));
    let mut constants = Constants::default();
    let (mut steps, mut nodes) = (vec![], vec![]);
    for (at, (node, states)) in graph.nodes.iter().zip(&states).enumerate() {
        let inputs = node.inputs.iter().map(|&id| operand(id)).collect::<Result<Vec<_>, _>>()?;
        let offsets = node.op.constants()?.iter().map(|b| constants.place(b)).collect::<Result<Vec<_>, _>>()?;
        let placed =
            Placed { node: &node.name, inputs: &inputs, output: operand(node.output)?, states, constants: &offsets };
        steps.extend(node.op.records(&placed)?);
        nodes.resize(steps.len(), at);
    }
    let ids =
        |ids: &mut dyn Iterator<Item = usize>| ids.map(|id| Ok(operand(id)?.id)).collect::<Result<Vec<_>, Error>>();
    let inputs = ids(&mut graph.inputs.iter().copied())?;
    let outputs = ids(&mut graph.outputs.iter().map(|o| o.tensor))?;
    let tensors = records.0;
    let ports = inputs.iter().chain(&outputs).map(|&id| tensors[usize::from(id)]);
    let totals = steps.iter().fold(Totals::new(ports), |sum, step| sum.and(step, tensors.as_slice()));
    let arena_len = state_len + activations + totals.scratch;
    if arena_len > u64::from(ARENA_MAX) {
        return Err(Error::Pack(format!("an arena of {arena_len} bytes; allowed: {ARENA_MAX}")));
    }
    Ok(Plan {
        graph,
        tensors,
        steps,
        nodes,
        constants,
        inputs,
        outputs,
        buffers,
        state_len,
        totals,
        arena_len,
        lower_bound,
    })
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "plan: arena {} = states {} + activations {} + scratch {}; lower bound of the activations {}",
            self.arena_len,
            self.state_len,
            self.arena_len - self.state_len - self.totals.scratch,
            self.totals.scratch,
            self.lower_bound
        )?;
        for b in &self.buffers {
            let names: Vec<String> = b.tensors.iter().map(|t| format!("%{t}")).collect();
            let (start, end) = (self.state_len + b.offset, self.state_len + b.offset + b.len);
            writeln!(f, "  [{start:>8}..{end:>8}] steps {:>3}..={:<3} {}", b.first, b.last, names.join(" -> "))?;
        }
        for (i, (step, &node)) in self.steps.iter().zip(&self.nodes).enumerate() {
            let node = &self.graph.nodes[node];
            writeln!(f, "  {i:>3} {:<6} -> %{} `{}`", step.name(), node.output, visible(&node.name))?;
        }
        Ok(())
    }
}
