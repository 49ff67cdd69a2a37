//! Constants of the graph and the folding of everything that follows from constants and shapes alone.

use ndarray::{ArrayD, Axis, IxDyn, Slice, concatenate};
use tract_onnx::pb::{self, tensor_proto::DataType};

use crate::{error::Error, onnx::Node};

/// A chain of shape operators has no business making anything larger (elements).
const LARGEST: usize = 1 << 26;

/// A tensor known before the network runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// Weights.
    Float(ArrayD<f32>),
    /// Shapes, axes, indices.
    Int(ArrayD<i64>),
}

/// Same code for both kinds of element.
macro_rules! both {
    ($constant:expr, $a:ident => $body:expr) => {
        match $constant {
            Constant::Float($a) => Constant::Float($body),
            Constant::Int($a) => Constant::Int($body),
        }
    };
}

impl Constant {
    /// Reads a tensor of the file. The message, not the node, is the error: the caller knows the node.
    pub fn from_proto(t: &pb::TensorProto) -> Result<Constant, String> {
        if t.data_location == Some(pb::tensor_proto::DataLocation::External as i32) || !t.external_data.is_empty() {
            return Err(format!("tensor `{}` lies in another file; supported: weights inside the ONNX file", t.name));
        }
        let dims: Vec<usize> = t
            .dims
            .iter()
            .map(|&d| usize::try_from(d).map_err(|_| format!("tensor `{}` has dimension {d}", t.name)))
            .collect::<Result<_, _>>()?;
        let wrong = |n: usize| format!("tensor `{}` has dimensions {dims:?} and {n} elements", t.name);
        let floats = |v: Vec<f32>| {
            let n = v.len();
            ArrayD::from_shape_vec(dims.clone(), v).map(Constant::Float).map_err(|_| wrong(n))
        };
        let ints = |v: Vec<i64>| {
            let n = v.len();
            ArrayD::from_shape_vec(dims.clone(), v).map(Constant::Int).map_err(|_| wrong(n))
        };
        // The data lie either as raw little-endian bytes or in the field of their type.
        fn raw<const N: usize, T>(bytes: &[u8], read: fn([u8; N]) -> T) -> Vec<T> {
            bytes.chunks_exact(N).map(|c| read(c.try_into().expect("chunks_exact gives N bytes"))).collect()
        }
        let bytes = &t.raw_data[..];
        let in_raw = !bytes.is_empty();
        match DataType::try_from(t.data_type) {
            Ok(DataType::Float) if in_raw => floats(raw(bytes, f32::from_le_bytes)),
            Ok(DataType::Float) => floats(t.float_data.clone()),
            Ok(DataType::Double) if in_raw => floats(raw(bytes, |b| f64::from_le_bytes(b) as f32)),
            Ok(DataType::Double) => floats(t.double_data.iter().map(|&v| v as f32).collect()),
            Ok(DataType::Int64) if in_raw => ints(raw(bytes, i64::from_le_bytes)),
            Ok(DataType::Int64) => ints(t.int64_data.clone()),
            Ok(DataType::Int32) if in_raw => ints(raw(bytes, |b| i64::from(i32::from_le_bytes(b)))),
            Ok(DataType::Bool) if in_raw => ints(bytes.iter().map(|&b| i64::from(b)).collect()),
            Ok(DataType::Int32 | DataType::Bool) => ints(t.int32_data.iter().map(|&v| i64::from(v)).collect()),
            _ => Err(format!(
                "tensor `{}` has data type {}; supported: float, double, int64, int32, bool",
                t.name, t.data_type
            )),
        }
    }

    /// Dimensions.
    pub fn shape(&self) -> &[usize] {
        match self {
            Constant::Float(a) => a.shape(),
            Constant::Int(a) => a.shape(),
        }
    }

    /// The numbers as a list of integers, if that is what they are.
    pub fn ints(&self) -> Option<Vec<i64>> {
        match self {
            Constant::Int(a) => Some(a.iter().copied().collect()),
            Constant::Float(_) => None,
        }
    }

    /// The weights, if that is what they are.
    pub fn floats(&self) -> Option<&ArrayD<f32>> {
        match self {
            Constant::Float(a) => Some(a),
            Constant::Int(_) => None,
        }
    }

    /// A shape as a constant.
    pub fn from_shape(shape: &[usize]) -> Constant {
        Constant::Int(ArrayD::from_shape_fn(IxDyn(&[shape.len()]), |i| shape[i[0]] as i64))
    }
}

/// An axis that may count from the end.
pub fn axis(node: &Node, name: &str, value: i64, rank: usize) -> Result<usize, Error> {
    let positive = if value < 0 { value + rank as i64 } else { value };
    if (0..rank as i64).contains(&positive) {
        Ok(positive as usize)
    } else {
        Err(node.unsupported(name, value, &format!("-{rank}..{rank}")))
    }
}

/// The axes of Squeeze, Unsqueeze or ReduceMean: an attribute in old operator sets, an input since 13 or 18.
pub fn axes(node: &Node, input: Option<&Constant>, rank: usize) -> Result<Option<Vec<usize>>, Error> {
    let list = match input {
        Some(c) => Some(c.ints().ok_or_else(|| node.wrong("axes must be integers"))?),
        None => node.ints("axes")?.map(<[i64]>::to_vec),
    };
    let Some(list) = list else { return Ok(None) };
    let mut axes = list.iter().map(|&a| axis(node, "axes", a, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(Some(axes))
}

/// The target of a Reshape with its 0 ("as before") and -1 ("what remains") resolved.
pub fn reshape_target(node: &Node, from: &[usize], to: &[i64]) -> Result<Vec<usize>, Error> {
    let wrong = || node.wrong(format!("cannot reshape {from:?} to {to:?}"));
    let keep_zero = node.int("allowzero")?.unwrap_or(0) == 0;
    let mut shape = Vec::with_capacity(to.len());
    let mut open = None;
    for (i, &d) in to.iter().enumerate() {
        shape.push(match d {
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            0 if keep_zero => *from.get(i).ok_or_else(wrong)?,
            d => usize::try_from(d).map_err(|_| wrong())?,
        });
    }
    let product = |s: &[usize]| s.iter().try_fold(1usize, |p, &d| p.checked_mul(d)).ok_or_else(wrong);
    let (have, want) = (product(from)?, product(&shape)?);
    if let Some(i) = open {
        if want == 0 || have % want != 0 {
            return Err(wrong());
        }
        shape[i] = have / want;
    } else if have != want {
        return Err(wrong());
    }
    Ok(shape)
}

/// A permutation of `rank` axes; ONNX reverses them where none is given.
pub fn permutation(node: &Node, rank: usize) -> Result<Vec<usize>, Error> {
    let Some(perm) = node.ints("perm")? else { return Ok((0..rank).rev().collect()) };
    let mut seen = vec![false; rank];
    for &p in perm {
        match usize::try_from(p).ok().filter(|&p| p < rank && !seen[p]) {
            Some(p) => seen[p] = true,
            None => {
                return Err(node.unsupported("perm", format!("{perm:?}"), &format!("a permutation of {rank} axes")));
            }
        }
    }
    if perm.len() != rank {
        return Err(node.unsupported("perm", format!("{perm:?}"), &format!("a permutation of {rank} axes")));
    }
    Ok(perm.iter().map(|&p| p as usize).collect())
}

/// The dimensions that two operands broadcast to.
fn broadcast(node: &Node, a: &[usize], b: &[usize]) -> Result<Vec<usize>, Error> {
    let rank = a.len().max(b.len());
    let at = |s: &[usize], i: usize| if i + s.len() >= rank { s[i + s.len() - rank] } else { 1 };
    let dims: Option<Vec<usize>> = (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect();
    let dims = dims.ok_or_else(|| node.wrong(format!("shapes {a:?} and {b:?} do not broadcast")))?;
    match dims.iter().try_fold(1usize, |p, &d| p.checked_mul(d)) {
        Some(n) if n <= LARGEST => Ok(dims),
        _ => Err(node.wrong(format!("a constant of shape {dims:?}; allowed: {LARGEST} elements"))),
    }
}

/// Is this operator one that [`fold`] can evaluate?
pub fn folds(operator: &str) -> bool {
    matches!(
        operator,
        "Constant"
            | "ConstantOfShape"
            | "Identity"
            | "Cast"
            | "Gather"
            | "Unsqueeze"
            | "Squeeze"
            | "Concat"
            | "Expand"
            | "Reshape"
            | "Transpose"
            | "Slice"
            | "Add"
            | "Sub"
            | "Mul"
            | "Div"
    )
}

/// Evaluates a node whose inputs are all constants.
///
/// # Errors
/// Inputs that do not fit the operator, or a result above 2^26 elements.
pub fn fold(node: &Node, inputs: &[Constant]) -> Result<Constant, Error> {
    let input = |i: usize| inputs.get(i).ok_or_else(|| node.wrong(format!("input {i} is missing")));
    let ints = |i: usize| input(i)?.ints().ok_or_else(|| node.wrong(format!("input {i} must be integers")));
    let misfit = |e: ndarray::ShapeError| node.wrong(e.to_string());
    match node.operator() {
        "Constant" => {
            match (node.tensor("value")?, node.float("value_float")?, node.int("value_int")?, node.ints("value_ints")?)
            {
                (Some(c), ..) => Ok(c),
                (_, Some(v), ..) => Ok(Constant::Float(ArrayD::from_elem(IxDyn(&[]), v))),
                (_, _, Some(v), _) => Ok(Constant::Int(ArrayD::from_elem(IxDyn(&[]), v))),
                (_, _, _, Some(v)) => {
                    Ok(Constant::Int(ArrayD::from_shape_vec(IxDyn(&[v.len()]), v.to_vec()).map_err(misfit)?))
                }
                _ => Err(node.unsupported("value", "(another kind)", "value, value_float, value_int, value_ints")),
            }
        }
        "ConstantOfShape" => {
            let dims = ints(0)?.iter().map(|&d| usize::try_from(d).ok()).collect::<Option<Vec<_>>>();
            let dims = broadcast(node, &dims.ok_or_else(|| node.wrong("a negative dimension"))?, &[])?;
            Ok(match node.tensor("value")? {
                None => Constant::Float(ArrayD::zeros(dims)),
                Some(c) => both!(c, a => {
                    let value = *a.iter().next().ok_or_else(|| node.wrong("value is empty"))?;
                    ArrayD::from_elem(dims, value)
                }),
            })
        }
        "Identity" => input(0).cloned(),
        "Cast" => {
            let to = node.int("to")?.unwrap_or(0);
            Ok(match (DataType::try_from(to as i32), input(0)?) {
                (Ok(DataType::Float | DataType::Double), Constant::Int(a)) => Constant::Float(a.mapv(|v| v as f32)),
                (Ok(DataType::Int64 | DataType::Int32), Constant::Float(a)) => Constant::Int(a.mapv(|v| v as i64)),
                (Ok(DataType::Float | DataType::Double | DataType::Int64 | DataType::Int32), c) => c.clone(),
                _ => return Err(node.unsupported("to", to, "float, double, int64, int32")),
            })
        }
        "Gather" => {
            let (data, Constant::Int(index)) = (input(0)?, input(1)?) else {
                return Err(node.wrong("indices must be integers"));
            };
            let along = axis(node, "axis", node.int("axis")?.unwrap_or(0), data.shape().len())?;
            let picks =
                index.iter().map(|&i| axis(node, "indices", i, data.shape()[along])).collect::<Result<Vec<_>, _>>()?;
            let mut dims = data.shape().to_vec();
            dims.splice(along..=along, index.shape().iter().copied());
            broadcast(node, &dims, &[])?;
            Ok(both!(data, a => a.select(Axis(along), &picks).into_shape_with_order(dims).map_err(misfit)?))
        }
        "Unsqueeze" => {
            let extra = inputs.get(1).map(|c| c.shape().iter().product()).or(node.ints("axes")?.map(<[i64]>::len));
            let rank = input(0)?.shape().len() + extra.unwrap_or(0);
            let axes = axes(node, inputs.get(1), rank)?.ok_or_else(|| node.wrong("axes are missing"))?;
            Ok(both!(input(0)?.clone(), a => axes.iter().fold(a, |a, &axis| a.insert_axis(Axis(axis)))))
        }
        "Squeeze" => {
            let data = input(0)?;
            let ones = || (0..data.shape().len()).filter(|&i| data.shape()[i] == 1).collect();
            let axes = axes(node, inputs.get(1), data.shape().len())?.unwrap_or_else(ones);
            if let Some(&i) = axes.iter().find(|&&i| data.shape()[i] != 1) {
                return Err(node.wrong(format!("axis {i} of {:?} is not 1", data.shape())));
            }
            Ok(both!(data.clone(), a => axes.iter().rev().fold(a, |a, &axis| a.index_axis_move(Axis(axis), 0))))
        }
        "Concat" => {
            let along = axis(node, "axis", node.int("axis")?.unwrap_or(0), input(0)?.shape().len())?;
            let mixed = || node.wrong("inputs of different types");
            Ok(match input(0)? {
                Constant::Float(_) => {
                    let views: Vec<_> =
                        inputs.iter().map(|c| c.floats().map(|a| a.view())).collect::<Option<_>>().ok_or_else(mixed)?;
                    Constant::Float(concatenate(Axis(along), &views).map_err(misfit)?)
                }
                Constant::Int(_) => {
                    let view = |c: &'_ Constant| if let Constant::Int(a) = c { Some(a.clone()) } else { None };
                    let arrays: Vec<_> = inputs.iter().map(view).collect::<Option<_>>().ok_or_else(mixed)?;
                    let views: Vec<_> = arrays.iter().map(|a| a.view()).collect();
                    Constant::Int(concatenate(Axis(along), &views).map_err(misfit)?)
                }
            })
        }
        "Expand" => {
            let to = ints(1)?.iter().map(|&d| usize::try_from(d).ok()).collect::<Option<Vec<_>>>();
            let dims = broadcast(node, input(0)?.shape(), &to.ok_or_else(|| node.wrong("a negative dimension"))?)?;
            Ok(
                both!(input(0)?, a => a.broadcast(dims).ok_or_else(|| node.wrong("shapes do not broadcast"))?.to_owned()),
            )
        }
        "Reshape" => {
            let dims = reshape_target(node, input(0)?.shape(), &ints(1)?)?;
            Ok(
                both!(input(0)?.clone(), a => a.as_standard_layout().into_owned().into_shape_with_order(dims).map_err(misfit)?),
            )
        }
        "Transpose" => {
            let perm = permutation(node, input(0)?.shape().len())?;
            Ok(both!(input(0)?.clone(), a => a.permuted_axes(perm).as_standard_layout().into_owned()))
        }
        "Slice" => {
            let data = input(0)?;
            let (starts, ends) = (ints(1)?, ints(2)?);
            let along = if inputs.len() > 3 { ints(3)? } else { (0..starts.len() as i64).collect() };
            let steps = if inputs.len() > 4 { ints(4)? } else { vec![1; starts.len()] };
            if ends.len() != starts.len() || along.len() != starts.len() || steps.iter().any(|&s| s != 1) {
                return Err(node.unsupported("steps", format!("{steps:?}"), "1, with as many starts, ends and axes"));
            }
            let mut out = data.clone();
            for ((&start, &end), &along) in starts.iter().zip(&ends).zip(&along) {
                let along = axis(node, "axes", along, data.shape().len())?;
                let n = data.shape()[along] as i64;
                let place = |i: i64| if i < 0 { (i.saturating_add(n)).max(0) } else { i.min(n) } as isize;
                let (start, end) = (place(start), place(end));
                let slice = Slice::new(start, Some(end.max(start)), 1);
                out = both!(out, a => a.slice_axis(Axis(along), slice).to_owned());
            }
            Ok(out)
        }
        operator => {
            let dims = broadcast(node, input(0)?.shape(), input(1)?.shape())?;
            match (input(0)?, input(1)?) {
                (Constant::Float(a), Constant::Float(b)) => {
                    let pair = a.broadcast(dims.clone()).zip(b.broadcast(dims));
                    let (a, b) = pair.ok_or_else(|| node.wrong("shapes do not broadcast"))?;
                    Ok(Constant::Float(match operator {
                        "Add" => &a + &b,
                        "Sub" => &a - &b,
                        "Mul" => &a * &b,
                        _ => &a / &b,
                    }))
                }
                (Constant::Int(a), Constant::Int(b)) => {
                    let pair = a.broadcast(dims.clone()).zip(b.broadcast(dims));
                    let (a, b) = pair.ok_or_else(|| node.wrong("shapes do not broadcast"))?;
                    let apply: fn(i64, i64) -> Option<i64> = match operator {
                        "Add" => i64::checked_add,
                        "Sub" => i64::checked_sub,
                        "Mul" => i64::checked_mul,
                        _ => i64::checked_div,
                    };
                    let mut out = a.to_owned();
                    for (x, &y) in out.iter_mut().zip(b.iter()) {
                        *x = apply(*x, y).ok_or_else(|| node.wrong("integer overflow or division by 0"))?;
                    }
                    Ok(Constant::Int(out))
                }
                _ => Err(node.wrong("inputs of different types")),
            }
        }
    }
}
