//! Graph -> Graph: what needs no step of its own disappears into its producer.
//!
//! A scale and shift after a convolution is that convolution with other weights; limits are the last thing a producer
//! does; a sum whose other operand dies there is written in place by the convolution that made its first.

use crate::{
    error::Error,
    graph::{Graph, Node, TensorId},
    ops::{Op, conv::Conv},
};

/// Folds scales, limits and residual sums, and drops nodes that nothing reads.
///
/// # Errors
/// [`Error::Attribute`] where a scale or limit has no producer that could take it.
pub fn fold(mut graph: Graph) -> Result<Graph, Error> {
    drop_unread(&mut graph);
    let mut at = 0;
    while at < graph.nodes.len() {
        if into_producer(&mut graph, at)? || residual(&mut graph, at) {
            // The nodes moved up; the one that grew may take the next as well.
            at = at.saturating_sub(1);
        } else {
            at += 1;
        }
    }
    Ok(graph)
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

/// The producer of `input`, if nothing else reads it.
fn sole_producer(graph: &Graph, input: TensorId) -> Option<usize> {
    graph.maker(input).filter(|_| graph.readers(input) == 1)
}

fn into_producer(graph: &mut Graph, at: usize) -> Result<bool, Error> {
    let node = &graph.nodes[at];
    let refuse = |node: &Node, supported: &str| Error::Attribute {
        node: node.name.clone(),
        operator: node.operator.clone(),
        attribute: "place".into(),
        value: "after something that cannot take it".into(),
        supported: supported.into(),
    };
    let producer = node.inputs.first().and_then(|&x| sole_producer(graph, x));
    match node.op.clone() {
        Op::Affine(affine) => {
            let after = "directly after a Conv, Gemm or MatMul that nothing else reads, before its activation";
            let producer = producer.ok_or_else(|| refuse(node, after))?;
            let error = refuse(node, after);
            match &mut graph.nodes[producer].op {
                Op::Conv(conv) if unlimited(conv) => {
                    let depth = conv.depth();
                    for (c, (scale, shift)) in affine.scale.iter().zip(&affine.shift).enumerate() {
                        conv.weight[c * depth..][..depth].iter_mut().for_each(|w| *w *= scale);
                        conv.bias[c] = conv.bias[c] * scale + shift;
                    }
                }
                _ => return Err(error),
            }
            merge(graph, producer, at);
            Ok(true)
        }
        Op::Clamp(clamp) => {
            let after = "after a Conv, Gemm, MatMul, Add or pool that nothing else reads";
            let producer = producer.ok_or_else(|| refuse(node, after))?;
            let error = refuse(node, after);
            let (min, max) = match &mut graph.nodes[producer].op {
                Op::Conv(c) => (&mut c.min, &mut c.max),
                Op::Add(a) => (&mut a.min, &mut a.max),
                Op::Pool(p) => (&mut p.min, &mut p.max),
                Op::Affine(_) | Op::Clamp(_) | Op::Gru(_) => return Err(error),
            };
            // clamp(clamp(x, a, b), c, d) is one clamp whose limits went through the second.
            *min = min.clamp(clamp.min, clamp.max);
            *max = max.clamp(clamp.min, clamp.max);
            merge(graph, producer, at);
            Ok(true)
        }
        Op::Conv(_) | Op::Add(_) | Op::Pool(_) | Op::Gru(_) => Ok(false),
    }
}

fn unlimited(conv: &Conv) -> bool {
    conv.min == f32::NEG_INFINITY && conv.max == f32::INFINITY && !conv.residual
}

/// The node at `from` is now done by the one at `into`.
fn merge(graph: &mut Graph, into: usize, from: usize) {
    let node = graph.nodes.remove(from);
    let producer = &mut graph.nodes[into];
    producer.output = node.output;
    producer.operator = format!("{}+{}", producer.operator, node.operator);
}

/// Writes a sum in place: the convolution that makes one operand adds the other, which must lie ready and die here.
fn residual(graph: &mut Graph, at: usize) -> bool {
    let node = &graph.nodes[at];
    let Op::Add(add) = node.op else { return false };
    let [a, b] = node.inputs[..] else { return false };
    let candidate = |x: TensorId, other: TensorId| {
        let conv = sole_producer(graph, x)?;
        let fits = matches!(&graph.nodes[conv].op, Op::Conv(c) if unlimited(c));
        // The convolution overwrites `other` while it still reads its input.
        let apart = x != other && !graph.nodes[conv].inputs.contains(&other);
        let ready = graph.maker(other).is_some_and(|m| m < conv);
        let dies = other != graph.output
            && graph.nodes.iter().enumerate().all(|(i, n)| i == at || i < conv || !n.inputs.contains(&other));
        (fits && apart && ready && dies).then_some((conv, other))
    };
    let Some((conv, other)) = candidate(a, b).max(candidate(b, a)) else { return false };
    if let Op::Conv(c) = &mut graph.nodes[conv].op {
        c.residual = true;
        (c.min, c.max) = (add.min, add.max);
    }
    graph.nodes[conv].inputs.push(other);
    merge(graph, conv, at);
    true
}
