//! How much memory a protobuf will take, counted on the wire before anything is decoded: an empty message of two bytes becomes
//! a struct of hundreds.
//!
//! One pass over tags and lengths. The table of [`field`]s is that of ONNX as far as `tract_onnx::pb` keeps it; what is not in
//! it, the decoder passes over. <https://protobuf.dev/programming-guides/encoding/>

use tract_onnx::pb;

use crate::{
    budget::{Budget, EACH, NODES},
    error::Error,
};

/// Messages inside messages, as deep as the decoder goes.
const DEPTH: usize = 100;

/// The messages that can hold others or grow.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Sparse,
    Value,
    Type,
    TensorType,
    Shape,
    Dimension,
    Annotation,
    Training,
    Function,
    Opset,
    /// A key and a value.
    Entry,
}

impl Kind {
    /// Bytes of the decoded struct, without what it points to.
    fn size(self) -> usize {
        match self {
            Kind::Model => size_of::<pb::ModelProto>(),
            Kind::Graph => size_of::<pb::GraphProto>(),
            Kind::Node => size_of::<pb::NodeProto>(),
            Kind::Attribute => size_of::<pb::AttributeProto>(),
            Kind::Tensor => size_of::<pb::TensorProto>(),
            Kind::Sparse => size_of::<pb::SparseTensorProto>(),
            Kind::Value => size_of::<pb::ValueInfoProto>(),
            Kind::Type => size_of::<pb::TypeProto>(),
            Kind::TensorType => size_of::<pb::type_proto::Tensor>(),
            Kind::Shape => size_of::<pb::TensorShapeProto>(),
            Kind::Dimension => size_of::<pb::tensor_shape_proto::Dimension>(),
            Kind::Annotation => size_of::<pb::TensorAnnotation>(),
            Kind::Training => size_of::<pb::TrainingInfoProto>(),
            Kind::Function => size_of::<pb::FunctionProto>(),
            Kind::Opset => size_of::<pb::OperatorSetIdProto>(),
            Kind::Entry => size_of::<pb::StringStringEntryProto>(),
        }
    }
}

/// What a field becomes.
enum Field {
    Message(Kind),
    /// Text or bytes.
    Text,
    /// A list of numbers, packed or one by one: bytes of each on the wire (0: a varint) and decoded.
    Numbers(usize, usize),
    /// A number, which the struct itself holds, or something that the decoder passes over.
    Other,
}

fn field(kind: Kind, number: u64) -> Field {
    use Field::{Message, Numbers, Other, Text};
    match (kind, number) {
        (Kind::Model, 7) => Message(Kind::Graph),
        (Kind::Model, 8) | (Kind::Function, 9) => Message(Kind::Opset),
        (Kind::Model, 14) => Message(Kind::Entry),
        (Kind::Model, 20) => Message(Kind::Training),
        (Kind::Model, 25) => Message(Kind::Function),
        (Kind::Graph, 1) | (Kind::Function, 7) => Message(Kind::Node),
        (Kind::Graph, 5) => Message(Kind::Tensor),
        (Kind::Graph, 11..=13) => Message(Kind::Value),
        (Kind::Graph, 14) => Message(Kind::Annotation),
        (Kind::Graph, 15) => Message(Kind::Sparse),
        (Kind::Node, 5) => Message(Kind::Attribute),
        (Kind::Attribute, 5 | 10) | (Kind::Sparse, 1 | 2) => Message(Kind::Tensor),
        (Kind::Attribute, 6 | 11) | (Kind::Training, 1 | 2) => Message(Kind::Graph),
        (Kind::Attribute, 15) | (Kind::Value, 2) => Message(Kind::Type),
        (Kind::Attribute, 22 | 23) => Message(Kind::Sparse),
        (Kind::Attribute, 7) | (Kind::Tensor, 4) => Numbers(4, 4),
        (Kind::Attribute, 8) | (Kind::Tensor, 1 | 7 | 11) | (Kind::Sparse, 3) => Numbers(0, 8),
        (Kind::Tensor, 5) => Numbers(0, 4),
        (Kind::Tensor, 10) => Numbers(8, 8),
        (Kind::Tensor, 13) | (Kind::Annotation, 2) | (Kind::Training, 3 | 4) => Message(Kind::Entry),
        (Kind::Type, 1) => Message(Kind::TensorType),
        (Kind::TensorType, 2) => Message(Kind::Shape),
        (Kind::Shape, 1) => Message(Kind::Dimension),
        (Kind::Model, 2..=4 | 6)
        | (Kind::Graph, 2 | 10)
        | (Kind::Node, 1..=4 | 6 | 7)
        | (Kind::Attribute, 1 | 4 | 9 | 13 | 21)
        | (Kind::Tensor, 6 | 8 | 9 | 12)
        | (Kind::Value, 1 | 3)
        | (Kind::Type, 6)
        | (Kind::Dimension, 2 | 3)
        | (Kind::Annotation, 1)
        | (Kind::Function, 1 | 4..=6 | 8 | 10)
        | (Kind::Opset, 1)
        | (Kind::Entry, 1 | 2) => Text,
        _ => Other,
    }
}

/// Takes from the budget what the decoded model and its nodes will take.
///
/// # Errors
/// [`Error::Onnx`] with the byte, where it is too much, where there are more nodes than a model file can have steps, and where
/// the bytes are no protobuf.
pub fn charge(bytes: &[u8], budget: &Budget) -> Result<(), Error> {
    let mut scan = Scan { bytes, at: 0, nodes: 0, budget };
    scan.message(Kind::Model, bytes.len(), 0).map_err(|e| Error::Onnx(format!("byte {}: {e}", scan.at)))
}

struct Scan<'a> {
    bytes: &'a [u8],
    /// Where the scan is.
    at: usize,
    nodes: u64,
    budget: &'a Budget,
}

impl Scan<'_> {
    fn varint(&mut self, end: usize) -> Result<u64, String> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes[..end].get(self.at).ok_or("a number that the message ends in")?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number of more than 10 bytes".into())
    }

    fn skip(&mut self, len: u64, end: usize) -> Result<usize, String> {
        let to = usize::try_from(len).ok().and_then(|len| self.at.checked_add(len)).filter(|&to| to <= end);
        to.ok_or_else(|| format!("a field of {len} bytes in a message that has {} left", end - self.at))
    }

    /// Lists grow by doubling: what one element takes counts twice.
    fn elements(&self, count: usize, width: usize) -> Result<(), String> {
        let bytes = (count as u64).saturating_mul(2 * width as u64);
        self.budget.take(bytes).map_err(|e| format!("the decoded model {e}"))
    }

    /// The fields up to `end`.
    fn message(&mut self, kind: Kind, end: usize, depth: usize) -> Result<(), String> {
        if depth > DEPTH {
            return Err(format!("messages nested more than {DEPTH} deep"));
        }
        while self.at < end {
            let tag = self.varint(end)?;
            let (number, wire) = (tag >> 3, tag & 7);
            if number == 0 {
                return Err("a field of number 0".into());
            }
            let field = field(kind, number);
            match wire {
                0 => drop(self.varint(end)?),
                1 => self.at = self.skip(8, end)?,
                5 => self.at = self.skip(4, end)?,
                2 => {
                    let len = self.varint(end)?;
                    let end = self.skip(len, end)?;
                    self.value(&field, end, depth)?;
                    self.at = end;
                    continue;
                }
                _ => return Err(format!("a field of wire type {wire}, which ONNX does not use")),
            }
            if let Field::Numbers(_, width) = field {
                self.elements(1, width)?;
            }
        }
        Ok(())
    }

    /// A field with a length, which ends at `end`.
    fn value(&mut self, field: &Field, end: usize, depth: usize) -> Result<(), String> {
        let len = end - self.at;
        match *field {
            Field::Other => Ok(()),
            Field::Text => self.elements(1, size_of::<String>() + len),
            Field::Numbers(0, width) => {
                // Each varint has one last byte.
                let count = self.bytes[self.at..end].iter().filter(|&&b| b < 0x80).count();
                self.elements(count, width)
            }
            Field::Numbers(wire, width) => self.elements(len / wire, width),
            Field::Message(kind) => {
                self.elements(1, kind.size())?;
                if kind == Kind::Node {
                    self.nodes += 1;
                    if self.nodes > NODES {
                        return Err(format!("more than {NODES} nodes"));
                    }
                    self.budget.take(EACH).map_err(|e| format!("the decoded model {e}"))?;
                }
                self.message(kind, end, depth + 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Result<(), String> {
        charge(bytes, &Budget::new(bytes.len())).map_err(|e| e.to_string())
    }

    /// A field with a length.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        let mut len = content.len();
        while len > 0x7f {
            out.push(0x80 | (len & 0x7f) as u8);
            len >>= 7;
        }
        out.push(len as u8);
        out.extend(content);
        out
    }

    #[test]
    fn empty_messages_are_counted_before_they_are_decoded() {
        let graph = |inner: &[u8], count: usize| field(7, &inner.repeat(count));
        assert_eq!(of(&graph(&field(1, &[]), 65_535)), Ok(()));
        let error = of(&graph(&field(1, &[]), 65_536)).unwrap_err();
        assert!(error.ends_with("more than 65535 nodes"), "{error}");
        // 4 million initializers and value infos of nothing, a million attributes.
        for inner in [field(5, &[]), field(11, &[])] {
            let error = of(&graph(&inner, 4_000_000)).unwrap_err();
            assert!(error.contains("the decoded model needs ") && error.contains("; allowed"), "{error}");
        }
        let error = of(&graph(&field(1, &field(5, &[]).repeat(1_000_000)), 1)).unwrap_err();
        assert!(error.starts_with("ONNX: byte ") && error.contains("the decoded model needs "), "{error}");
        // One-byte numbers become eight.
        assert!(of(&graph(&field(5, &field(7, &vec![1; 80 << 20])), 1)).is_err());
        // Weights may be as large as they are.
        assert_eq!(of(&graph(&field(5, &field(9, &vec![0; 100 << 20])), 1)), Ok(()));
    }

    #[test]
    fn what_is_no_protobuf_says_where() {
        for (bytes, says) in [
            (&b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..], "byte 10: a number of more than 10 bytes"),
            (b"\x3a\x05\x01\x02", "byte 2: a field of 5 bytes in a message that has 2 left"),
            (b"\x08", "byte 1: a number that the message ends in"),
            (b"\x00\x01", "byte 1: a field of number 0"),
            (b"\x0b", "byte 1: a field of wire type 3, which ONNX does not use"),
        ] {
            assert_eq!(of(bytes), Err(format!("ONNX: {says}")));
        }
        // A graph in an attribute of a node of a graph, and so on.
        let mut deep = vec![];
        for level in 0..120 {
            deep = field([6, 5, 1][level % 3], &deep);
        }
        assert!(of(&field(7, &deep)).unwrap_err().ends_with("messages nested more than 100 deep"));
    }
}
