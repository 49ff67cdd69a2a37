//! Channels of one tensor share a scale: beside one that reaches far, the others are left few of its steps. Where what makes a tensor and
//! what reads it have weights, or let a factor for each channel through, the narrow channels are magnified on the way, and the network
//! computes the same. (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019, section
//! 4.1. Each row of weights has a scale of its own here, so what makes the tensor loses nothing.)
//!
//! One limit for all channels (ReLU6) goes along for those that stay so far below it that their magnified values do too.

use crate::{
    calibrate::Histogram,
    graph::{Factors, Graph},
    scale::narrow,
    shape::TensorId,
};

/// Most that a channel is magnified.
const MOST: f64 = 64.0;

/// For each tensor the first of those that must have its factors too; `None` where channels must be what they are.
pub fn sets(graph: &Graph) -> Vec<Option<TensorId>> {
    fn first(before: &[TensorId], mut id: TensorId) -> TensorId {
        while before[id] != id {
            id = before[id];
        }
        id
    }
    let mut before: Vec<TensorId> = (0..graph.tensors.len()).collect();
    let ends = graph.inputs.iter().map(|i| i.tensor).chain(graph.outputs.iter().map(|o| o.tensor));
    let mut fixed: Vec<TensorId> = ends.collect();
    for node in &graph.nodes {
        let channels = node.op.channels();
        for (at, &input) in node.inputs.iter().enumerate() {
            match channels.inputs.get(at) {
                None | Some(Factors::None) => fixed.push(input),
                Some(Factors::Weights) => {}
                Some(Factors::Through) if graph.shape(input)[2] == graph.shape(node.output)[2] => {
                    let (a, b) = (first(&before, input), first(&before, node.output));
                    before[a.max(b)] = a.min(b);
                }
                Some(Factors::Through) => fixed.extend([input, node.output]),
            }
        }
        if channels.output == Factors::None {
            fixed.push(node.output);
        }
    }
    // One that must be what it is speaks for its set.
    let mut open = vec![true; before.len()];
    fixed.iter().for_each(|&id| open[first(&before, id)] = false);
    (0..before.len()).map(|id| Some(first(&before, id)).filter(|&first| open[first])).collect()
}

fn reach((min, max): (f32, f32)) -> f64 {
    f64::from(max.max(0.0)) - f64::from(min.min(0.0))
}

/// Factors of tensors that have them together; at least 1.
fn factors(graph: &Graph, seen: &[Histogram], members: &[TensorId], roots: u32) -> Vec<f32> {
    let channels = members.first().map_or(0, |&id| graph.shape(id)[2]);
    // What of a tensor's reach each channel has, at most of all these tensors, and the largest factor that no limit cuts.
    let (mut share, mut most) = (vec![0f64; channels], vec![MOST; channels]);
    for &id in members {
        let whole = seen[id].channels.iter().map(|&c| reach(c)).fold(0.0, f64::max);
        for (share, &channel) in share.iter_mut().zip(&seen[id].channels).filter(|_| whole > 0.0) {
            *share = share.max(reach(channel) / whole);
        }
    }
    for node in graph.nodes.iter().filter(|n| members.contains(&n.output)) {
        let limits = node.op.channels().limits;
        for (most, &(min, max)) in most.iter_mut().zip(&seen[node.output].channels) {
            for (limit, end) in [(limits.max, max), (-limits.min, -min)] {
                if limit < 0.0 {
                    *most = 1.0; // On the wrong side of 0 it moves the values themselves.
                } else if limit.is_finite() && end > 0.0 {
                    *most = most.min(f64::from(limit) / f64::from(end));
                }
            }
        }
    }
    let wanted = |share: f64| (0..roots).fold(1.0 / share, |f, _| f.sqrt());
    let of = |(&share, &most): (&f64, &f64)| if share > 0.0 { narrow(wanted(share).min(most).max(1.0)) } else { 1.0 };
    share.iter().zip(&most).map(of).collect()
}

/// Brings channels together: one that reaches the part `r` of what its tensor's widest does is magnified by `1 / r`, of which so many
/// square roots are taken, as far as limits let it. Gives how many tensors that changed.
pub fn equalize(graph: &mut Graph, seen: &[Histogram], roots: u32) -> usize {
    let mut members: Vec<Vec<TensorId>> = vec![vec![]; graph.tensors.len()];
    for (id, set) in sets(graph).into_iter().enumerate() {
        if let Some(first) = set.filter(|_| seen[id].min <= seen[id].max) {
            members[first].push(id);
        }
    }
    let mut all: Vec<Option<Vec<f32>>> = vec![None; graph.tensors.len()];
    for members in &members {
        let factors = factors(graph, seen, members, roots);
        if factors.iter().any(|&f| f > 1.0) {
            members.iter().for_each(|&id| all[id] = Some(factors.clone()));
        }
    }
    for node in &mut graph.nodes {
        let Some(&input) = node.inputs.first() else { continue };
        let channels = node.op.channels();
        let of = |id: TensorId, end: Option<Factors>| all[id].as_ref().filter(|_| end == Some(Factors::Weights));
        let ends = (of(input, channels.inputs.first().copied()), of(node.output, Some(channels.output)));
        if ends != (None, None) {
            let or_ones = |given: Option<&Vec<f32>>, id: TensorId| {
                given.map_or_else(|| vec![1.0; graph.tensors[id].shape[2]], Vec::clone)
            };
            node.op.scale_channels(&or_ones(ends.0, input), &or_ones(ends.1, node.output));
        }
    }
    all.iter().flatten().count()
}
