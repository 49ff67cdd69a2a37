//! Graph -> [`QGraph`]: scales from calibrated ranges; what is made with them, each operator knows.

use escarp_runtime::Dtype;

use crate::{
    calibrate::{Histogram, Method},
    error::Error,
    graph::{Graph, Output, ScaleRule},
    qgraph::{QGraph, QNode, QOutput, QTensor},
    scale::Scale,
    site::Site,
};

/// The range that each tensor's scale is made for: `input_range` of the first input, where the front end knows it, else what
/// `method` makes of what the samples showed.
pub fn ranges(graph: &Graph, seen: &[Histogram], input_range: Option<(f32, f32)>, method: Method) -> Vec<(f32, f32)> {
    let range = |id: usize| match input_range {
        Some(range) if id == graph.input() => range,
        _ if seen[id].min > seen[id].max => (0.0, 0.0),
        // Scores decide by their order at the top: clipping them would make ties.
        _ if graph.is_output(id) => seen[id].range(Method::MinMax),
        _ => seen[id].range(method),
    };
    (0..graph.tensors.len()).map(range).collect()
}

/// Quantizes a folded graph, each tensor for its range.
///
/// # Errors
/// [`Error::Overflow`] if a channel's sums cannot be proved to stay inside i32; [`Error::Node`] for an operation
/// that folding should have removed and could not, and for a factor without a fixed-point form.
///
/// # Panics
/// If there is not one range for each tensor.
pub fn quantize(graph: &Graph, ranges: &[(f32, f32)]) -> Result<QGraph, Error> {
    quantize_and(graph, ranges, |_, node, _| Ok(node))
}

/// As [`quantize`]; each node goes through `refine`, with its number and all tensors as far as they have their scales, before the
/// next is quantized.
///
/// # Errors
/// As [`quantize`], and what `refine` says.
///
/// # Panics
/// If there is not one range for each tensor.
pub fn quantize_and(
    graph: &Graph,
    ranges: &[(f32, f32)],
    mut refine: impl FnMut(usize, QNode, &[QTensor]) -> Result<QNode, Error>,
) -> Result<QGraph, Error> {
    assert_eq!(ranges.len(), graph.tensors.len(), "one range for each tensor");
    let tensor = |id: usize, scale: Scale| QTensor {
        name: graph.tensors[id].name.clone(),
        shape: graph.shape(id),
        scale,
        dtype: Dtype::I8,
    };
    let of_range = |id: usize, smallest: f64| Scale::of_range(ranges[id].0, ranges[id].1, smallest);
    // What a file has quantized keeps its scale.
    let scale_of = |id: usize, smallest: f64| graph.tensors[id].grid.unwrap_or_else(|| of_range(id, smallest));
    let mut tensors: Vec<QTensor> = (0..graph.tensors.len()).map(|id| tensor(id, scale_of(id, 0.0))).collect();
    let output = |o: &Output| QOutput { tensor: o.tensor, name: o.name.clone(), meaning: o.meaning };
    let mut nodes = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let inputs: Vec<Scale> = node.inputs.iter().map(|&i| tensors[i].scale).collect();
        let scale = match node.op.scale_rule() {
            ScaleRule::Fixed(scale) => scale,
            ScaleRule::OfInput => inputs[0],
            ScaleRule::Number => {
                tensors[node.output].dtype = Dtype::I32;
                Scale { scale: 1.0, zero_point: 0 }
            }
            ScaleRule::OfValues => scale_of(node.output, node.op.least_unit(&inputs)),
        };
        let site = Site { node: &node.name, operator: &node.operator, inputs: &inputs, output: scale };
        let op = node.op.quantize(&site)?;
        tensors[node.output].scale = scale;
        let (name, operator, inputs) = (node.name.clone(), node.operator.clone(), node.inputs.clone());
        let made = QNode { name, operator, op, inputs, output: node.output };
        nodes.push(refine(nodes.len(), made, &tensors)?);
    }
    Ok(QGraph {
        tensors,
        nodes,
        inputs: graph.inputs.iter().map(|i| i.tensor).collect(),
        outputs: graph.outputs.iter().map(output).collect(),
        steps: graph.steps,
        macs: graph.macs(),
    })
}
