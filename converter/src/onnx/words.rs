//! A node's attributes in words, for people.

use tract_onnx::pb::{self, attribute_proto::AttributeType};

use super::{Node, clipped};

/// Most numbers or texts of a list that are shown.
const SHOWN: usize = 16;

impl Node<'_> {
    /// `kernel_shape [3, 3], group 32`: at most 200 bytes.
    pub fn attributes_in_words(&self) -> String {
        let mut words = String::new();
        for attribute in self.proto.attribute.iter().take(SHOWN) {
            let separator = if words.is_empty() { "" } else { ", " };
            words += &format!("{separator}{} {}", clipped(attribute.name.clone()), value(attribute));
        }
        clipped(words)
    }
}

fn value(a: &pb::AttributeProto) -> String {
    let text = |bytes: &[u8]| clipped(String::from_utf8_lossy(&bytes[..bytes.len().min(256)]).into_owned());
    let list = |shown: Vec<String>, count: usize| {
        format!("[{}{}]", shown.join(", "), if count > SHOWN { ", ..." } else { "" })
    };
    match AttributeType::try_from(a.r#type) {
        Ok(AttributeType::Int) => a.i.to_string(),
        Ok(AttributeType::Float) => a.f.to_string(),
        Ok(AttributeType::String) => text(&a.s),
        Ok(AttributeType::Ints) => list(a.ints.iter().take(SHOWN).map(i64::to_string).collect(), a.ints.len()),
        Ok(AttributeType::Floats) => list(a.floats.iter().take(SHOWN).map(f32::to_string).collect(), a.floats.len()),
        Ok(AttributeType::Strings) => list(a.strings.iter().take(SHOWN).map(|s| text(s)).collect(), a.strings.len()),
        Ok(AttributeType::Tensor) => format!("{:?} values", a.t.as_ref().map_or(&[][..], |t| &t.dims)),
        _ => "...".into(),
    }
}
