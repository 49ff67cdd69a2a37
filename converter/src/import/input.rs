//! What the one input of a network is.

use tract_onnx::pb;

use crate::{
    budget::RANK,
    error::Error,
    graph::InputLayout,
    importer::Hint,
    onnx::{self, Node},
    ops,
    shape::Shape,
    view::{Axis, View},
};

fn hint(node: &Node) -> Hint {
    ops::find(node.operator()).map_or(Hint::Nothing, |import| (import.hint)(node))
}

/// What the one input is: ONNX does not say which dimension is which, the first nodes that read it do.
pub(super) fn read(
    input: &pb::ValueInfoProto,
    nodes: &[Node],
    frames: Option<usize>,
) -> Result<(InputLayout, Shape, usize), Error> {
    let name = &input.name;
    let dims = onnx::declared_shape(input).ok_or_else(|| Error::Model(format!("input `{name}` has no shape")))?;
    if dims.len() > RANK {
        return Err(Error::Model(format!("input `{name}` has {} dimensions; supported: 2 to 4", dims.len())));
    }
    let shown: Vec<_> = dims.iter().map(|d| d.map_or("?".into(), |d| d.to_string())).collect();
    let shown = shown.join(", ");
    let wrong = |reason: &str| Error::Model(format!("input `{name}` [{shown}]: {reason}"));
    let told = nodes.iter().filter(|n| n.inputs().contains(name)).map(hint).find(|&h| h != Hint::NoReader);
    let told = told.unwrap_or(Hint::Nothing);
    let one_last = dims.last() == Some(&Some(1));
    let channels_last = told == Hint::ChannelsLast || told == Hint::ChannelsLastIfOne && one_last;
    let batch = |d: Option<usize>| match d {
        None | Some(1) => Ok(()),
        Some(n) => Err(wrong(&format!("the batch is fixed at {n}; supported: 1 or symbolic"))),
    };
    let fixed = |d: Option<usize>| {
        d.filter(|&d| d <= usize::from(u16::MAX))
            .ok_or_else(|| wrong("all dimensions but batch and time must be 1..=65535"))
    };
    match dims[..] {
        [b, n] => {
            batch(b)?;
            Ok((InputLayout::Flat, [1, 1, fixed(n)?], 1))
        }
        [b, x, y, z] => {
            batch(b)?;
            let (x, y, z) = (fixed(x)?, fixed(y)?, fixed(z)?);
            match channels_last {
                true => Ok((InputLayout::Nhwc, [x, y, z], 1)),
                false => Ok((InputLayout::Nchw, [y, z, x], 1)),
            }
        }
        [first, second, features] => {
            let time_first = told == Hint::Sequence { time_first: true };
            let (b, t, layout) = match time_first {
                true => (second, first, InputLayout::TimeBatch),
                false => (first, second, InputLayout::BatchTime),
            };
            batch(b)?;
            if !nodes.iter().any(|n| matches!(hint(n), Hint::Sequence { .. })) {
                let recurrent = ops::recurrent().join(", ");
                let what = "three dimensions are a sequence, and no node is recurrent";
                return Err(wrong(&format!("{what}; supported: {recurrent}")));
            }
            let steps = t.or(frames).ok_or_else(|| wrong("the length of the sequence is open; give --frames"))?;
            if !(2..=usize::from(u16::MAX)).contains(&steps) {
                return Err(wrong(&format!("a sequence of {steps} steps; allowed: 2..=65535")));
            }
            if let (Some(t), Some(f)) = (t, frames.filter(|&f| Some(f) != t)) {
                return Err(wrong(&format!("the sequence has {t} steps, the samples or the metadata {f}")));
            }
            Ok((layout, [1, 1, fixed(features)?], steps))
        }
        _ => Err(wrong("supported: [1, n], [1, channels, height, width], [1, height, width, channels], [1, time, n]")),
    }
}

/// How ONNX sees an input of that form.
pub(super) fn view(layout: InputLayout, shape: Shape, steps: usize) -> View {
    let (none, time, channel) = (None, Some(Axis::Time), Some(Axis::Channel));
    let axes = match layout {
        InputLayout::Flat => vec![none, channel],
        InputLayout::Nchw => vec![none, channel, Some(Axis::Height), Some(Axis::Width)],
        InputLayout::Nhwc => vec![none, Some(Axis::Height), Some(Axis::Width), channel],
        InputLayout::BatchTime => vec![none, time, channel],
        InputLayout::TimeBatch => vec![time, none, channel],
    };
    View::new(0, shape, steps, &axes)
}
