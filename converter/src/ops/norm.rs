//! LayerNormalization and InstanceNormalization: what a sample's own mean and variance make of it. They are read as the operators that
//! compute these, which calibration then gives a scale each.

use super::expanded::{Expanded, axes, float};
use crate::{
    axes::axis,
    error::Error,
    importer::{Hint, Import, Importer},
    onnx::Node,
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[
    ("LayerNormalization", Import::new(import_layer)),
    ("InstanceNormalization", Import::new(import_instance).hint(|_| Hint::ChannelsFirst)),
];

/// LayerNormalization: over all dimensions from `axis` on, each of which has scales and shifts of its own.
fn import_layer(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["axis", "epsilon", "stash_type"])?;
    let rank = importer.view(node, 0)?.dims.len();
    let first = axis(node, "axis", node.int("axis")?.unwrap_or(-1), rank)?;
    let name = |index: usize| node.input(index).unwrap_or_default();
    let parameters = [name(1).to_owned(), name(2).to_owned()];
    normalized(importer, &mut Expanded::new(node), node, (first..rank).collect(), parameters)
}

/// InstanceNormalization: over the pixels of each channel.
fn import_instance(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["epsilon"])?;
    let rank = importer.view(node, 0)?.dims.len();
    if rank < 3 {
        return Err(node.unsupported("input", format!("{rank} dimensions"), "[1, channels, ...] with pixels"));
    }
    let mut expanded = Expanded::new(node);
    let mut for_channels = |importer: &mut Importer, index: usize| {
        let name = node.input(index).unwrap_or_default();
        expanded.run(importer, "Unsqueeze", &[name], axes((1..rank as i64 - 1).collect()), false)
    };
    let parameters = [for_channels(importer, 1)?, for_channels(importer, 2)?];
    normalized(importer, &mut expanded, node, (2..rank).collect(), parameters)
}

/// `(x - mean) / sqrt(variance + epsilon) * scale + shift`, mean and variance over these dimensions.
fn normalized(
    importer: &mut Importer,
    expanded: &mut Expanded,
    node: &Node,
    over: Vec<usize>,
    [scale, shift]: [String; 2],
) -> Result<(), Error> {
    let epsilon = node.float("epsilon")?.unwrap_or(1e-5);
    if !(epsilon.is_finite() && epsilon >= 0.0) {
        return Err(node.unsupported("epsilon", epsilon, "finite numbers from 0 on"));
    }
    let over = || axes(over.iter().map(|&d| d as i64).collect());
    let x = node.input(0).unwrap_or_default();
    let constant = |expanded: &mut Expanded, importer: &mut Importer, value: f32| {
        expanded.run(importer, "Constant", &[], vec![float("value_float", value)], false)
    };
    let [two, half, epsilon] = [2.0, -0.5, epsilon].map(|value| constant(expanded, importer, value));
    let (two, half, epsilon) = (two?, half?, epsilon?);
    let mean = expanded.run(importer, "ReduceMean", &[x], over(), false)?;
    let centred = expanded.run(importer, "Sub", &[x, &mean], vec![], false)?;
    let squares = expanded.run(importer, "Pow", &[&centred, &two], vec![], false)?;
    let variance = expanded.run(importer, "ReduceMean", &[&squares], over(), false)?;
    let variance = expanded.run(importer, "Add", &[&variance, &epsilon], vec![], false)?;
    let inverse = expanded.run(importer, "Pow", &[&variance, &half], vec![], false)?;
    for (index, made) in [(1, &mean), (2, &inverse)] {
        if let Some(output) = node.output(index) {
            expanded.run_to(importer, "Identity", &[made], vec![], output)?;
        }
    }
    let one = expanded.run(importer, "Mul", &[&centred, &inverse], vec![], false)?;
    if shift.is_empty() {
        return expanded.run(importer, "Mul", &[&one, &scale], vec![], true).map(drop);
    }
    let scaled = expanded.run(importer, "Mul", &[&one, &scale], vec![], false)?;
    expanded.run(importer, "Add", &[&scaled, &shift], vec![], true).map(drop)
}
