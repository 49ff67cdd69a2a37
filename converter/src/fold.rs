//! Graph -> Graph: what needs no step of its own disappears into its producer.
//!
//! A scale and shift after a convolution is that convolution with other weights; limits are the last thing a producer
//! does; a sum whose other operand dies there is written in place by the convolution that made its first.

use crate::{
    error::Error,
    graph::{Graph, Node},
    ops::{Op, conv::Conv},
    shape::TensorId,
};

/// Folds scales, limits and residual sums, and drops nodes that nothing reads. One pass: what a node can be folded into stands
/// before it, and is done with.
///
/// # Errors
/// [`Error::Attribute`] where a scale or limit has no producer that could take it.
pub fn fold(mut graph: Graph) -> Result<Graph, Error> {
    drop_unread(&mut graph);
    let mut folding = Folding::new(graph);
    for at in 0..folding.nodes.len() {
        if !folding.joins_producer(at)? {
            folding.residual(at);
        }
    }
    Ok(folding.conclude())
}

/// Nodes are in execution order, so one pass from the end finds everything that the output needs.
fn drop_unread(graph: &mut Graph) {
    let mut needed = vec![false; graph.tensors.len()];
    needed[graph.output] = true;
    let mut kept = Vec::with_capacity(graph.nodes.len());
    for node in graph.nodes.drain(..).rev() {
        if needed[node.output] {
            node.inputs.iter().for_each(|&i| needed[i] = true);
            kept.push(node);
        }
    }
    kept.reverse();
    graph.nodes = kept;
}

/// A graph while its nodes disappear into others. Who makes and who reads each tensor is kept at hand, so that no node has to
/// look at all others.
struct Folding {
    graph: Graph,
    /// Those that are left, in their old places.
    nodes: Vec<Option<Node>>,
    /// Which node makes each tensor; `None` for the input.
    maker: Vec<Option<usize>>,
    /// Which nodes read each tensor, ascending; twice where one reads it twice.
    readers: Vec<Vec<usize>>,
}

impl Folding {
    fn new(mut graph: Graph) -> Folding {
        let nodes: Vec<Option<Node>> = graph.nodes.drain(..).map(Some).collect();
        let mut maker = vec![None; graph.tensors.len()];
        let mut readers = vec![vec![]; graph.tensors.len()];
        for (at, node) in nodes.iter().enumerate() {
            let Some(node) = node else { continue };
            maker[node.output] = Some(at);
            node.inputs.iter().for_each(|&input| readers[input].push(at));
        }
        Folding { graph, nodes, maker, readers }
    }

    fn conclude(mut self) -> Graph {
        self.graph.nodes = self.nodes.into_iter().flatten().collect();
        self.graph
    }

    /// The place of the producer of `input`, if nothing else reads that.
    fn sole_producer(&self, input: TensorId) -> Option<usize> {
        let alone = self.readers[input].len() == 1 && input != self.graph.output;
        self.maker[input].filter(|_| alone)
    }

    fn op(&mut self, at: usize) -> Option<&mut Op> {
        self.nodes.get_mut(at)?.as_mut().map(|node| &mut node.op)
    }

    /// Folds a scale or limits into what makes their input.
    fn joins_producer(&mut self, at: usize) -> Result<bool, Error> {
        let Some(Some(node)) = self.nodes.get(at) else { return Ok(false) };
        let supported = match &node.op {
            Op::Affine(_) => "directly after a Conv, Gemm or MatMul that nothing else reads, before its activation",
            Op::Clamp(_) => "after a Conv, Gemm, MatMul, Add or pool that nothing else reads",
            Op::Conv(_) | Op::Add(_) | Op::Pool(_) | Op::Gru(_) => return Ok(false),
        };
        let refuse = || Error::Attribute {
            node: node.name.clone(),
            operator: node.operator.clone(),
            attribute: "place".into(),
            value: "after something that cannot take it".into(),
            supported: supported.into(),
        };
        // Only scales and limits are copied, never weights.
        let op = node.op.clone();
        let producer = node.inputs.first().and_then(|&x| self.sole_producer(x)).ok_or_else(refuse)?;
        let error = refuse();
        match (op, self.op(producer)) {
            (Op::Affine(affine), Some(Op::Conv(conv))) if unlimited(conv) => {
                let depth = conv.depth();
                for (c, (scale, shift)) in affine.scale.iter().zip(&affine.shift).enumerate() {
                    conv.weight[c * depth..][..depth].iter_mut().for_each(|w| *w *= scale);
                    conv.bias[c] = conv.bias[c] * scale + shift;
                }
            }
            (Op::Clamp(clamp), Some(op)) => {
                let (min, max) = match op {
                    Op::Conv(c) => (&mut c.min, &mut c.max),
                    Op::Add(a) => (&mut a.min, &mut a.max),
                    Op::Pool(p) => (&mut p.min, &mut p.max),
                    Op::Affine(_) | Op::Clamp(_) | Op::Gru(_) => return Err(error),
                };
                // clamp(clamp(x, a, b), c, d) is one clamp whose limits went through the second.
                *min = min.clamp(clamp.min, clamp.max);
                *max = max.clamp(clamp.min, clamp.max);
            }
            _ => return Err(error),
        }
        self.merge(producer, at);
        Ok(true)
    }

    /// The node at `from` is now done by the one at `into`.
    fn merge(&mut self, into: usize, from: usize) {
        let Some(node) = self.nodes[from].take() else { return };
        for &input in &node.inputs {
            // The reader is near the end of the list: what stands behind it has not been folded yet.
            if let Some(at) = self.readers[input].iter().rposition(|&reader| reader == from) {
                self.readers[input].remove(at);
            }
        }
        self.maker[node.output] = Some(into);
        if let Some(producer) = &mut self.nodes[into] {
            producer.output = node.output;
            producer.operator.push('+');
            producer.operator.push_str(&node.operator);
        }
    }

    /// Writes a sum in place: the convolution that makes one operand adds the other, which must lie ready and die here.
    fn residual(&mut self, at: usize) {
        let Some(Some(Node { op: Op::Add(add), inputs, .. })) = self.nodes.get(at) else { return };
        let (add, &[a, b]) = (*add, &inputs[..]) else { return };
        let Some((conv, other)) = self.takes_residual(at, a, b).max(self.takes_residual(at, b, a)) else { return };
        if let Some(Op::Conv(c)) = self.op(conv) {
            c.residual = true;
            (c.min, c.max) = (add.min, add.max);
        }
        if let Some(node) = &mut self.nodes[conv] {
            node.inputs.push(other);
        }
        self.merge(conv, at);
        let place = self.readers[other].partition_point(|&reader| reader < conv);
        self.readers[other].insert(place, conv);
    }

    /// The convolution that makes `x` and can add `other` to it, for the sum at `at`.
    fn takes_residual(&self, at: usize, x: TensorId, other: TensorId) -> Option<(usize, TensorId)> {
        let place = self.sole_producer(x)?;
        let conv = self.nodes[place].as_ref()?;
        let fits = matches!(&conv.op, Op::Conv(c) if unlimited(c));
        // The convolution overwrites `other` while it still reads its input.
        let apart = x != other && !conv.inputs.contains(&other);
        let ready = self.maker[other].is_some_and(|maker| maker < place);
        let last = self.readers[other].iter().rev().find(|&&reader| reader != at);
        let dies = other != self.graph.output && last.is_none_or(|&reader| reader < place);
        (fits && apart && ready && dies).then_some((place, other))
    }
}

fn unlimited(conv: &Conv) -> bool {
    conv.min == f32::NEG_INFINITY && conv.max == f32::INFINITY && !conv.residual
}
