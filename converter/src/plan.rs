//! QGraph -> [`Plan`]: which step writes where. Tensors alive together never overlap; states lie at the start of the arena
//! and live for ever; scratch lies at its end.
//!
//! Placement is greedy by size: the largest buffer first, each in the lowest gap that is free for as long as it lives.
//! (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, section 4.)

use std::fmt;

use escarp_media::visible;
use escarp_runtime::{
    Dtype, Tensor,
    format::ARENA_ALIGN,
    ops::{AddStep, ConvStep, GruStep, LinearStep, PoolStep, Step, TensorId},
};

use crate::{
    error::Error,
    qgraph::{QGraph, QNode, QOp},
    scale::Scale,
};

/// A range of the arena and when it is in use. Tensors written in place of others share one.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// What it holds, in order: graph tensors.
    pub tensors: Vec<usize>,
    /// Bytes, a multiple of [`ARENA_ALIGN`].
    pub len: u64,
    /// First step during which it holds something.
    pub first: usize,
    /// Last step during which it is needed.
    pub last: usize,
    /// Where it starts, counted from the end of the states.
    pub offset: u64,
}

/// Everything but bytes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is planned.
    pub graph: QGraph,
    /// Tensor records of the file.
    pub tensors: Vec<Tensor>,
    /// Names of the records.
    pub names: Vec<String>,
    /// One step for each node, in order; places in the constants are open (0).
    pub steps: Vec<Step>,
    /// The input's record.
    pub input: TensorId,
    /// The output's record.
    pub output: TensorId,
    /// Activations, placed.
    pub buffers: Vec<Buffer>,
    /// Bytes of states, at the start.
    pub state_len: u64,
    /// Bytes of scratch, at the end.
    pub scratch_len: u64,
    /// Bytes of arena, all in all.
    pub arena_len: u64,
    /// The most bytes of activations alive during one step: no placement needs less.
    pub lower_bound: u64,
}

fn align(len: u64) -> u64 {
    len.next_multiple_of(ARENA_ALIGN as u64)
}

/// Plans a quantized graph.
///
/// # Errors
/// [`Error::Pack`] if the arena or the number of tensors exceeds what the format can say.
pub fn plan(graph: QGraph) -> Result<Plan, Error> {
    let mut buffers = lifetimes(&graph);
    let lower_bound = alive_at_most(&buffers);
    place(&mut buffers);
    let activations = buffers.iter().map(|b| b.offset + b.len).max().unwrap_or(0);

    // States first: the records of the file refer to final offsets.
    let mut state_len = 0;
    let mut tensors = vec![];
    let mut names = vec![];
    let mut states = vec![None; graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        if let QOp::Gru(gru) = &node.op {
            states[i] = Some(tensors.len());
            let unit = Scale { scale: 1.0 / 32768.0, zero_point: 0 };
            let state = record(&node.name, [1, 1, gru.hidden], unit, state_len, Dtype::I16)?;
            state_len = align(state_len + state.padded_elements() * 2);
            tensors.push(Tensor { state: true, ..state });
            names.push(format!("{} (state)", node.name));
        }
    }
    let mut records = vec![None; graph.tensors.len()];
    for buffer in &buffers {
        for &id in &buffer.tensors {
            let t = &graph.tensors[id];
            records[id] = Some(tensors.len());
            tensors.push(record(&t.name, t.shape, t.scale, state_len + buffer.offset, Dtype::I8)?);
            names.push(t.name.clone());
        }
    }
    let number = |index: Option<usize>| {
        let index = index.and_then(|i| TensorId::try_from(i).ok());
        index.ok_or_else(|| Error::Pack(format!("{} tensors; allowed: 65535", tensors.len())))
    };
    let mut steps = Vec::with_capacity(graph.nodes.len());
    for (i, node) in graph.nodes.iter().enumerate() {
        let inputs = node.inputs.iter().map(|&id| number(records[id])).collect::<Result<Vec<_>, _>>()?;
        let output = number(records[node.output])?;
        let state = states[i].map_or(Ok(0), |s| number(Some(s)))?;
        steps.push(step(&graph, node, &inputs, output, state)?);
    }
    let scratch = |s: &Step| s.scratch_len(tensors.as_slice()).unwrap_or(0);
    let scratch_len = steps.iter().map(scratch).max().unwrap_or(0);
    let arena_len = state_len + activations + scratch_len;
    if arena_len > u64::from(escarp_runtime::format::ARENA_MAX) {
        return Err(Error::Pack(format!(
            "an arena of {arena_len} bytes; allowed: {}",
            escarp_runtime::format::ARENA_MAX
        )));
    }
    let (input, output) = (number(records[graph.input])?, number(records[graph.output])?);
    Ok(Plan { graph, tensors, names, steps, input, output, buffers, state_len, scratch_len, arena_len, lower_bound })
}

/// A record at an offset.
///
/// # Errors
/// [`Error::Pack`] if a side or the offset does not fit, which whoever read the graph should have said before.
fn record(name: &str, shape: [usize; 3], scale: Scale, offset: u64, dtype: Dtype) -> Result<Tensor, Error> {
    let wrong = || Error::Pack(format!("`{name}`: {shape:?} at {offset} does not fit a record"));
    let [height, width, channels] = shape.map(|d| u16::try_from(d).ok());
    Ok(Tensor {
        offset: u32::try_from(offset).map_err(|_| wrong())?,
        height: height.ok_or_else(wrong)?,
        width: width.ok_or_else(wrong)?,
        channels: channels.ok_or_else(wrong)?,
        scale: scale.scale,
        zero_point: scale.zero_point,
        dtype,
        state: false,
    })
}

/// Two numbers as a record holds them.
///
/// # Errors
/// [`Error::Pack`] if one does not fit, which the operator's own file should have said before.
fn pair<T: TryFrom<usize>>(node: &QNode, what: &str, numbers: [usize; 2]) -> Result<[T; 2], Error> {
    let [a, b] = numbers.map(|n| T::try_from(n).ok());
    let wrong = || Error::Pack(format!("`{}`: {what} {numbers:?} does not fit a record", node.name));
    Ok([a.ok_or_else(wrong)?, b.ok_or_else(wrong)?])
}

/// The runtime's step for a node.
fn step(graph: &QGraph, node: &QNode, inputs: &[TensorId], output: TensorId, state: TensorId) -> Result<Step, Error> {
    let input = inputs[0];
    Ok(match &node.op {
        QOp::Conv(conv) => {
            let g = conv.geometry;
            let [h, w, _] = graph.tensors[node.inputs[0]].shape;
            let whole = g.kernel == [h, w] && g.pad == [0, 0] && graph.tensors[node.output].shape[..2] == [1, 1];
            if whole && conv.residual.is_none() {
                let (min, max) = (conv.min, conv.max);
                return Ok(Step::Linear(LinearStep { input, output, weights: 0, params: 0, min, max }));
            }
            let operand = |m| (graph.tensors[node.inputs[1]].scale.zero_point, m);
            Step::Conv(ConvStep {
                input,
                output,
                kernel: pair(node, "kernel", g.kernel)?,
                stride: pair(node, "stride", g.stride)?,
                dilation: pair(node, "dilation", g.dilation)?,
                pad: pair(node, "padding", g.pad)?,
                weights: 0,
                params: 0,
                min: conv.min,
                max: conv.max,
                residual: conv.residual.map(operand),
            })
        }
        QOp::Add(add) => Step::Add(AddStep {
            a: inputs[0],
            b: inputs[1],
            output,
            multipliers: add.multipliers,
            min: add.min,
            max: add.max,
        }),
        QOp::Pool(pool) => {
            let (g, [h, w, _]) = (pool.geometry, graph.tensors[node.inputs[0]].shape);
            // What a larger window has beyond the map is outside it wherever the window stands: no maximum sees it.
            let kernel = [g.kernel[0].min(h + g.pad[0]), g.kernel[1].min(w + g.pad[1])];
            Step::Pool(PoolStep {
                input,
                output,
                kernel: pair(node, "window", kernel)?,
                stride: pair(node, "stride", g.stride)?,
                pad: pair(node, "padding", g.pad)?,
                average: pool.average,
                min: pool.min,
                max: pool.max,
            })
        }
        QOp::Gru(gru) => Step::Gru(GruStep {
            input,
            output,
            state,
            hidden: pair(node, "state", [gru.hidden; 2])?[0],
            reset_after: gru.reset_after,
            input_weights: 0,
            input_params: 0,
            state_weights: 0,
            state_params: 0,
        }),
    })
}

/// One buffer for each tensor, tensors written in place joined, with the steps during which they are in use.
fn lifetimes(graph: &QGraph) -> Vec<Buffer> {
    let mut home: Vec<Option<usize>> = vec![None; graph.tensors.len()];
    let mut buffers: Vec<Buffer> = vec![];
    // The last node that reads each tensor.
    let mut last_read: Vec<Option<usize>> = vec![None; graph.tensors.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        node.inputs.iter().for_each(|&input| last_read[input] = Some(i));
    }
    let len = |id: usize| {
        let [h, w, c] = graph.tensors[id].shape;
        align((h * w * c.next_multiple_of(8)) as u64)
    };
    let fresh = |id: usize, first: usize, buffers: &mut Vec<Buffer>, home: &mut Vec<Option<usize>>| {
        home[id] = Some(buffers.len());
        buffers.push(Buffer { tensors: vec![id], len: len(id), first, last: first, offset: 0 });
    };
    fresh(graph.input, 0, &mut buffers, &mut home);
    for (i, node) in graph.nodes.iter().enumerate() {
        for &input in &node.inputs {
            if let Some(b) = home[input] {
                buffers[b].last = i;
            }
        }
        // A residual operand always becomes the output; the first operand of an Add does if it dies here.
        let dies = |id: usize| id != graph.output && last_read[id].is_none_or(|last| last <= i);
        let in_place = match &node.op {
            QOp::Conv(c) if c.residual.is_some() => Some(node.inputs[1]),
            QOp::Add(_) if node.inputs[0] != node.inputs[1] && dies(node.inputs[0]) => Some(node.inputs[0]),
            _ => None,
        };
        match in_place.and_then(|id| home[id]) {
            Some(b) => {
                home[node.output] = Some(b);
                buffers[b].tensors.push(node.output);
            }
            None => fresh(node.output, i, &mut buffers, &mut home),
        }
    }
    if let Some(b) = home[graph.output] {
        buffers[b].last = graph.nodes.len();
    }
    buffers
}

/// The most bytes in use during one step: what comes and what goes, step by step.
fn alive_at_most(buffers: &[Buffer]) -> u64 {
    let end = buffers.iter().map(|b| b.last).max().unwrap_or(0);
    let mut changes = vec![(0u64, 0u64); end + 2];
    for b in buffers {
        changes[b.first].0 += b.len;
        changes[b.last + 1].1 += b.len;
    }
    let (mut alive, mut most) = (0, 0);
    for (comes, goes) in changes {
        alive = alive + comes - goes;
        most = most.max(alive);
    }
    most
}

/// Buffers that lie at the same addresses, one after the other in time.
struct Shelf {
    start: u64,
    end: u64,
    /// First and last step of each, ascending.
    uses: Vec<(usize, usize)>,
}

impl Shelf {
    /// Is any buffer here in use during these steps? Of those that begin before the last of them, the last one ends last.
    fn meets(&self, first: usize, last: usize) -> bool {
        let before = self.uses.partition_point(|u| u.0 <= last);
        before > 0 && self.uses[before - 1].1 >= first
    }
}

/// Gives every buffer an offset such that those in use at the same time share no byte.
///
/// Most networks have few shelves, and each answers by bisection; with as many shelves as buffers (all alive at once, or of as
/// many sizes) the time is that of n^2 / 2 short looks.
pub fn place(buffers: &mut [Buffer]) {
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(buffers[i].len), buffers[i].first));
    // Ascending by start, then by end.
    let mut shelves: Vec<Shelf> = vec![];
    for i in order {
        let b = &mut buffers[i];
        let mut offset = 0;
        for shelf in &shelves {
            if offset + b.len <= shelf.start {
                break;
            }
            if shelf.end > offset && shelf.meets(b.first, b.last) {
                offset = shelf.end;
            }
        }
        b.offset = offset;
        let (end, life) = (offset + b.len, (b.first, b.last));
        match shelves.binary_search_by_key(&(offset, end), |s| (s.start, s.end)) {
            Ok(at) => {
                let uses = &mut shelves[at].uses;
                uses.insert(uses.partition_point(|&u| u < life), life);
            }
            Err(at) => shelves.insert(at, Shelf { start: offset, end, uses: vec![life] }),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "plan: arena {} = states {} + activations {} + scratch {}; lower bound of the activations {}",
            self.arena_len,
            self.state_len,
            self.arena_len - self.state_len - self.scratch_len,
            self.scratch_len,
            self.lower_bound
        )?;
        for b in &self.buffers {
            let names: Vec<String> = b.tensors.iter().map(|t| format!("%{t}")).collect();
            let (start, end) = (self.state_len + b.offset, self.state_len + b.offset + b.len);
            writeln!(f, "  [{start:>8}..{end:>8}] steps {:>3}..={:<3} {}", b.first, b.last, names.join(" -> "))?;
        }
        for (i, (step, node)) in self.steps.iter().zip(&self.graph.nodes).enumerate() {
            writeln!(f, "  {i:>3} {:<6} -> %{} `{}`", step.name(), node.output, visible(&node.name))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn buffers_alive_together_never_overlap(
            spans in prop::collection::vec((1u64..64, 0usize..40, 0usize..12), 1..60)
        ) {
            let mut buffers: Vec<Buffer> = spans
                .iter()
                .map(|&(len, first, life)| Buffer { tensors: vec![], len: len * 16, first, last: first + life, offset: 0 })
                .collect();
            place(&mut buffers);
            for (i, a) in buffers.iter().enumerate() {
                prop_assert_eq!(a.offset % 16, 0);
                for b in &buffers[..i] {
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart = a.offset + a.len <= b.offset || b.offset + b.len <= a.offset;
                    prop_assert!(!together || apart, "{a:?} {b:?}");
                }
            }
            let arena = buffers.iter().map(|b| b.offset + b.len).max().unwrap();
            prop_assert!(arena >= alive_at_most(&buffers));
        }
    }

    #[test]
    fn a_chain_needs_two_neighbours_at_a_time() {
        let lens = [160, 320, 64, 320];
        let mut buffers: Vec<Buffer> = lens
            .iter()
            .enumerate()
            .map(|(i, &len)| Buffer { tensors: vec![], len, first: i.saturating_sub(1), last: i, offset: 0 })
            .collect();
        place(&mut buffers);
        let arena = buffers.iter().map(|b| b.offset + b.len).max().unwrap();
        assert_eq!(arena, alive_at_most(&buffers));
    }
}
