//! Which tensors are int16 together: operators that pass values on, or write over an operand, have both in one width.

use std::collections::BTreeSet;

use crate::{
    graph::{Graph, ScaleRule, Widths},
    metadata::FrontEnd,
    shape::TensorId,
};

/// Which tensors are to be int16, of those that may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wide {
    /// None.
    #[default]
    None,
    /// All.
    All,
    /// These, and those that go with them.
    These(BTreeSet<TensorId>),
}

/// Tensors in sets.
#[derive(Clone, Debug)]
struct Sets(Vec<TensorId>);

impl Sets {
    fn of(&self, mut id: TensorId) -> TensorId {
        while self.0[id] != id {
            id = self.0[id];
        }
        id
    }

    fn join(&mut self, a: TensorId, b: TensorId) {
        let (a, b) = (self.of(a), self.of(b));
        self.0[a.max(b)] = a.min(b);
    }
}

/// Which tensors go together.
#[derive(Clone, Debug)]
pub struct Ties {
    /// Of one width.
    widths: Sets,
    /// Of one scale, if they are int16.
    scales: Sets,
    /// The sets of `widths` that may be int16.
    free: Vec<bool>,
}

impl Ties {
    /// Of a folded graph.
    ///
    /// The first input stays int8 where a front end makes it of raw data: that gives int8.
    pub fn new(graph: &Graph) -> Ties {
        let count = graph.tensors.len();
        let (mut widths, mut scales) = (Sets((0..count).collect()), Sets((0..count).collect()));
        let mut narrow: Vec<bool> = graph.tensors.iter().map(|t| t.grid.is_some()).collect();
        let mut made = vec![false; count];
        graph.inputs.iter().for_each(|i| made[i.tensor] = true);
        narrow[graph.input()] |= graph.metadata.as_ref().is_some_and(|m| m.front_end != FrontEnd::Raw);
        for node in &graph.nodes {
            let output = node.output;
            made[output] = true;
            narrow[output] |= matches!(node.op.scale_rule(), ScaleRule::Fixed(_) | ScaleRule::Number);
            match node.op.widths() {
                Widths::Each => {}
                Widths::Int8 => node.inputs.iter().chain([&output]).for_each(|&id| narrow[id] = true),
                Widths::Over(input) => widths.join(node.inputs[input], output),
                Widths::Together => {
                    for &input in &node.inputs {
                        widths.join(input, output);
                        scales.join(input, output);
                    }
                }
            }
        }
        let mut free = vec![true; count];
        for id in 0..count {
            free[widths.of(id)] &= made[id] && !narrow[id];
        }
        Ties { widths, scales, free }
    }

    /// The set of tensors that have this one's width, by one of them.
    pub fn width(&self, id: TensorId) -> TensorId {
        self.widths.of(id)
    }

    /// The set of tensors that have this one's scale if they are int16, by one of them.
    pub fn scale(&self, id: TensorId) -> TensorId {
        self.scales.of(id)
    }

    /// Whether it may be int16.
    pub fn is_free(&self, id: TensorId) -> bool {
        self.free[self.widths.of(id)]
    }
}

/// Notes in a graph which tensors are to be int16, and which of them weights of two terms are to make.
pub fn widen(graph: &mut Graph, wide: &Wide, fine: &Wide) {
    let ties = Ties::new(graph);
    for (id, tensor) in graph.tensors.iter_mut().enumerate() {
        tensor.fine = match fine {
            Wide::None => false,
            Wide::All => true,
            Wide::These(ids) => ids.contains(&id),
        };
    }
    let asked: BTreeSet<TensorId> = match wide {
        Wide::None => BTreeSet::new(),
        Wide::All => (0..graph.tensors.len()).map(|id| ties.width(id)).collect(),
        Wide::These(ids) => ids.iter().filter(|&&id| id < graph.tensors.len()).map(|&id| ties.width(id)).collect(),
    };
    for (id, tensor) in graph.tensors.iter_mut().enumerate() {
        tensor.wide = ties.is_free(id) && asked.contains(&ties.width(id));
    }
}
