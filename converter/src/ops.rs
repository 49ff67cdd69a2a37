//! The operators. One file each: reading it from ONNX, its f32 meaning, its quantization, its int8 meaning. To add one: its
//! file, a `mod` and a row here; nothing else in this crate knows an operator by name.

mod activation;
mod add;
mod affine;
mod along;
mod argmax;
mod arrange;
mod chain;
pub mod constants;
mod conv;
mod depthwise;
mod expanded;
mod function;
mod gru;
mod join;
mod linear;
mod matmul;
mod moves;
mod mul;
mod norm;
mod pool;
mod power;
mod prelu;
mod quantized;
mod reduce;
mod refused;
mod rescale;
mod reshape;
mod resize;
mod select;
mod softmax;
mod table;
mod window;
mod written;

pub use arrange::copied;
pub use chain::{Link, chained};
pub use quantized::{as_numbers, is_of_onnxruntime, numbers};
pub use refused::advice;
pub use written::{ended, from_map, last, rounded, to_map};

use crate::{
    error::Error,
    importer::{Import, Importer},
    onnx::Node,
};

/// What each file reads, in the order in which errors list it.
const TABLES: &[&[(&str, Import)]] = &[
    conv::ONNX,
    linear::ONNX,
    gru::ONNX,
    affine::ONNX,
    norm::ONNX,
    add::ONNX,
    mul::ONNX,
    activation::ONNX,
    softmax::ONNX,
    function::ONNX,
    power::ONNX,
    prelu::ONNX,
    pool::ONNX,
    reduce::ONNX,
    argmax::ONNX,
    resize::ONNX,
    reshape::ONNX,
    select::ONNX,
    join::ONNX,
    quantized::ONNX,
];

fn rows() -> impl Iterator<Item = &'static (&'static str, Import)> {
    TABLES.iter().copied().flatten()
}

/// How nodes of an ONNX operator are read, if they are.
pub fn find(operator: &str) -> Option<&'static Import> {
    rows().find(|(name, _)| *name == operator).map(|(_, import)| import)
}

/// Reads a node: folds it if all its inputs are constants, else adds what it does to the graph.
///
/// # Errors
/// What its operator says of it.
pub fn read(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    if constants::folds(node.operator())
        && let Some(inputs) = importer.all_constant(node)
    {
        let folded = constants::fold(node, &inputs, importer.budget())?;
        return folded.into_iter().try_for_each(|(index, constant)| importer.define_constant(node, index, constant));
    }
    quantized::allows(importer, node)?;
    match find(node.operator()) {
        Some(import) => {
            (import.read)(importer, node)?;
            quantized::pass_on(importer, node);
            Ok(())
        }
        None => {
            let advice = advice(node.operator()).map_or(String::new(), |advice| format!("; {advice}"));
            let supported = format!("constants and shapes{advice}");
            Err(node.unsupported("inputs", "data that depend on the sample", &supported))
        }
    }
}

/// The ONNX operators that may stand in a model, those that are evaluated on constants alone last.
pub fn names() -> impl Iterator<Item = &'static str> {
    rows().map(|&(name, _)| name).chain(only_on_constants())
}

fn only_on_constants() -> impl Iterator<Item = &'static str> {
    constants::names().filter(|name| find(name).is_none())
}

/// The operators of [`names`] as errors list them.
pub fn supported() -> String {
    let shown = |&(name, Import { remark, .. }): &(&str, Import)| match remark {
        "" => name.to_owned(),
        _ => format!("{name} ({remark})"),
    };
    let all: Vec<String> = rows().map(shown).collect();
    let constants: Vec<&str> = only_on_constants().collect();
    format!("{}; and on constants and shapes {}", all.join(", "), constants.join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_operator_is_listed_once() {
        let mut seen = HashSet::new();
        assert!(names().all(|name| seen.insert(name)), "twice in the tables: {:?}", names().collect::<Vec<_>>());
        let text = supported();
        assert!(text.starts_with("Conv, ") && text.contains("Gather (by constants), "), "{text}");
        assert!(text.contains("; and on constants and shapes Constant, ConstantOfShape, Range, NonZero"), "{text}");
    }
}
