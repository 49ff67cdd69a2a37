//! What an input of a network is.

use tract_onnx::pb;

use crate::{
    budget::RANK,
    error::Error,
    importer::Hint,
    onnx::{self, Node},
    ops,
    shape::Shape,
    view::{Axis, View},
};

fn hint(node: &Node) -> Hint {
    ops::find(node.operator()).map_or(Hint::Nothing, |import| (import.hint)(node))
}

/// What the first reader of a value that looks at how it is arranged tells.
fn told(name: &str, nodes: &[Node]) -> Hint {
    let mut names = vec![name];
    for node in nodes {
        if node.inputs().iter().any(|input| names.contains(&input.as_str())) {
            match hint(node) {
                Hint::NoReader => {}
                Hint::Through => names.extend(node.output(0)),
                told => return told,
            }
        }
    }
    Hint::Nothing
}

/// How ONNX arranges an input, a whole tensor of ours: ONNX does not say which dimension is which, the first nodes that read it do.
pub(super) fn read(input: &pb::ValueInfoProto, nodes: &[Node], frames: Option<usize>) -> Result<View, Error> {
    let name = &input.name;
    let dims = onnx::declared_shape(input).ok_or_else(|| Error::Model(format!("input `{name}` has no shape")))?;
    if dims.len() > RANK {
        return Err(Error::Model(format!("input `{name}` has {} dimensions; supported: 2 to 4", dims.len())));
    }
    let shown: Vec<_> = dims.iter().map(|d| d.map_or("?".into(), |d| d.to_string())).collect();
    let shown = shown.join(", ");
    let wrong = |reason: &str| Error::Model(format!("input `{name}` [{shown}]: {reason}"));
    let told = told(name, nodes);
    let one_last = dims.last() == Some(&Some(1));
    let channels_last = told == Hint::ChannelsLast || told == Hint::ChannelsLastIfOne && one_last;
    let (none, time) = (None, Some(Axis::Time));
    let [height, width, channel] = [Axis::Height, Axis::Width, Axis::Channel].map(Some);
    let whole = |shape: Shape, steps: usize, axes: &[Option<Axis>]| Ok(View::new(0, shape, steps, axes));
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
            whole([1, 1, fixed(n)?], 1, &[none, channel])
        }
        [b, x, y, z] => {
            batch(b)?;
            let (x, y, z) = (fixed(x)?, fixed(y)?, fixed(z)?);
            match channels_last {
                true => whole([x, y, z], 1, &[none, height, width, channel]),
                false => whole([y, z, x], 1, &[none, channel, height, width]),
            }
        }
        [b, x, y] if !nodes.iter().any(|n| matches!(hint(n), Hint::Sequence { .. })) => {
            batch(b)?;
            let (x, y) = (fixed(x)?, fixed(y)?);
            match told {
                Hint::ChannelsFirst => whole([1, y, x], 1, &[none, channel, width]),
                _ => whole([1, x, y], 1, &[none, width, channel]),
            }
        }
        [first, second, features] => {
            let time_first = told == Hint::Sequence { time_first: true };
            let (b, t, axes) = match time_first {
                true => (second, first, [time, none, channel]),
                false => (first, second, [none, time, channel]),
            };
            batch(b)?;
            let steps = t.or(frames).ok_or_else(|| wrong("the length of the sequence is open; give --frames"))?;
            if !(2..=usize::from(u16::MAX)).contains(&steps) {
                return Err(wrong(&format!("a sequence of {steps} steps; allowed: 2..=65535")));
            }
            if let (Some(t), Some(f)) = (t, frames.filter(|&f| Some(f) != t)) {
                return Err(wrong(&format!("the sequence has {t} steps, the samples or the metadata {f}")));
            }
            whole([1, 1, fixed(features)?], steps, &axes)
        }
        _ => Err(wrong(
            "supported: [1, n], [1, channels, length], [1, channels, height, width], [1, height, width, channels], [1, time, n]",
        )),
    }
}
