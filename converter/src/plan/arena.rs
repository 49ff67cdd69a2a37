//! Which buffer lives when, and where. Tensors alive together never overlap.
//!
//! Placement is greedy by size: the largest buffer first, each in the lowest gap that is free for as long as it lives
//! (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, section 4); where that needs more than lives
//! together, other orders are tried.

use escarp_runtime::format::ARENA_ALIGN;

use crate::qgraph::{InPlace, QGraph};

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

/// A length as the arena knows it.
pub(super) fn align(len: u64) -> u64 {
    len.next_multiple_of(ARENA_ALIGN as u64)
}

/// One buffer for each tensor, tensors written in place joined, with the steps during which they are in use.
pub(super) fn lifetimes(graph: &QGraph) -> Vec<Buffer> {
    let mut home: Vec<Option<usize>> = vec![None; graph.tensors.len()];
    let mut buffers: Vec<Buffer> = vec![];
    // The last node that reads each tensor.
    let mut last_read: Vec<Option<usize>> = vec![None; graph.tensors.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        node.inputs.iter().for_each(|&input| last_read[input] = Some(i));
    }
    let is_output = |id: usize| graph.outputs.iter().any(|o| o.tensor == id);
    let len = |id: usize| {
        let [h, w, c] = graph.tensors[id].shape;
        align((h * w * c.next_multiple_of(8)) as u64 * graph.tensors[id].dtype.size())
    };
    let fresh = |id: usize, first: usize, buffers: &mut Vec<Buffer>, home: &mut Vec<Option<usize>>| {
        home[id] = Some(buffers.len());
        buffers.push(Buffer { tensors: vec![id], len: len(id), first, last: first, offset: 0 });
    };
    graph.inputs.iter().for_each(|&id| fresh(id, 0, &mut buffers, &mut home));
    for (i, node) in graph.nodes.iter().enumerate() {
        for &input in &node.inputs {
            if let Some(b) = home[input] {
                buffers[b].last = i;
            }
        }
        // What is wider does not fit, and what is narrower is not moved together.
        let alike = |id: usize| graph.tensors[id].dtype == graph.tensors[node.output].dtype;
        let dies = |id: usize| !is_output(id) && last_read[id].is_none_or(|last| last <= i);
        let alone = |id: usize| node.inputs.iter().filter(|&&other| other == id).count() == 1;
        let in_place = match node.op.in_place() {
            InPlace::No => None,
            InPlace::Always(input) => node.inputs.get(input).copied(),
            InPlace::IfItDies(input) => {
                node.inputs.get(input).copied().filter(|&id| alone(id) && dies(id) && alike(id))
            }
        };
        match in_place.and_then(|id| home[id]) {
            Some(b) => {
                home[node.output] = Some(b);
                buffers[b].tensors.push(node.output);
            }
            None => fresh(node.output, i, &mut buffers, &mut home),
        }
    }
    for b in graph.outputs.iter().filter_map(|o| home[o.tensor]) {
        buffers[b].last = graph.nodes.len();
    }
    buffers
}

/// The most bytes in use during one step: what comes and what goes, step by step.
pub(super) fn alive_at_most(buffers: &[Buffer]) -> u64 {
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

/// Places buffers one after the other, each in the lowest gap; gives the bytes that they take.
///
/// Most networks have few shelves, and each answers by bisection; with as many shelves as buffers (all alive at once, or of as
/// many sizes) the time is that of n^2 / 2 short looks.
pub(super) fn place_in(buffers: &mut [Buffer], order: &[usize]) -> u64 {
    let mut arena = 0;
    // Ascending by start, then by end.
    let mut shelves: Vec<Shelf> = vec![];
    for &i in order {
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
        arena = arena.max(end);
        match shelves.binary_search_by_key(&(offset, end), |s| (s.start, s.end)) {
            Ok(at) => {
                let uses = &mut shelves[at].uses;
                uses.insert(uses.partition_point(|&u| u < life), life);
            }
            Err(at) => shelves.insert(at, Shelf { start: offset, end, uses: vec![life] }),
        }
    }
    arena
}
