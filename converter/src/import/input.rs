//! What an input of a network is.

use tract_onnx::pb::{self, tensor_proto::DataType};

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

/// Element types that are values of ours. Halves and doubles are taken as f32, int8 and uint8 as the whole numbers that they are.
const KINDS: [DataType; 6] =
    [DataType::Float, DataType::Float16, DataType::Bfloat16, DataType::Double, DataType::Int8, DataType::Uint8];

/// Is an input made of numbers of uint8, or of int8? `None` for floats.
pub(super) fn unsigned(input: &pb::ValueInfoProto) -> Option<bool> {
    match onnx::declared_type(input)? {
        DataType::Uint8 => Some(true),
        DataType::Int8 => Some(false),
        _ => None,
    }
}

/// How ONNX arranges an input, a whole tensor of ours: ONNX does not say which dimension is which, the first nodes that read it do.
/// `any_batch`: any dimensions will do.
pub(super) fn read(
    input: &pb::ValueInfoProto,
    nodes: &[Node],
    frames: Option<usize>,
    any_batch: bool,
) -> Result<View, Error> {
    let name = &input.name;
    let dims = onnx::declared_shape(input).ok_or_else(|| {
        Error::Model(format!("input `{name}` has no shape; give it by --inputs {name}=1x..., or export with shapes"))
    })?;
    if dims.len() > RANK {
        return Err(Error::Model(format!("input `{name}` has {} dimensions; supported: 2 to 4", dims.len())));
    }
    if let Some(kind) = onnx::declared_type(input).filter(|k| *k != DataType::Undefined && !KINDS.contains(k)) {
        let kind = kind.as_str_name().to_lowercase();
        return Err(Error::Model(format!("input `{name}` is of type {kind}; supported: float, int8, uint8")));
    }
    let told = told(name, nodes);
    let lengths: Option<Vec<usize>> = dims.iter().copied().collect();
    match (usual(name, &dims, nodes, told, frames), lengths.filter(|_| any_batch)) {
        (Err(_), Some(lengths)) => generic(name, &lengths, told),
        (view, _) => view,
    }
}

/// Dimensions of any number and length. Of a map the first is an outer part of the rows, so that what treats all pixels alike
/// treats it as it is.
fn generic(name: &str, lengths: &[usize], told: Hint) -> Result<View, Error> {
    let view = match (lengths, told) {
        (&[n, x, y, z], _) => {
            let (c, h, w, order) = match told {
                Hint::ChannelsLast => (z, x, y, [0, 1, 2, 3]),
                _ => (x, y, z, [0, 3, 1, 2]),
            };
            let rows = n.saturating_mul(h);
            let [height, width, channel] = [Axis::Height, Axis::Width, Axis::Channel].map(Some);
            let all = View::new(0, [rows, w, c], 1, &[height, width, channel]).reshape(&[n, h, w, c]);
            all.map(|all| View { dims: order.map(|d| all.dims[d].clone()).to_vec(), ..all })
        }
        (&[n, c, l], Hint::ChannelsFirst) => {
            let [height, width, channel] = [Axis::Height, Axis::Width, Axis::Channel].map(Some);
            Some(View::new(0, [n, l, c], 1, &[height, channel, width]))
        }
        _ => Some(View::fresh(lengths, 1)),
    };
    let fits = |view: &View| view.shape.iter().all(|d| (1..=usize::from(u16::MAX)).contains(d));
    let wrong = || Error::Model(format!("input `{name}` {lengths:?}: allowed: up to 65535 rows, columns, channels"));
    view.filter(fits).ok_or_else(wrong)
}

/// What users have: one sample at a time.
fn usual(name: &str, dims: &[Option<usize>], nodes: &[Node], told: Hint, frames: Option<usize>) -> Result<View, Error> {
    let shown: Vec<_> = dims.iter().map(|d| d.map_or("?".into(), |d| d.to_string())).collect();
    let one: Vec<_> = std::iter::once("1").chain(shown.iter().skip(1).map(String::as_str)).collect();
    let (shown, one) = (shown.join(", "), one.join("x"));
    let wrong = |reason: &str| Error::Model(format!("input `{name}` [{shown}]: {reason}"));
    let one_last = dims.last() == Some(&Some(1));
    let channels_last = told == Hint::ChannelsLast || told == Hint::ChannelsLastIfOne && one_last;
    let (none, time) = (None, Some(Axis::Time));
    let [height, width, channel] = [Axis::Height, Axis::Width, Axis::Channel].map(Some);
    let whole = |shape: Shape, steps: usize, axes: &[Option<Axis>]| Ok(View::new(0, shape, steps, axes));
    let batch = |d: Option<usize>| match d {
        None | Some(1) => Ok(()),
        Some(n) => Err(wrong(&format!(
            "the batch is fixed at {n}; supported: 1 or symbolic; export with one of these, or give --inputs {name}={one}"
        ))),
    };
    let fixed = |d: Option<usize>| {
        d.filter(|&d| d <= usize::from(u16::MAX))
            .ok_or_else(|| {
                wrong(&format!(
                    "all dimensions but batch and time must be 1..=65535; export with a fixed shape, or give --inputs {name}={}",
                    one.replace('?', "LENGTH")
                ))
            })
    };
    match *dims {
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

/// The input of an image with its three channels in the other order.
pub(super) fn swapped(view: &View) -> Result<View, Error> {
    let channels = view.along(&[Axis::Channel]);
    let dim = view.dims.iter().position(|dim| *dim == channels).filter(|_| view.length(Axis::Channel) == 3);
    let swapped = dim.and_then(|dim| view.slice(dim, 2, -1, 3));
    swapped.ok_or_else(|| Error::Model(format!("the first input {:?} has no three channels to swap", view.lengths())))
}
