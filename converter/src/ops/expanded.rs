//! Operators that are read as several others: nodes that no file has.

use tract_onnx::pb;

use crate::{error::Error, importer::Importer, onnx::Node};

/// A node that is read in the place of another.
pub struct Expanded<'a> {
    node: &'a Node<'a>,
    count: usize,
}

impl<'a> Expanded<'a> {
    /// In the place of that one.
    pub fn new(node: &'a Node<'a>) -> Expanded<'a> {
        Expanded { node, count: 0 }
    }

    /// Reads a node of that operator; gives the name of what it makes, which of the last one is the output of the node in whose place
    /// it stands.
    ///
    /// # Errors
    /// What the operator says of it.
    pub fn run(
        &mut self,
        importer: &mut Importer,
        operator: &str,
        inputs: &[&str],
        attribute: Vec<pb::AttributeProto>,
        last: bool,
    ) -> Result<String, Error> {
        let name = self.node.output(0).unwrap_or_default();
        // No name of the file has a control character in front that people would see.
        let output = if last { name.to_owned() } else { format!("\u{1}{name} {}", self.count) };
        self.count += 1;
        self.run_to(importer, operator, inputs, attribute, &output)?;
        Ok(output)
    }

    /// Reads a node of that operator that makes a value of that name.
    ///
    /// # Errors
    /// What the operator says of it.
    pub fn run_to(
        &self,
        importer: &mut Importer,
        operator: &str,
        inputs: &[&str],
        attribute: Vec<pb::AttributeProto>,
        output: &str,
    ) -> Result<(), Error> {
        let proto = pb::NodeProto {
            name: self.node.name().into(),
            op_type: operator.into(),
            input: inputs.iter().map(|&i| i.to_owned()).collect(),
            output: vec![output.into()],
            attribute,
            ..Default::default()
        };
        // Scales along an axis are of operator set 13.
        super::read(importer, &Node::new(&proto, self.node.opset.max(13)))
    }
}

/// The attribute `axis`.
pub fn axis(axis: i64) -> Vec<pb::AttributeProto> {
    vec![pb::AttributeProto {
        name: "axis".into(),
        r#type: pb::attribute_proto::AttributeType::Int as i32,
        i: axis,
        ..Default::default()
    }]
}

/// The attribute `axes`.
pub fn axes(axes: Vec<i64>) -> Vec<pb::AttributeProto> {
    vec![pb::AttributeProto {
        name: "axes".into(),
        r#type: pb::attribute_proto::AttributeType::Ints as i32,
        ints: axes,
        ..Default::default()
    }]
}

/// An attribute of one number.
pub fn float(name: &str, f: f32) -> pb::AttributeProto {
    pb::AttributeProto {
        name: name.into(),
        r#type: pb::attribute_proto::AttributeType::Float as i32,
        f,
        ..Default::default()
    }
}
