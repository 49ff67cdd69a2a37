//! Graph -> [`QGraph`]: scales from calibrated ranges, int8 weights, fixed-point factors, and the proof that no sum
//! leaves its accumulator.

use escarp_runtime::quant::{SHIFT_MIN, SHIFT_MIN_WIDE};

use crate::{
    calibrate::{Histogram, Method},
    error::Error,
    graph::{Graph, Node},
    ops::{Op, conv::Conv, gru::Gru, pool::Pool},
    qgraph::{QAdd, QConv, QGraph, QGru, QNode, QOp, QPool, QTensor, Rows},
    scale::{Scale, multiplier, narrow, nearest_i8, nearest_i32, nearest_i64},
};

/// Fraction bits of the residual sum.
const Q12: f64 = 4096.0;
/// Largest residual factor, Q12.
const LARGEST_FACTOR: f64 = (1 << 21) as f64;
/// An int8 copy of a GRU's state: h in [-1, 1) in steps of 1/128.
const STATE: Scale = Scale { scale: 1.0 / 128.0, zero_point: 0 };

/// The range that each tensor's scale is made for: `input_range` of the input, where the front end knows it, else what
/// `method` makes of what the samples showed.
pub fn ranges(graph: &Graph, seen: &[Histogram], input_range: Option<(f32, f32)>, method: Method) -> Vec<(f32, f32)> {
    let range = |id: usize| match input_range {
        Some(range) if id == graph.input => range,
        _ if seen[id].min > seen[id].max => (0.0, 0.0),
        // Scores decide by their order at the top: clipping them would make ties.
        _ if id == graph.output => seen[id].range(Method::MinMax),
        _ => seen[id].range(method),
    };
    (0..graph.tensors.len()).map(range).collect()
}

/// Quantizes a folded graph, each tensor for its range.
///
/// # Errors
/// [`Error::Overflow`] if a channel's sums cannot be proved to stay inside i32; [`Error::Attribute`] for an operation
/// that folding should have removed and could not.
///
/// # Panics
/// If there is not one range for each tensor.
pub fn quantize(graph: &Graph, ranges: &[(f32, f32)]) -> Result<QGraph, Error> {
    assert_eq!(ranges.len(), graph.tensors.len(), "one range for each tensor");
    let tensor =
        |id: usize, scale: Scale| QTensor { name: graph.tensors[id].name.clone(), shape: graph.shape(id), scale };
    let scale_of = |id: usize, smallest: f64| Scale::of_range(ranges[id].0, ranges[id].1, smallest);
    let mut tensors: Vec<QTensor> = (0..graph.tensors.len()).map(|id| tensor(id, scale_of(id, 0.0))).collect();
    let mut nodes = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let inputs: Vec<Scale> = node.inputs.iter().map(|&i| tensors[i].scale).collect();
        let x = inputs[0];
        let factor = |s: Scale| f64::from(s.scale);
        let (op, scale) = match &node.op {
            Op::Conv(conv) => {
                let (op, scale) = quantize_conv(node, conv, &inputs, |least| scale_of(node.output, least))?;
                (QOp::Conv(op), scale)
            }
            Op::Add(add) => {
                let least = inputs.iter().map(|&s| factor(s) * Q12 / LARGEST_FACTOR).fold(0.0, f64::max);
                let scale = scale_of(node.output, least);
                let multipliers = [0, 1].map(|i| nearest_i32(factor(inputs[i]) / factor(scale) * Q12));
                let (min, max) = scale.limits(add.min, add.max);
                (QOp::Add(QAdd { multipliers, min, max }), scale)
            }
            Op::Pool(pool) => quantize_pool(pool, x, |least| scale_of(node.output, least), node)?,
            Op::Gru(gru) => (QOp::Gru(quantize_gru(node, gru, x)?), STATE),
            Op::Affine(_) | Op::Clamp(_) => {
                return Err(Error::Node {
                    node: node.name.clone(),
                    operator: node.operator.clone(),
                    reason: "was not folded into another step".into(),
                });
            }
        };
        tensors[node.output].scale = scale;
        nodes.push(QNode {
            name: node.name.clone(),
            operator: node.operator.clone(),
            op,
            inputs: node.inputs.clone(),
            output: node.output,
        });
    }
    Ok(QGraph {
        tensors,
        nodes,
        input: graph.input,
        output: graph.output,
        steps: graph.steps,
        output_kind: graph.output_kind,
        macs: graph.macs(),
    })
}

fn quantize_conv(
    node: &Node,
    conv: &Conv,
    inputs: &[Scale],
    output: impl Fn(f64) -> Scale,
) -> Result<(QConv, Scale), Error> {
    let x = inputs[0];
    let scales = row_scales(&conv.weight, &conv.bias, conv.depth(), x);
    let largest = scales.iter().copied().fold(0.0, f64::max);
    // A plain epilogue takes factors below 1/2: output steps are at least two accumulator units, which loses nothing.
    let (least, units, smallest_shift) = match conv.residual {
        false => (2.000_001 * f64::from(x.scale) * largest, 1.0, SHIFT_MIN),
        true => (f64::from(inputs[1].scale) * Q12 / LARGEST_FACTOR, Q12, SHIFT_MIN_WIDE),
    };
    let scale = output(least);
    let unit = f64::from(scale.scale) / units;
    let rows = quantize_rows(node, &conv.weight, &conv.bias, x, scales, unit, smallest_shift)?;
    let (min, max) = scale.limits(conv.min, conv.max);
    let residual = conv.residual.then(|| nearest_i32(f64::from(inputs[1].scale) / f64::from(scale.scale) * Q12));
    Ok((QConv { geometry: conv.geometry, inputs: conv.inputs, rows, min, max, residual }, scale))
}

fn quantize_pool(pool: &Pool, x: Scale, output: impl Fn(f64) -> Scale, node: &Node) -> Result<(QOp, Scale), Error> {
    // A maximum is one of its inputs and keeps their scale.
    let (scale, average) = match pool.average {
        false => (x, None),
        true => {
            let step = f64::from(x.scale) / pool.count() as f64;
            let scale = output(0.0);
            let factor = multiplier(step / f64::from(scale.scale), SHIFT_MIN_WIDE);
            (scale, Some(factor.ok_or_else(|| beyond(node, 0))?))
        }
    };
    let (min, max) = scale.limits(pool.min, pool.max);
    Ok((QOp::Pool(QPool { geometry: pool.geometry, average, min, max }), scale))
}

fn quantize_gru(node: &Node, gru: &Gru, x: Scale) -> Result<QGru, Error> {
    let rows = |weight: &[f32], bias: &[f32], depth: usize, x: Scale| {
        let scales = row_scales(weight, bias, depth, x);
        quantize_rows(node, weight, bias, x, scales, 1.0 / Q12, SHIFT_MIN_WIDE)
    };
    Ok(QGru {
        inputs: gru.inputs,
        hidden: gru.hidden,
        reset_after: gru.reset_after,
        input: rows(&gru.input_weight, &gru.input_bias, gru.inputs, x)?,
        state: rows(&gru.state_weight, &gru.state_bias, gru.hidden, STATE)?,
    })
}

/// Real value of one unit of weight, for each row.
fn row_scales(weight: &[f32], bias: &[f32], depth: usize, x: Scale) -> Vec<f64> {
    weight
        .chunks_exact(depth)
        .zip(bias)
        .map(|(row, bias)| {
            let largest = f64::from(row.iter().fold(0.0f32, |m, w| m.max(w.abs())));
            // The bias is counted in the same units and must leave half of i32 to the products.
            let for_bias = f64::from(bias.abs()) / f64::from(x.scale) / 2f64.powi(30);
            (largest / 127.0).max(for_bias).max(1e-30)
        })
        .collect()
}

fn beyond(node: &Node, channel: usize) -> Error {
    Error::Node {
        node: node.name.clone(),
        operator: node.operator.clone(),
        reason: format!("channel {channel}: the factor from sums to outputs is outside the fixed-point range"),
    }
}

/// int8 rows with biases and factors: `scales[row] * x.scale / unit` turns a sum into units of `unit`.
fn quantize_rows(
    node: &Node,
    weight: &[f32],
    bias: &[f32],
    x: Scale,
    scales: Vec<f64>,
    unit: f64,
    smallest_shift: u8,
) -> Result<Rows, Error> {
    let depth = weight.len() / bias.len();
    let mut rows = Rows::default();
    for (channel, (row, mut scale)) in weight.chunks_exact(depth).zip(scales).enumerate() {
        let input = f64::from(x.scale);
        // Rows of (nearly) nothing: the smallest factor that the epilogue takes is far below one output step.
        scale = scale.max(unit / input * 2f64.powi(-31));
        let ints: Vec<i8> = row.iter().map(|&w| nearest_i8((f64::from(w) / scale).clamp(-127.0, 127.0))).collect();
        let sum: i64 = ints.iter().map(|&w| i64::from(w)).sum();
        let reach: i64 = ints.iter().map(|&w| i64::from(w).abs()).sum();
        let whole =
            nearest_i64(f64::from(bias[channel]) / (input * scale)).saturating_sub(i64::from(x.zero_point) * sum);
        // A bias beyond i64 has become its end: nothing may be added to that unchecked.
        let bound = whole.saturating_abs().saturating_add(reach * 128);
        let whole = i32::try_from(whole).ok().filter(|_| bound < 1 << 31);
        let whole = whole.ok_or_else(|| Error::Overflow { node: node.name.clone(), channel, bound })?;
        let (m, shift) = multiplier(input * scale / unit, smallest_shift).ok_or_else(|| beyond(node, channel))?;
        rows.weight.extend(ints);
        rows.bias.push(whole);
        rows.multiplier.push(m);
        rows.shift.push(shift);
        rows.scale.push(narrow(scale));
    }
    Ok(rows)
}
