//! What becomes of each node while it is read, noted for the report.

use super::{Importer, Value};
use crate::{
    history::{Change, Kind, Origin},
    onnx::Node,
    shape::TensorId,
    view::View,
};

impl Importer<'_> {
    /// A node is about to be read.
    pub(crate) fn begin(&mut self, node: &Node) {
        self.reading = Some(self.graph.nodes.len());
        self.graph.origins.push(Origin {
            name: node.name().into(),
            operator: node.operator().into(),
            attributes: node.attributes_in_words(),
            inputs: node.inputs().to_vec(),
            outputs: node.outputs().to_vec(),
            lengths: vec![],
        });
    }

    /// It has been read.
    pub(crate) fn done(&mut self, node: &Node) {
        let made = node.output(0).and_then(|name| self.values.get(name));
        let reads = |view: &View| {
            let is = |name: &String| matches!(self.values.get(name), Some(Value::View(v)) if v == view);
            node.inputs().iter().any(is)
        };
        let lengths = match made {
            Some(Value::View(view)) => view.lengths(),
            Some(Value::Constant(constant)) => constant.shape().to_vec(),
            Some(Value::Unknown) | None => vec![],
        };
        let made_nodes = self.graph.nodes.len() > self.reading.unwrap_or(0);
        match made {
            _ if made_nodes => {}
            Some(Value::Constant(_)) => self.tell(Kind::Constant, String::new()),
            Some(Value::View(view)) if reads(view) => self.tell(Kind::Same, String::new()),
            _ => self.tell(Kind::View, String::new()),
        }
        if let Some(origin) = self.graph.origins.last_mut() {
            origin.lengths = lengths;
        }
        self.reading = None;
    }

    /// The node that is being read, by its place among the file's.
    pub(super) fn current(&self) -> Option<usize> {
        self.reading.and_then(|_| self.graph.origins.len().checked_sub(1))
    }

    /// Notes that this was done to the node that is being read.
    pub fn tell(&mut self, kind: Kind, detail: String) {
        let nodes = self.current().into_iter().collect();
        self.graph.changes.push(Change { kind, nodes, into: None, detail });
    }

    /// Notes that what makes a tensor was taken off the end.
    pub(super) fn tell_end(&mut self, tensor: TensorId) {
        let maker = self.graph.nodes.iter().find(|node| node.output == tensor);
        let nodes = maker.map_or_else(Vec::new, |node| node.origins.clone());
        self.graph.changes.push(Change { kind: Kind::Ended, nodes, into: None, detail: String::new() });
    }
}
