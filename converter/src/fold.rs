//! Graph -> Graph: what needs no step of its own disappears into its producer.
//!
//! A scale and shift after a product with weights is that product with other weights; limits are the last thing a producer
//! does; a sum whose other operand dies there is written in place by what made its first. Who can take up what, each operator
//! says ([`crate::graph::Op::absorb`]).

use crate::{
    epilogue::Epilogue,
    error::Error,
    graph::{Graph, Node, ScaleRule, Tensor},
    history::{Change, Kind},
    scale::Scale,
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
        folding.joins_producer(at)?;
    }
    Ok(folding.conclude())
}

/// Nodes are in execution order, so one pass from the end finds everything that the output needs.
fn drop_unread(graph: &mut Graph) {
    let mut needed = vec![false; graph.tensors.len()];
    graph.outputs.iter().for_each(|o| needed[o.tensor] = true);
    let ended: Vec<Change> = graph.changes.iter().filter(|change| change.kind == Kind::Ended).cloned().collect();
    let mut kept = Vec::with_capacity(graph.nodes.len());
    for node in graph.nodes.drain(..).rev() {
        if needed[node.output] {
            node.inputs.iter().for_each(|&i| needed[i] = true);
            kept.push(node);
        } else if !ended.iter().any(|change| change.nodes == node.origins) {
            let change = Change { kind: Kind::Unread, nodes: node.origins, into: None, detail: String::new() };
            graph.changes.push(change);
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
        let alone = self.readers[input].len() == 1 && !self.graph.is_output(input);
        self.maker[input].filter(|_| alone)
    }

    /// Gives the work of a node to what makes its input, where that can take it up.
    fn joins_producer(&mut self, at: usize) -> Result<(), Error> {
        let Some(node) = self.nodes.get_mut(at).and_then(Option::take) else { return Ok(()) };
        if let Some(Epilogue::Grid(grid)) = node.op.follows()
            && self.takes_grid(&node, grid)
        {
            return Ok(());
        }
        let into = match (node.op.follows(), &node.inputs[..]) {
            (Some(sum @ Epilogue::Sum(_)), &[a, b]) => self.sum(at, &sum, [a, b]),
            (Some(next), &[x]) => self.sole_producer(x).filter(|&producer| self.absorbs(producer, &next)),
            _ => None,
        };
        match into {
            Some(into) => {
                let kind = match node.op.follows() {
                    Some(Epilogue::Scale { .. }) => Kind::Weights,
                    Some(Epilogue::Sum(_)) => Kind::Sum,
                    Some(Epilogue::Grid(_)) => Kind::Grid,
                    Some(Epilogue::Limits(_)) | None => Kind::Limits,
                };
                self.merge(into, at, &node, kind);
            }
            None => {
                node.op.alone().map_err(|supported| Error::Attribute {
                    node: node.name.clone(),
                    operator: node.operator.clone(),
                    attribute: "place".into(),
                    value: "after something that cannot take it".into(),
                    supported: supported.into(),
                })?;
                self.nodes[at] = Some(node);
            }
        }
        Ok(())
    }

    /// What is rounded already stays as it is.
    fn absorbs(&mut self, producer: usize, next: &Epilogue) -> bool {
        let (nodes, tensors) = (&mut self.nodes, &self.graph.tensors);
        nodes[producer].as_mut().is_some_and(|node| tensors[node.output].grid.is_none() && node.op.absorb(next))
    }

    /// Gives a scale to the tensor that is rounded to it, where nobody else reads that; says whether it has.
    fn takes_grid(&mut self, node: &Node, grid: Scale) -> bool {
        let (input, at) = (node.inputs[0], node.output);
        let free = |tensor: &Tensor| tensor.grid.is_none_or(|before| before == grid);
        let alone = self.readers[input].len() == 1 && !self.graph.is_output(input) && free(&self.graph.tensors[input]);
        let producer = self.maker[input];
        let ruled =
            producer.and_then(|p| self.nodes[p].as_ref()).is_some_and(|n| n.op.scale_rule() != ScaleRule::OfValues);
        if !alone || ruled || producer.is_none() && self.graph.is_output(at) {
            return false;
        }
        match producer {
            Some(producer) => {
                self.graph.tensors[at].grid = Some(grid);
                self.merge(producer, usize::MAX, node, Kind::Grid);
            }
            None => {
                let change =
                    Change { kind: Kind::Grid, nodes: node.origins.clone(), into: None, detail: String::new() };
                self.graph.changes.push(change);
                // An input is rounded itself, and read by whoever read the result.
                self.graph.tensors[input].grid = Some(grid);
                let readers = std::mem::take(&mut self.readers[at]);
                for &reader in &readers {
                    if let Some(reader) = &mut self.nodes[reader] {
                        reader.inputs.iter_mut().filter(|i| **i == at).for_each(|i| *i = input);
                    }
                }
                self.readers[input] = readers;
            }
        }
        true
    }

    /// The node at `from` is now done by the one at `into`.
    fn merge(&mut self, into: usize, from: usize, node: &Node, kind: Kind) {
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
            // What a node of the file is made of, is its own.
            if producer.origins.ends_with(&node.origins) {
                return;
            }
            let (nodes, into) = (node.origins.clone(), producer.origins.first().copied());
            self.graph.changes.push(Change { kind, nodes, into, detail: String::new() });
            producer.origins.extend(&node.origins);
        }
    }

    /// Writes a sum in place: what makes one operand adds the other, which must lie ready and die here. Of two that could, the
    /// later one does.
    fn sum(&mut self, at: usize, sum: &Epilogue, [a, b]: [TensorId; 2]) -> Option<usize> {
        let mut able = [self.could_add(at, a, b), self.could_add(at, b, a)];
        able.sort_unstable();
        let (into, other) = able.into_iter().rev().flatten().find(|&(place, _)| self.absorbs(place, sum))?;
        if let Some(producer) = &mut self.nodes[into] {
            producer.inputs.push(other);
        }
        let place = self.readers[other].partition_point(|&reader| reader < into);
        self.readers[other].insert(place, into);
        Some(into)
    }

    /// The node that makes `x`, if it may write over `other` in place of the sum at `at`.
    fn could_add(&self, at: usize, x: TensorId, other: TensorId) -> Option<(usize, TensorId)> {
        let place = self.sole_producer(x)?;
        let producer = self.nodes[place].as_ref()?;
        // It overwrites `other` while it still reads its input.
        let apart = x != other && !producer.inputs.contains(&other);
        let ready = self.maker[other].is_some_and(|maker| maker < place);
        let last = self.readers[other].iter().rev().find(|&&reader| reader != at);
        let dies = !self.graph.is_output(other) && last.is_none_or(|&reader| reader < place);
        (apart && ready && dies).then_some((place, other))
    }
}
