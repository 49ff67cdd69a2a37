//! What the tensors held in training, as the trainer writes it into the metadata: channels that spoil a layer's scale, and
//! samples that are unlike those of training.

use std::collections::HashMap;

use crate::{
    calibrate::Histogram,
    graph::{Graph, ScaleRule},
    metadata::{Activation, Outlier},
};

/// A channel is an outlier if its range is more than this many times that of the median channel.
///
/// One scale for a whole tensor gives a channel of range `r_i` the share `r_i / R` of the 256 steps (its precision in
/// Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019, section 4.1). At 8
/// the median channel has lost three of its eight bits: 32 steps are left.
pub const OUTLIER: f32 = 8.0;

/// Fewer channels than this have no median to speak of.
const CHANNELS: usize = 3;

/// Samples whose range is more than this many times that of training, or that many times smaller, are unlike it: one bit.
const UNLIKE: f32 = 2.0;

/// Channels named in a line.
const NAMED: usize = 4;

/// How far a tensor or channel reaches, with 0, which every scale holds.
fn reach(min: f32, max: f32) -> f32 {
    max.max(0.0) - min.min(0.0)
}

/// The channels whose range is out of proportion, the widest first; `channels` has the smallest and the largest value of
/// each. Channels that are always 0 are dead, and do not count for the median.
pub fn outliers(channels: &[(f32, f32)]) -> Vec<Outlier> {
    let ranges: Vec<f32> = channels.iter().map(|&(min, max)| reach(min, max)).collect();
    let mut alive: Vec<f32> = ranges.iter().copied().filter(|&r| r > 0.0).collect();
    if alive.len() < CHANNELS {
        return vec![];
    }
    alive.sort_unstable_by(f32::total_cmp);
    let median = alive[(alive.len() - 1) / 2];
    let times = ranges.iter().enumerate().map(|(channel, &r)| Outlier { channel, times: r / median });
    let mut found: Vec<Outlier> = times.filter(|o| o.times > OUTLIER).collect();
    found.sort_by(|a, b| b.times.total_cmp(&a.times));
    found
}

/// What to say of `trained`, and of what the calibration samples showed beside it. Tensors of which one of the two is
/// unknown are passed over, and those whose scale is fixed.
pub fn warnings(graph: &Graph, trained: &[Activation], seen: &[Histogram]) -> Vec<String> {
    let free = graph.nodes.iter().filter(|n| !matches!(n.op.scale_rule(), ScaleRule::Fixed(_) | ScaleRule::Number));
    let inputs = graph.inputs.iter().map(|i| (i.tensor, graph.tensors[i.tensor].name.as_str()));
    let layers = inputs.chain(free.map(|n| (n.output, n.name.as_str())));
    let by_name = by_name(trained);
    let (mut lines, mut beyond, mut below, mut all) = (vec![], vec![], vec![], 0);
    for (id, layer) in layers {
        let Some(known) = by_name.get(graph.tensors[id].name.as_str()) else { continue };
        lines.extend(spoilt(layer, &known.outliers));
        let (here, there) = (reach(seen[id].min, seen[id].max), reach(known.min, known.max));
        if !(here.is_finite() && there > 0.0) {
            continue;
        }
        all += 1;
        if here > there * UNLIKE {
            beyond.push((here / there, layer));
        } else if here * UNLIKE < there {
            below.push((here / there, layer));
        }
    }
    beyond.sort_by(|a, b| b.0.total_cmp(&a.0));
    below.sort_by(|a, b| a.0.total_cmp(&b.0));
    let most = |found: &[(f32, &str)]| named(found.iter().map(|(times, layer)| format!("`{layer}` {times:.2} times")));
    if !beyond.is_empty() {
        lines.push(format!(
            "the samples reach far beyond the range seen in training in {} of {all} layers ({}): are they prepared as the \
             training samples were?",
            beyond.len(),
            most(&beyond)
        ));
    }
    if !below.is_empty() {
        lines.push(format!(
            "the samples stay far below the range seen in training in {} of {all} layers ({}): larger values will be \
             clipped; take samples of every kind",
            below.len(),
            most(&below)
        ));
    }
    lines
}

/// The range that a quantization-aware training has given each tensor whose scale has to come from one; `None` if one is
/// missing. The front end's range of the first input goes first, as without such a training.
pub fn trained(graph: &Graph, known: &[Activation], input_range: Option<(f32, f32)>) -> Option<Vec<(f32, f32)>> {
    let mut needed = vec![false; graph.tensors.len()];
    graph.inputs.iter().for_each(|i| needed[i.tensor] = true);
    let free = graph.nodes.iter().filter(|n| n.op.scale_rule() == ScaleRule::OfValues);
    free.for_each(|n| needed[n.output] = true);
    let by_name = by_name(known);
    let of = |id: usize| match input_range {
        Some(range) if id == graph.input() => Some(range),
        _ if !needed[id] => Some((0.0, 0.0)),
        _ => by_name.get(graph.tensors[id].name.as_str())?.range,
    };
    (0..graph.tensors.len()).map(of).collect()
}

/// Where a name stands twice, its first entry.
fn by_name(known: &[Activation]) -> HashMap<&str, &Activation> {
    known.iter().rev().map(|a| (a.tensor.as_str(), a)).collect()
}

/// A layer with outlier channels, in words.
fn spoilt(layer: &str, outliers: &[Outlier]) -> Option<String> {
    let worst = outliers.first()?;
    let channels = named(outliers.iter().map(|o| format!("channel {} {:.1} times", o.channel, o.times)));
    Some(format!(
        "layer `{layer}`: in training, {channels} as far as the median channel, which is left {:.0} of 256 steps",
        256.0 / worst.times
    ))
}

/// The first few, and how many there are besides.
fn named(all: impl ExactSizeIterator<Item = String>) -> String {
    let more = all.len().saturating_sub(NAMED);
    let first = all.take(NAMED).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{first} and {more} more") } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_far_beyond_the_median_is_an_outlier() {
        let mut channels = vec![(0.0, 1.0), (-0.5, 0.5), (0.0, 0.0), (0.25, 2.0), (-1.0, 1.0)];
        assert_eq!(outliers(&channels), []);
        channels.extend([(0.0, 8.0), (-10.0, 15.0)]);
        // Ranges 1, 1, 2, 2, 8, 25 and a dead channel: the lower median is 2.
        assert_eq!(outliers(&channels), [Outlier { channel: 6, times: 12.5 }]);
        assert_eq!(outliers(&[(0.0, 1.0), (0.0, 100.0)]), [], "two channels have no median");
    }

    #[test]
    fn the_line_names_the_worst_and_what_is_left() {
        let found: Vec<Outlier> = (0..6).map(|channel| Outlier { channel, times: 64.0 - channel as f32 }).collect();
        let line = spoilt("a", &found).unwrap();
        assert!(
            line.contains("channel 0 64.0 times") && line.contains("and 2 more") && line.contains(" 4 of 256"),
            "{line}"
        );
        assert_eq!(spoilt("a", &[]), None);
    }
}
