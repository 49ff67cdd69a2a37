//! Graph -> Graph: functions of one tensor become one.
//!
//! Exporters write an activation as what it is made of: `x * sigmoid(x)`, `x * clip(x + 3, 0, 6) / 6`, `x / 2 * (1 + erf(x / sqrt 2))`.
//! Whatever a group of nodes makes of one tensor, value by value, is a function of one value, and in int8 a table of 256
//! results: exact where each node by itself would round, and one step. Which nodes are such functions they say themselves
//! ([`crate::graph::Op::pointwise`]); nobody else may read what lies between.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    graph::{Graph, Node},
    history::{Change, Kind},
    ops::{Link, chained},
    shape::TensorId,
};

/// Most nodes in a group; a longer chain becomes several tables.
const MOST: usize = 64;

/// Puts groups of functions of one tensor together. The graph has been folded: what a step with weights does by the way
/// stays there.
pub fn compose(mut graph: Graph) -> Graph {
    let nodes: Vec<Option<Node>> = graph.nodes.drain(..).map(Some).collect();
    let mut maker = vec![None; graph.tensors.len()];
    let mut readers = vec![vec![]; graph.tensors.len()];
    for (at, node) in nodes.iter().enumerate() {
        let Some(node) = node else { continue };
        maker[node.output] = Some(at);
        node.inputs.iter().for_each(|&input| readers[input].push(at));
    }
    let mut composing = Composing { graph, nodes, functions: vec![], maker, readers };
    composing.functions = (0..composing.nodes.len()).map(|at| composing.is_function(at)).collect();
    for at in (0..composing.nodes.len()).rev() {
        if let Some((root, group)) = composing.group(at) {
            composing.join(root, &group);
        }
    }
    let Composing { mut graph, nodes, .. } = composing;
    graph.nodes = nodes.into_iter().flatten().collect();
    graph
}

/// A graph while its nodes are put together.
struct Composing {
    graph: Graph,
    /// Those that are left, in their old places.
    nodes: Vec<Option<Node>>,
    /// Which of them are functions, value by value.
    functions: Vec<bool>,
    /// Which node makes each tensor; `None` for the input.
    maker: Vec<Option<usize>>,
    /// Which nodes read each tensor; twice where one reads it twice.
    readers: Vec<Vec<usize>>,
}

impl Composing {
    /// Is the node at `at` a function, value by value?
    fn is_function(&self, at: usize) -> bool {
        let Some(node) = &self.nodes[at] else { return false };
        let alike = node.inputs.iter().all(|&input| self.graph.shape(input) == self.graph.shape(node.output));
        alike && node.op.pointwise().is_some()
    }

    /// The largest group that ends in the node at `at` and is worth a table: what it reads, and its nodes. What is read last is the
    /// only thing that the others cannot be made of, so there is never a choice.
    fn group(&self, at: usize) -> Option<(TensorId, BTreeSet<usize>)> {
        let node = self.nodes[at].as_ref().filter(|_| self.functions[at])?;
        let mut group = BTreeSet::from([at]);
        // What is read, by when it is made; inputs of the network first.
        let when = |id: TensorId| (self.maker[id], id);
        let mut read: BTreeSet<_> = node.inputs.iter().map(|&id| when(id)).collect();
        // By itself a node becomes a table where that saves products.
        let single = node.op.cost(self.graph.shape(node.output)).macs > 0;
        let mut found = (read.len() == 1 && single).then(|| (node.inputs[0], group.clone()));
        while group.len() < MOST
            && let Some((Some(made), id)) = read.pop_last()
            && self.is_between(id, &group)
            && self.functions[made]
        {
            group.insert(made);
            read.extend(self.nodes[made].iter().flat_map(|node| &node.inputs).map(|&id| when(id)));
            if let (1, Some(&(_, root))) = (read.len(), read.first()) {
                found = Some((root, group.clone()));
            }
        }
        found
    }

    /// Does only the group read that tensor?
    fn is_between(&self, id: TensorId, group: &BTreeSet<usize>) -> bool {
        !self.graph.is_output(id) && self.readers[id].iter().all(|reader| group.contains(reader))
    }

    /// Puts a group that reads `root` in the place of its last node.
    fn join(&mut self, root: TensorId, group: &BTreeSet<usize>) {
        let nodes: Vec<Node> = group.iter().filter_map(|&at| self.nodes[at].take()).collect();
        let outputs: Vec<TensorId> = nodes.iter().map(|node| node.output).collect();
        let place = |id: &TensorId| outputs.iter().position(|output| output == id).map_or(0, |at| at + 1);
        let (mut links, mut operators, mut origins, mut last) = (vec![], vec![], vec![], None);
        for Node { name, operator, op, inputs, output, origins: of } in nodes {
            let inputs = inputs.iter().map(place).collect();
            links.extend(op.pointwise().map(|function| Link {
                name: operator.clone(),
                function,
                op: Arc::from(op),
                inputs,
            }));
            operators.push(operator);
            origins.extend(of);
            last = Some((name, output));
        }
        if let (Some(at), Some((name, output))) = (group.last(), last) {
            let operator = operators.join("+");
            let change = Change { kind: Kind::Table, nodes: origins.clone(), into: None, detail: operator.clone() };
            self.graph.changes.push(change);
            self.nodes[*at] = Some(Node { name, operator, op: chained(links), inputs: vec![root], output, origins });
        }
    }
}
