//! Folding: what follows from constants and shapes alone. Each result's memory is taken from the budget before it is made.

use ndarray::ShapeError;

use crate::{
    axes::{fits_rank, list},
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

mod arithmetic;
mod grid;
mod made;
mod moved;

/// A node, its inputs (`None` where an optional one is left out) and the account of what it makes.
struct Job<'a> {
    node: &'a Node<'a>,
    inputs: &'a [Option<&'a Constant>],
    budget: &'a Budget,
    /// Which of its outputs.
    output: usize,
}

/// What an operator makes of constants.
type Folder = fn(&Job) -> Result<Constant, Error>;

/// The operators that [`fold`] evaluates.
const FOLDERS: &[(&str, Folder)] = &[
    ("Constant", made::constant),
    ("ConstantOfShape", made::constant_of_shape),
    ("Identity", made::identity),
    ("Cast", made::cast),
    ("Range", made::range),
    ("NonZero", made::non_zero),
    ("QuantizeLinear", grid::quantize),
    ("DequantizeLinear", grid::dequantize),
    ("Gather", moved::gather),
    ("Unsqueeze", moved::unsqueeze),
    ("Squeeze", moved::squeeze),
    ("Concat", moved::concat),
    ("Expand", moved::expand),
    ("Tile", moved::tile),
    ("Reshape", moved::reshape),
    ("Flatten", moved::flatten),
    ("Transpose", moved::transpose),
    ("Slice", moved::slice),
    (SPLIT, moved::split),
    ("Pad", moved::pad),
    ("ScatterND", moved::scatter),
    ("Add", arithmetic::binary),
    ("Sub", arithmetic::binary),
    ("Mul", arithmetic::binary),
    ("Div", arithmetic::binary),
    ("Mod", arithmetic::binary),
    ("Pow", arithmetic::binary),
    ("Min", arithmetic::binary),
    ("Max", arithmetic::binary),
    ("Equal", arithmetic::compare),
    ("Greater", arithmetic::compare),
    ("GreaterOrEqual", arithmetic::compare),
    ("Less", arithmetic::compare),
    ("LessOrEqual", arithmetic::compare),
    ("And", arithmetic::compare),
    ("Or", arithmetic::compare),
    ("Not", arithmetic::unary),
    ("Neg", arithmetic::unary),
    ("Abs", arithmetic::unary),
    ("Sqrt", arithmetic::unary),
    ("Exp", arithmetic::unary),
    ("Log", arithmetic::unary),
    ("Reciprocal", arithmetic::unary),
    ("Floor", arithmetic::unary),
    ("Ceil", arithmetic::unary),
    ("Round", arithmetic::unary),
    ("Clip", arithmetic::clip),
    ("Where", arithmetic::choose),
    ("ReduceProd", arithmetic::reduce),
    ("ReduceSum", arithmetic::reduce),
    ("ReduceMax", arithmetic::reduce),
    ("ReduceMin", arithmetic::reduce),
    ("ReduceMean", arithmetic::reduce),
    ("ReduceL1", arithmetic::reduce),
    ("ReduceL2", arithmetic::reduce),
    ("ReduceSumSquare", arithmetic::reduce),
    ("ReduceLogSum", arithmetic::reduce),
];

/// It alone has several outputs: it is evaluated once for each.
const SPLIT: &str = "Split";

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

/// Evaluates a node whose inputs are all constants, or left out: its outputs, those that have names, by number.
///
/// # Errors
/// Inputs that do not fit the operator, or a result that the budget has no memory for.
pub fn fold(node: &Node, inputs: &[Option<&Constant>], budget: &Budget) -> Result<Vec<(usize, Constant)>, Error> {
    let folder = folder(node.operator()).ok_or_else(|| node.wrong("is not evaluated on constants"))?;
    let outputs = if node.operator() == SPLIT { node.outputs().len() } else { 1 };
    let named = (0..outputs).filter(|&output| node.output(output).is_some());
    named.map(|output| Ok((output, folder(&Job { node, inputs, budget, output })?))).collect()
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
