//! What tract, the float oracle, computes in place of a node that it lacks or understands otherwise than ONNX.

use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto, attribute_proto::AttributeType, tensor_proto::DataType};

use crate::onnx::Node;

/// Nodes that say what one node of the file means.
#[derive(Clone, Debug)]
pub struct Substitute {
    /// The first output of the node, by which it is known; the last of the nodes here makes it.
    output: String,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
}

impl Substitute {
    /// For a node, to be filled.
    pub fn new(node: &Node) -> Substitute {
        Substitute { output: node.output(0).unwrap_or_default().into(), nodes: vec![], constants: vec![] }
    }

    /// A name that no value of the file has, as far as anybody can help it.
    fn inner(&self, what: &str) -> String {
        format!("{} (for the float network: {what} {})", self.output, self.nodes.len() + self.constants.len())
    }

    /// A constant of the same element type as the network's tensors; gives its name.
    pub fn floats(&mut self, dims: &[usize], values: Vec<f32>) -> String {
        let name = self.inner("constant");
        let dims = dims.iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect();
        let data_type = DataType::Float as i32;
        self.constants.push(TensorProto {
            name: name.clone(),
            dims,
            data_type,
            float_data: values,
            ..Default::default()
        });
        name
    }

    /// A list of whole numbers; gives its name.
    pub fn ints(&mut self, values: &[i64]) -> String {
        let name = self.inner("constant");
        let (dims, data_type) = (vec![i64::try_from(values.len()).unwrap_or(i64::MAX)], DataType::Int64 as i32);
        let int64_data = values.to_vec();
        self.constants.push(TensorProto { name: name.clone(), dims, data_type, int64_data, ..Default::default() });
        name
    }

    /// A node of one output, with integer attributes; gives its name.
    pub fn node(&mut self, operator: &str, inputs: &[&str], attributes: &[(&str, i64)]) -> String {
        let name = self.inner(operator);
        let attribute = |&(name, i): &(&str, i64)| AttributeProto {
            name: name.into(),
            r#type: AttributeType::Int as i32,
            i,
            ..Default::default()
        };
        self.nodes.push(NodeProto {
            name: name.clone(),
            op_type: operator.into(),
            input: inputs.iter().map(|&input| input.into()).collect(),
            output: vec![name.clone()],
            attribute: attributes.iter().map(attribute).collect(),
            ..Default::default()
        });
        name
    }

    /// Takes the place of its node.
    pub fn apply(&self, nodes: &mut Vec<NodeProto>, constants: &mut Vec<TensorProto>) {
        let Some(at) = nodes.iter().position(|n| n.output.first() == Some(&self.output)) else { return };
        let mut new = self.nodes.clone();
        if let Some(last) = new.last_mut() {
            last.output = vec![self.output.clone()];
        }
        nodes.splice(at..=at, new);
        constants.extend(self.constants.iter().cloned());
    }
}
