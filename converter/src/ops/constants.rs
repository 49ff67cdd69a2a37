//! Folding: what follows from constants and shapes alone. Each result's memory is taken from the budget before it is made.

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn, ShapeError, Slice, concatenate};
use tract_onnx::pb::tensor_proto::DataType;

use crate::{
    axes::{axes, axis, fits_rank, list, new_axes, permutation, reshape_target},
    budget::Budget,
    constant::Constant,
    error::Error,
    onnx::Node,
};

/// Same code for both kinds of element.
macro_rules! both {
    ($constant:expr, $a:ident => $body:expr) => {
        match $constant {
            Constant::Float($a) => Constant::Float($body),
            Constant::Int($a) => Constant::Int($body),
        }
    };
}

/// A node, its inputs (`None` where an optional one is left out) and the account of what it makes.
struct Job<'a> {
    node: &'a Node<'a>,
    inputs: &'a [Option<&'a Constant>],
    budget: &'a Budget,
}

type Folder = fn(&Job) -> Result<Constant, Error>;

/// The operators that [`fold`] evaluates.
const FOLDERS: &[(&str, Folder)] = &[
    ("Constant", constant),
    ("ConstantOfShape", constant_of_shape),
    ("Identity", identity),
    ("Cast", cast),
    ("Gather", gather),
    ("Unsqueeze", unsqueeze),
    ("Squeeze", squeeze),
    ("Concat", concat),
    ("Expand", expand),
    ("Reshape", reshape),
    ("Transpose", transpose),
    ("Slice", slice),
    ("Add", arithmetic),
    ("Sub", arithmetic),
    ("Mul", arithmetic),
    ("Div", arithmetic),
];

fn folder(operator: &str) -> Option<Folder> {
    FOLDERS.iter().find(|(name, _)| *name == operator).map(|&(_, folder)| folder)
}

/// The operators that [`fold`] evaluates.
pub fn names() -> impl Iterator<Item = &'static str> {
    FOLDERS.iter().map(|&(name, _)| name)
}

/// Is this operator one that [`fold`] can evaluate?
pub fn folds(operator: &str) -> bool {
    folder(operator).is_some()
}

/// Evaluates a node whose inputs are all constants, or left out.
///
/// # Errors
/// Inputs that do not fit the operator, or a result that the budget has no memory for.
pub fn fold(node: &Node, inputs: &[Option<&Constant>], budget: &Budget) -> Result<Constant, Error> {
    let folder = folder(node.operator()).ok_or_else(|| node.wrong("is not evaluated on constants"))?;
    folder(&Job { node, inputs, budget })
}

impl<'a> Job<'a> {
    fn input(&self, index: usize) -> Result<&'a Constant, Error> {
        self.optional(index).ok_or_else(|| self.node.wrong(format!("input {index} is missing")))
    }

    fn optional(&self, index: usize) -> Option<&'a Constant> {
        self.inputs.get(index).copied().flatten()
    }

    /// Input `index`, a list of places or lengths.
    fn list(&self, index: usize) -> Result<Vec<i64>, Error> {
        list(self.node, &format!("input {index}"), self.input(index)?)
    }

    /// Input `index`, a list of lengths.
    fn lengths(&self, index: usize) -> Result<Vec<usize>, Error> {
        let list = self.list(index)?;
        let lengths = list.iter().map(|&d| usize::try_from(d).ok()).collect::<Option<_>>();
        lengths.ok_or_else(|| self.node.wrong(format!("input {index}, {list:?}, has a negative dimension")))
    }

    /// Takes memory for a result of these dimensions and the elements of `like`.
    fn room(&self, dims: &[usize], like: &Constant) -> Result<(), Error> {
        fits_rank(self.node, dims.len())?;
        let width = match like {
            Constant::Float(_) => size_of::<f32>(),
            Constant::Int(_) => size_of::<i64>(),
        };
        let wrong = |e: String| self.node.wrong(format!("a constant of shape {dims:?} {e}"));
        self.budget.array(dims, width).map_err(wrong)
    }

    fn misfit(&self, e: ShapeError) -> Error {
        self.node.wrong(e.to_string())
    }

    /// The dimensions that two operands broadcast to.
    fn broadcast(&self, a: &[usize], b: &[usize]) -> Result<Vec<usize>, Error> {
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
        dims.ok_or_else(|| self.node.wrong(format!("shapes {a:?} and {b:?} do not broadcast")))
    }
}

fn constant(job: &Job) -> Result<Constant, Error> {
    let node = job.node;
    let (float, int, ints) = (node.float("value_float")?, node.int("value_int")?, node.ints("value_ints")?);
    match (node.tensor("value", job.budget)?, float, int, ints) {
        (Some(c), ..) => Ok(c),
        (_, Some(v), ..) => Ok(Constant::Float(ArrayD::from_elem(IxDyn(&[]), v))),
        (_, _, Some(v), _) => Ok(Constant::Int(ArrayD::from_elem(IxDyn(&[]), v))),
        (_, _, _, Some(v)) => {
            job.room(&[v.len()], &Constant::from_shape(&[]))?;
            Ok(Constant::Int(ArrayD::from_shape_vec(IxDyn(&[v.len()]), v.to_vec()).map_err(|e| job.misfit(e))?))
        }
        _ => Err(node.unsupported("value", "(another kind)", "value, value_float, value_int, value_ints")),
    }
}

fn constant_of_shape(job: &Job) -> Result<Constant, Error> {
    let dims = job.lengths(0)?;
    let value = match job.node.tensor("value", job.budget)? {
        None => Constant::Float(ArrayD::zeros(IxDyn(&[1]))),
        Some(c) if c.shape().iter().all(|&d| d == 1) => c,
        Some(c) => return Err(job.node.unsupported("value", format!("of shape {:?}", c.shape()), "one number")),
    };
    job.room(&dims, &value)?;
    Ok(both!(&value, a => ArrayD::from_elem(dims, a.iter().copied().next().unwrap_or_default())))
}

fn identity(job: &Job) -> Result<Constant, Error> {
    let c = job.input(0)?;
    job.room(c.shape(), c)?;
    Ok(c.clone())
}

fn cast(job: &Job) -> Result<Constant, Error> {
    let (c, to) = (job.input(0)?, job.node.int("to")?.unwrap_or(0));
    let kind = i32::try_from(to).ok().and_then(|to| DataType::try_from(to).ok());
    // An integer takes 8 bytes, a float 4: room for the larger.
    job.room(c.shape(), &Constant::from_shape(&[]))?;
    let whole = |v: f32| {
        // 2^63 is the first float beyond; a NaN is in no range.
        let inside = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&v);
        #[expect(clippy::cast_possible_truncation, reason = "ONNX rounds towards zero; the range was asked for before")]
        let whole = v as i64;
        inside.then_some(whole)
    };
    let narrow = |v: &i64| kind != Some(DataType::Int32) || i32::try_from(*v).is_ok();
    let ints = match (kind, c) {
        (Some(DataType::Float | DataType::Double), Constant::Int(a)) => {
            return Ok(Constant::Float(a.mapv(|v| v as f32)));
        }
        (Some(DataType::Float | DataType::Double), Constant::Float(a)) => return Ok(Constant::Float(a.clone())),
        (Some(DataType::Int64 | DataType::Int32), Constant::Int(a)) => Some(a.clone()),
        (Some(DataType::Int64 | DataType::Int32), Constant::Float(a)) => {
            let ints: Option<Vec<i64>> = a.iter().map(|&v| whole(v)).collect();
            ints.and_then(|ints| ArrayD::from_shape_vec(a.raw_dim(), ints).ok())
        }
        _ => return Err(job.node.unsupported("to", to, "float, double, int64, int32")),
    };
    let ints = ints.filter(|ints| ints.iter().all(narrow));
    ints.map(Constant::Int).ok_or_else(|| job.node.wrong("holds a number that the new type has not"))
}

fn gather(job: &Job) -> Result<Constant, Error> {
    let (data, Constant::Int(index)) = (job.input(0)?, job.input(1)?) else {
        return Err(job.node.wrong("indices must be integers"));
    };
    let shape = data.shape();
    let along = axis(job.node, "axis", job.node.int("axis")?.unwrap_or(0), shape.len())?;
    let mut dims = shape.to_vec();
    dims.splice(along..=along, index.shape().iter().copied());
    job.room(&dims, data)?;
    // And for the indices as places.
    job.room(index.shape(), &Constant::from_shape(&[]))?;
    let picks = index.iter().map(|&i| axis(job.node, "indices", i, shape[along])).collect::<Result<Vec<_>, _>>()?;
    let wrong = |e| job.misfit(e);
    Ok(both!(data, a => standard(&a.select(Axis(along), &picks).view()).into_shape_with_order(dims).map_err(wrong)?))
}

fn unsqueeze(job: &Job) -> Result<Constant, Error> {
    let data = job.input(0)?;
    let axes = new_axes(job.node, job.optional(1), data.shape().len())?;
    job.room(data.shape(), data)?;
    Ok(both!(data.clone(), a => axes.iter().fold(a, |a, &axis| a.insert_axis(Axis(axis)))))
}

fn squeeze(job: &Job) -> Result<Constant, Error> {
    let data = job.input(0)?;
    let shape = data.shape();
    let ones = || (0..shape.len()).filter(|&i| shape[i] == 1).collect();
    let axes = axes(job.node, job.optional(1), shape.len())?.unwrap_or_else(ones);
    if let Some(&i) = axes.iter().find(|&&i| shape[i] != 1) {
        return Err(job.node.wrong(format!("axis {i} of {shape:?} is not 1")));
    }
    job.room(shape, data)?;
    Ok(both!(data.clone(), a => axes.iter().rev().fold(a, |a, &axis| a.index_axis_move(Axis(axis), 0))))
}

fn concat(job: &Job) -> Result<Constant, Error> {
    let first = job.input(0)?;
    let along = axis(job.node, "axis", job.node.int("axis")?.unwrap_or(0), first.shape().len())?;
    let mut dims = first.shape().to_vec();
    dims[along] = 0;
    for index in 0..job.inputs.len() {
        let shape = job.input(index)?.shape();
        let alike = shape.len() == dims.len() && (0..dims.len()).all(|d| d == along || shape[d] == dims[d]);
        let sum = if alike { dims[along].checked_add(shape[along]) } else { None };
        dims[along] = sum.ok_or_else(|| {
            let of = first.shape();
            job.node.wrong(format!("input {index} of shape {shape:?} cannot be joined to {of:?} along axis {along}"))
        })?;
    }
    job.room(&dims, first)?;
    let mixed = || job.node.wrong("inputs of different types");
    let inputs = job.inputs.iter().copied().flatten();
    let wrong = |e| job.misfit(e);
    Ok(match first {
        Constant::Float(_) => {
            let views: Vec<_> = inputs.map(floats).collect::<Option<_>>().ok_or_else(mixed)?;
            Constant::Float(concatenate(Axis(along), &views).map_err(wrong)?)
        }
        Constant::Int(_) => {
            let views: Vec<_> = inputs.map(ints).collect::<Option<_>>().ok_or_else(mixed)?;
            Constant::Int(concatenate(Axis(along), &views).map_err(wrong)?)
        }
    })
}

fn floats(c: &Constant) -> Option<ArrayViewD<'_, f32>> {
    c.floats().map(|a| a.view())
}

fn ints(c: &Constant) -> Option<ArrayViewD<'_, i64>> {
    match c {
        Constant::Int(a) => Some(a.view()),
        Constant::Float(_) => None,
    }
}

fn expand(job: &Job) -> Result<Constant, Error> {
    let data = job.input(0)?;
    let dims = job.broadcast(data.shape(), &job.lengths(1)?)?;
    job.room(&dims, data)?;
    let wrong = || job.node.wrong("shapes do not broadcast");
    Ok(both!(data, a => a.broadcast(dims).ok_or_else(wrong)?.to_owned()))
}

fn reshape(job: &Job) -> Result<Constant, Error> {
    let data = job.input(0)?;
    let dims = reshape_target(job.node, data.shape(), &job.list(1)?)?;
    job.room(&dims, data)?;
    let wrong = |e| job.misfit(e);
    Ok(both!(data, a => standard(&a.view()).into_shape_with_order(dims).map_err(wrong)?))
}

fn transpose(job: &Job) -> Result<Constant, Error> {
    let data = job.input(0)?;
    let perm = permutation(job.node, data.shape().len())?;
    job.room(data.shape(), data)?;
    Ok(both!(data, a => standard(&a.view().permuted_axes(perm))))
}

/// The same elements, row-major.
fn standard<T: Clone>(view: &ArrayViewD<T>) -> ArrayD<T> {
    view.as_standard_layout().into_owned()
}

fn slice(job: &Job) -> Result<Constant, Error> {
    let (node, data) = (job.node, job.input(0)?);
    let shape = data.shape();
    let (starts, ends) = (job.list(1)?, job.list(2)?);
    let rank = starts.len();
    let places = match job.optional(3) {
        Some(_) => job.list(3)?.iter().map(|&a| axis(node, "axes", a, shape.len())).collect::<Result<Vec<_>, _>>()?,
        None if rank <= shape.len() => (0..rank).collect(),
        None => return Err(node.wrong(format!("{rank} starts for {} dimensions", shape.len()))),
    };
    let steps = if job.optional(4).is_some() { job.list(4)? } else { vec![1; rank] };
    if [ends.len(), places.len(), steps.len()] != [rank; 3] || steps.iter().any(|&s| s != 1) {
        return Err(node.unsupported("steps", format!("{steps:?}"), "1, with as many starts, ends and axes"));
    }
    let mut dims = shape.to_vec();
    let mut cuts = Vec::with_capacity(rank);
    let mut seen = vec![false; shape.len()];
    for ((&start, &end), &along) in starts.iter().zip(&ends).zip(&places) {
        if std::mem::replace(&mut seen[along], true) {
            return Err(node.unsupported("axes", format!("{places:?}"), "each axis once"));
        }
        let n = shape[along];
        // Counted from the end where negative, and never outside: at most `n`, so nothing is lost on the way back.
        let place = |i: i64| {
            let size = usize::try_from(i.unsigned_abs()).unwrap_or(usize::MAX);
            if i < 0 { n.saturating_sub(size) } else { size.min(n) }
        };
        let (start, end) = (place(start), place(end).max(place(start)));
        dims[along] = end - start;
        cuts.push((along, start, end));
    }
    job.room(&dims, data)?;
    Ok(both!(data, a => {
        let mut view = a.view();
        for &(along, start, end) in &cuts {
            view.slice_axis_inplace(Axis(along), Slice::from(start..end));
        }
        standard(&view)
    }))
}

fn arithmetic(job: &Job) -> Result<Constant, Error> {
    let (node, operator) = (job.node, job.node.operator());
    let (a, b) = (job.input(0)?, job.input(1)?);
    let dims = job.broadcast(a.shape(), b.shape())?;
    job.room(&dims, a)?;
    let misfit = || node.wrong("shapes do not broadcast");
    match (a, b) {
        (Constant::Float(a), Constant::Float(b)) => {
            let (a, b) = a.broadcast(dims.clone()).zip(b.broadcast(dims)).ok_or_else(misfit)?;
            Ok(Constant::Float(match operator {
                "Add" => &a + &b,
                "Sub" => &a - &b,
                "Mul" => &a * &b,
                _ => &a / &b,
            }))
        }
        (Constant::Int(a), Constant::Int(b)) => {
            let (a, b) = a.broadcast(dims.clone()).zip(b.broadcast(dims)).ok_or_else(misfit)?;
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
