//! Graph -> [`QGraph`]: scales from calibrated ranges; what is made with them, each operator knows.

use escarp_runtime::Dtype;

use crate::{
    calibrate::{Histogram, Method},
    epilogue::Limits,
    error::Error,
    graph::{Graph, Output, ScaleRule, Tensor},
    qgraph::{QGraph, QNode, QOutput, QTensor},
    scale::{Scale, nearest_i16},
    site::Site,
    widths::Ties,
};

/// The range that each tensor's scale is made for: `input_range` of the first input, where the front end knows it, else what
/// `method` makes of what the samples showed.
pub fn ranges(graph: &Graph, seen: &[Histogram], input_range: Option<(f32, f32)>, method: Method) -> Vec<(f32, f32)> {
    let range = |id: usize| match input_range {
        Some(range) if id == graph.input() => range,
        _ if seen[id].min > seen[id].max => (0.0, 0.0),
        // Scores decide by their order at the top: clipping them would make ties.
        _ if graph.is_output(id) => seen[id].range(Method::MinMax),
        // With as many steps as int16 has, what is clipped would cost more than what is rounded.
        _ if graph.tensors[id].wide => seen[id].range(Method::MinMax),
        _ => seen[id].range(method),
    };
    (0..graph.tensors.len()).map(range).collect()
}

/// Quantizes a folded graph, each tensor for its range: to int8, or to int16 where it is [`Tensor::wide`] and every sum that reads it
/// leaves room for more than nine bits.
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

/// As [`quantize`]; each node goes through `refine`, with its number and all tensors, before the next is quantized.
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
    let scales = scales(graph, ranges)?;
    let mut tensors: Vec<QTensor> = graph.tensors.iter().zip(&scales).map(tensor).collect();
    for node in graph.nodes.iter().filter(|n| n.op.scale_rule() == ScaleRule::Number) {
        tensors[node.output].dtype = Dtype::I32;
    }
    let output = |o: &Output| QOutput { tensor: o.tensor, name: o.name.clone(), meaning: o.meaning };
    let mut nodes = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let inputs: Vec<Scale> = node.inputs.iter().map(|&i| tensors[i].scale).collect();
        let output = tensors[node.output].scale;
        let fine = output.is_wide() && graph.tensors[node.output].fine;
        let site = Site { node: &node.name, operator: &node.operator, inputs: &inputs, output, fine };
        let op = node.op.quantize(&site)?;
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

fn tensor((tensor, &scale): (&Tensor, &Scale)) -> QTensor {
    QTensor { name: tensor.name.clone(), shape: tensor.shape, scale, dtype: scale.dtype() }
}

/// How far the numbers of an int16 tensor reach, as a multiple of what the samples showed, for what they did not show.
const HEADROOM: f64 = 1.25;

/// Fewer numbers above 0 than this are not worth int16.
const FEWEST: f64 = 511.0;

/// Most rounds until scales that must be the same are so.
const ROUNDS: usize = 64;

/// What int16 tensors of one scale have in common.
#[derive(Clone, Copy, Debug)]
struct Wide {
    /// Largest value.
    reach: f64,
    /// Largest number.
    most: i16,
    /// Smallest unit.
    smallest: f64,
}

/// The scale of each tensor.
fn scales(graph: &Graph, ranges: &[(f32, f32)]) -> Result<Vec<Scale>, Error> {
    let ties = Ties::new(graph);
    let mut wide = wide(graph, ranges, &ties);
    for _ in 0..ROUNDS {
        let (scales, settled) = round(graph, ranges, &ties, &mut wide);
        if settled {
            return Ok(scales);
        }
    }
    Err(Error::Model("tensors that must have one int16 scale do not come to one".into()))
}

/// What sets of int16 tensors have in common, at their first tensors: of those that are to be wide, all whose sums leave them enough.
fn wide(graph: &Graph, ranges: &[(f32, f32)], ties: &Ties) -> Vec<Option<Wide>> {
    let mut sets: Vec<Option<(f64, f64)>> = vec![None; ranges.len()];
    let mut limits = vec![Limits::NONE; ranges.len()];
    graph.nodes.iter().for_each(|n| limits[n.output] = n.op.channels().limits);
    for (id, tensor) in graph.tensors.iter().enumerate().filter(|&(id, _)| ties.is_free(id)) {
        if tensor.wide {
            let (low, high) = (f64::from(ranges[id].0) * HEADROOM, f64::from(ranges[id].1) * HEADROOM);
            let reach = high.min(limits[id].max.into()).max(-low.max(limits[id].min.into()));
            let set = sets[ties.scale(id)].get_or_insert((0.0, i16::MAX.into()));
            set.0 = set.0.max(reach);
        }
    }
    for node in &graph.nodes {
        for &input in &node.inputs {
            if let Some((reach, most)) = &mut sets[ties.scale(input)] {
                *most = most.min(node.op.room(*reach));
            }
        }
    }
    // Whoever gives an input may give any number.
    for input in &graph.inputs {
        if let Some((_, most)) = &mut sets[ties.scale(input.tensor)] {
            *most = if *most < i16::MAX.into() { 0.0 } else { *most };
        }
    }
    // Where one of a width has too little room, none of them is wide.
    let mut enough = vec![true; ranges.len()];
    for id in 0..ranges.len() {
        enough[ties.width(id)] &= !sets[ties.scale(id)].is_some_and(|(_, most)| most < FEWEST);
    }
    let wide = |(id, set): (usize, &Option<(f64, f64)>)| {
        let (reach, most) = set.filter(|_| enough[ties.width(id)])?;
        Some(Wide { reach, most: nearest_i16(most.floor()), smallest: 0.0 })
    };
    sets.iter().enumerate().map(wide).collect()
}

/// One pass over the nodes; `false` if a set of int16 tensors needs a larger unit than it had where it was met first.
fn round(graph: &Graph, ranges: &[(f32, f32)], ties: &Ties, wide: &mut [Option<Wide>]) -> (Vec<Scale>, bool) {
    let of_range = |id: usize, smallest: f64| Scale::of_range(ranges[id].0, ranges[id].1, smallest);
    // What a file has quantized keeps its scale.
    let scale_of = |id: usize, smallest: f64| graph.tensors[id].grid.unwrap_or_else(|| of_range(id, smallest));
    let mut scales: Vec<Scale> = (0..ranges.len()).map(|id| scale_of(id, 0.0)).collect();
    for input in &graph.inputs {
        if let Some(wide) = &wide[ties.scale(input.tensor)] {
            scales[input.tensor] = Scale::int16(wide.reach, wide.most, wide.smallest);
        }
    }
    let mut met: Vec<bool> =
        (0..ranges.len()).map(|id| graph.inputs.iter().any(|i| ties.scale(i.tensor) == id)).collect();
    let mut settled = true;
    for node in &graph.nodes {
        let (output, set) = (node.output, ties.scale(node.output));
        let inputs: Vec<Scale> = node.inputs.iter().map(|&i| scales[i]).collect();
        scales[output] = match (node.op.scale_rule(), &mut wide[set]) {
            (ScaleRule::Fixed(scale), _) => scale,
            (ScaleRule::OfInput, _) => inputs[0],
            (ScaleRule::Number, _) => Scale::int8(1.0, 0),
            (ScaleRule::OfValues, None) => scale_of(output, node.op.least_unit(&inputs, false)),
            (ScaleRule::OfValues, Some(wide)) => {
                let smallest = node.op.least_unit(&inputs, true);
                let before = Scale::int16(wide.reach, wide.most, wide.smallest);
                if smallest > wide.smallest && smallest > f64::from(before.scale) {
                    wide.smallest = smallest;
                    settled &= !met[set];
                }
                Scale::int16(wide.reach, wide.most, wide.smallest)
            }
        };
        met[set] = true;
    }
    (scales, settled)
}
