//! Operators that move no data of ours: they only change how ONNX sees a tensor.

use crate::{
    axes,
    constant::Constant,
    error::Error,
    importer::{Hint, Import, Importer},
    onnx::Node,
    view::{Axis, Dim, View},
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[
    ("Transpose", Import::new(import).hint(transposed)),
    ("Reshape", Import::new(import).hint(|_| Hint::ChannelsLastIfOne)),
    ("Flatten", Import::new(import)),
    ("Squeeze", Import::new(import)),
    ("Unsqueeze", Import::new(import)),
    ("Gather", Import::new(import_gather).remark("last step")),
    ("Identity", Import::new(import)),
    ("Dropout", Import::new(import)),
    ("Shape", Import::new(import_shape).hint(|_| Hint::NoReader)),
];

/// Keras models begin with a Transpose to channels first, or with one channel a Reshape, which does the same.
fn transposed(node: &Node) -> Hint {
    let channels_first = node.ints("perm").is_ok_and(|perm| perm == Some(&[0, 3, 1, 2]));
    if channels_first { Hint::ChannelsLast } else { Hint::Nothing }
}

/// The shape of anything is a constant once the batch is one and the sequence has a length.
fn import_shape(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&[])?;
    let lengths = importer.lengths(node, 0)?;
    importer.define_constant(node, 0, Constant::from_shape(&lengths))
}

/// Transpose, Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout.
fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    let x = importer.view(node, 0)?;
    let lengths = x.lengths();
    let one = Dim { length: 1, axes: vec![] };
    let mut view = x.clone();
    match node.operator() {
        "Transpose" => {
            node.only(&["perm"])?;
            view.dims = axes::permutation(node, lengths.len())?.iter().map(|&p| x.dims[p].clone()).collect();
        }
        "Reshape" => {
            node.only(&["allowzero", "shape"])?;
            let target = match (importer.constant(node, 1)?, node.ints("shape")?) {
                (Some(c), _) => axes::list(node, "shape", c)?,
                (None, Some(ints)) => ints.to_vec(),
                (None, None) => return Err(node.unsupported("shape", "(not constant)", "a constant")),
            };
            view = cut(node, &x, &axes::reshape_target(node, &lengths, &target)?)?;
        }
        "Flatten" => {
            node.only(&["axis"])?;
            // Flatten's axis may be the rank itself.
            let given = node.int("axis")?.unwrap_or(1);
            let at = if usize::try_from(given) == Ok(lengths.len()) {
                lengths.len()
            } else {
                axes::axis(node, "axis", given, lengths.len())?
            };
            view = cut(node, &x, &[lengths[..at].iter().product(), lengths[at..].iter().product()])?;
        }
        "Squeeze" => {
            node.only(&["axes"])?;
            let ones = || (0..lengths.len()).filter(|&i| lengths[i] == 1).collect();
            let axes = axes::axes(node, importer.constant(node, 1)?, lengths.len())?.unwrap_or_else(ones);
            for &axis in axes.iter().rev() {
                if view.dims.remove(axis) != one {
                    return Err(node.wrong(format!("axis {axis} of {lengths:?} is not 1")));
                }
            }
        }
        "Unsqueeze" => {
            node.only(&["axes"])?;
            // Ascending and each once: the place is there when its turn comes.
            for axis in axes::new_axes(node, importer.constant(node, 1)?, lengths.len())? {
                view.dims.insert(axis, one.clone());
            }
        }
        "Dropout" => dropout(importer, node)?,
        _ => node.only(&[])?,
    }
    importer.define(node, 0, view)
}

/// In inference a Dropout passes its input on. Its other inputs are one number each: tract reads memory that is not there if
/// one is empty, which no fence catches.
fn dropout(importer: &Importer, node: &Node) -> Result<(), Error> {
    node.only(&["ratio", "seed", "is_test"])?;
    for (index, name) in [(1, "ratio"), (2, "training_mode")] {
        if node.input(index).is_none() {
            continue;
        }
        let constant = importer.constant(node, index)?;
        let Some(constant) = constant.filter(|c| c.shape().iter().product::<usize>() == 1) else {
            return Err(node.unsupported(name, "(not one constant)", "one constant"));
        };
        if name == "training_mode" && axes::list(node, name, constant)? != [0] {
            return Err(node.unsupported(name, "true", "false (inference)"));
        }
    }
    Ok(())
}

fn cut(node: &Node, x: &View, lengths: &[usize]) -> Result<View, Error> {
    x.reshape(lengths).ok_or_else(|| {
        let what = format!("{:?} to {lengths:?}", x.lengths());
        node.unsupported("shape", what, "merging whole dimensions, or parting them again, without moving data")
    })
}

/// Gather of the last time step: the state after the whole sequence is what a streaming step leaves behind.
fn import_gather(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["axis"])?;
    let x = importer.view(node, 0)?;
    let along = axes::axis(node, "axis", node.int("axis")?.unwrap_or(0), x.dims.len())?;
    let Some(index) = importer.constant(node, 1)?.filter(|c| c.shape().iter().all(|&d| d == 1)) else {
        return Err(node.unsupported("indices", "(not one constant)", "the last time step"));
    };
    let rank = index.shape().len();
    axes::fits_rank(node, x.dims.len() - 1 + rank)?;
    let index = axes::list(node, "indices", index)?[0];
    let place = axes::axis(node, "indices", index, x.dims[along].length)?;
    let of_time = x.dims[along].axes == [Axis::Time];
    if !(of_time && place + 1 == x.steps || x.dims[along].axes.is_empty()) {
        let what = format!("{index} along dimension {along} of {:?}", x.lengths());
        return Err(node.unsupported("indices", what, "the last time step, or the only element"));
    }
    let mut view = x.clone();
    view.dims.splice(along..=along, (0..rank).map(|_| Dim { length: 1, axes: vec![] }));
    importer.define(node, 0, view)
}
