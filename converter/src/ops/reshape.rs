//! Operators that move no data of ours: they only change how ONNX sees a tensor.

use tract_onnx::pb::tensor_proto::DataType;

use super::arrange::moved;
use crate::{
    axes,
    constant::Constant,
    error::Error,
    importer::{Hint, Import, Importer},
    onnx::Node,
    view::{Dim, View},
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[
    ("Transpose", Import::new(import).hint(transposed)),
    ("Reshape", Import::new(import).hint(|_| Hint::ChannelsLastIfOne)),
    ("Flatten", Import::new(import)),
    ("Squeeze", Import::new(import)),
    ("Unsqueeze", Import::new(import)),
    ("Identity", Import::new(import).hint(|_| Hint::Through)),
    ("Dropout", Import::new(import).hint(|_| Hint::Through)),
    ("Cast", Import::new(import).hint(|_| Hint::Through)),
    ("Shape", Import::new(import_shape).hint(|_| Hint::NoReader)),
    ("Size", Import::new(import_size).hint(|_| Hint::NoReader)),
];

/// Keras models begin with a Transpose to channels first, or with one channel a Reshape, which does the same.
fn transposed(node: &Node) -> Hint {
    match node.ints("perm") {
        Ok(Some([0, 3, 1, 2] | [0, 2, 1])) => Hint::ChannelsLast,
        _ => Hint::Nothing,
    }
}

/// The shape of anything is a constant once the batch is one and the sequence has a length. `start` and `end` are cut to its
/// dimensions.
fn import_shape(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["start", "end"])?;
    let lengths = importer.lengths(node, 0)?;
    let rank = i64::try_from(lengths.len()).unwrap_or(i64::MAX);
    let (start, end) = (node.int("start")?.unwrap_or(0), node.int("end")?.unwrap_or(rank));
    let (first, count) = axes::span(node, lengths.len(), start, end, 1)?;
    importer.define_constant(node, 0, Constant::from_shape(&lengths[first..first + count]))
}

/// And so is the number of its elements.
fn import_size(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&[])?;
    let lengths = importer.lengths(node, 0)?;
    let size = lengths.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).and_then(|n| i64::try_from(n).ok());
    let size = size.ok_or_else(|| node.wrong(format!("an input of {lengths:?}")))?;
    importer.define_constant(node, 0, Constant::Int(ndarray::ArrayD::from_elem(ndarray::IxDyn(&[]), size)))
}

/// Transpose, Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout, Cast.
fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    let x = importer.view(node, 0)?;
    let lengths = x.lengths();
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
            view = cut(importer, node, &x, &axes::reshape_target(node, &lengths, &target)?)?;
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
            view = cut(importer, node, &x, &[lengths[..at].iter().product(), lengths[at..].iter().product()])?;
        }
        "Squeeze" => {
            node.only(&["axes"])?;
            let ones = || (0..lengths.len()).filter(|&i| lengths[i] == 1).collect();
            let axes = axes::axes(node, importer.constant(node, 1)?, lengths.len())?.unwrap_or_else(ones);
            for &axis in axes.iter().rev() {
                if view.dims.remove(axis) != Dim::ONE {
                    return Err(node.wrong(format!("axis {axis} of {lengths:?} is not 1")));
                }
            }
        }
        "Unsqueeze" => {
            node.only(&["axes"])?;
            // Ascending and each once: the place is there when its turn comes.
            for axis in axes::new_axes(node, importer.constant(node, 1)?, lengths.len())? {
                view.dims.insert(axis, Dim::ONE);
            }
        }
        "Dropout" => dropout(importer, node, &lengths)?,
        "Cast" => cast(node)?,
        _ => node.only(&[])?,
    }
    importer.define(node, 0, view)
}

/// In inference, or at a ratio of 0, a Dropout passes its input on; the mask that it may tell is true everywhere. Its other inputs are one
/// number each: tract reads memory that is not there if one is empty, which no fence catches.
fn dropout(importer: &mut Importer, node: &Node, lengths: &[usize]) -> Result<(), Error> {
    node.only(&["ratio", "seed", "is_test"])?;
    let number = |index: usize, name: &str| match (node.input(index), importer.constant(node, index)?) {
        (None, _) => Ok(None),
        (_, Some(c)) if c.shape().iter().product::<usize>() == 1 => Ok(Some(c)),
        _ => Err(node.unsupported(name, "(not one constant)", "one constant")),
    };
    let keeps_all =
        number(1, "ratio")?.and_then(Constant::floats).is_some_and(|ratio| ratio.iter().all(|&ratio| ratio == 0.0));
    if let Some(training) = number(2, "training_mode")?
        && axes::list(node, "training_mode", training)? != [0]
        && !keeps_all
    {
        return Err(node.unsupported("training_mode", "true", "false (inference)"));
    }
    if node.output(1).is_some() {
        let bytes = lengths.iter().fold(size_of::<i64>(), |bytes, &d| bytes.saturating_mul(d));
        importer.charge(node, "its mask", bytes)?;
        let all = ndarray::ArrayD::from_elem(ndarray::IxDyn(lengths), 1);
        importer.define_constant(node, 1, Constant::Int(all))?;
    }
    Ok(())
}

/// Values are floats of any width here: a cast to one changes none.
fn cast(node: &Node) -> Result<(), Error> {
    node.only(&["to", "saturate", "round_mode"])?;
    let to = node.int("to")?.and_then(|to| i32::try_from(to).ok()).and_then(|to| DataType::try_from(to).ok());
    match to {
        Some(DataType::Float | DataType::Float16 | DataType::Bfloat16 | DataType::Double) => Ok(()),
        other => {
            let to = other.map_or_else(String::new, |to| to.as_str_name().to_lowercase());
            Err(node.unsupported("to", to, "float, float16, bfloat16, double, of data that depend on the sample"))
        }
    }
}

/// The same elements in other dimensions, moved where no view of them has those.
fn cut(importer: &mut Importer, node: &Node, x: &View, lengths: &[usize]) -> Result<View, Error> {
    match x.reshape(lengths) {
        Some(view) => Ok(view),
        None if x.has_time() => {
            let what = format!("{:?} to {lengths:?}", x.lengths());
            Err(node.unsupported("shape", what, "keeping time a dimension of its own"))
        }
        None => {
            // Seen with the old dimensions the new tensor is where they go; a row of all values has any.
            let (new, row) = (View::fresh(lengths, x.steps), View::fresh(&[lengths.iter().product()], x.steps));
            let to = [new, row].iter().find_map(|new| Some((new.reshape(&x.lengths())?, new.reshape(lengths)?)));
            let (to, view) = to.ok_or_else(|| node.wrong(format!("cannot cut {:?} to {lengths:?}", x.lengths())))?;
            let moved = moved(importer, node, x, &to)?;
            Ok(view.on(moved.tensor))
        }
    }
}
