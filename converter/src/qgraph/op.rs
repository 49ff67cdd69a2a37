//! What an operator is once it is quantized. No method has a default: an operator that forgets one does not compile.

use std::fmt;

use escarp_runtime::{ConstOffset, Dtype, TensorId, ops::Step};

use crate::{blocks::Block, error::Error, rows::Rows, scale::Scale, shape::Shape};

/// An operation in integers.
pub trait QOp: fmt::Debug + Send + Sync {
    /// What a dump shows behind the operator's name.
    fn detail(&self) -> String;

    /// Its int8 weights, each set under the name that our trainer gives the parameter, after that of the layer.
    fn rows(&self) -> Vec<(&'static str, &Rows)>;

    /// The rows that refining may change, of an operation with [`crate::graph::Op::products`].
    fn refined(&mut self) -> Option<&mut Rows>;

    /// Whether the output lies in the bytes of an input.
    fn in_place(&self) -> InPlace;

    /// What it keeps from step to step.
    fn states(&self) -> Vec<State>;

    /// Its constants, in the order of its record.
    ///
    /// # Errors
    /// [`Error::Pack`] if a number does not fit them.
    fn constants(&self) -> Result<Vec<Block>, Error>;

    /// The runtime's steps, everything placed: at least one, each of which writes the node's output.
    ///
    /// # Errors
    /// [`Error::Pack`] if a number does not fit a record, which the operator's import should have said before.
    fn records(&self, placed: &Placed) -> Result<Vec<Step>, Error>;
}

/// Whether an output lies in the bytes of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InPlace {
    /// In bytes of its own.
    No,
    /// In those of that input, always.
    Always(usize),
    /// In those of that input if nobody reads it afterwards and it is no other input as well.
    IfItDies(usize),
}

/// A tensor that lives for ever; zero when a sequence begins.
#[derive(Clone, Debug)]
pub struct State {
    /// What it is, as a name says it behind the node's.
    pub what: &'static str,
    /// `[height, width, channels]`
    pub shape: Shape,
    /// What its numbers mean.
    pub scale: Scale,
    /// How wide they are.
    pub dtype: Dtype,
}

/// A tensor with its record's number.
#[derive(Clone, Copy, Debug)]
pub struct Operand {
    /// The record.
    pub id: TensorId,
    /// `[height, width, channels]`
    pub shape: Shape,
    /// What its numbers mean.
    pub scale: Scale,
}

/// A node when all its tensors and constants have their places.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// The ONNX name.
    pub node: &'a str,
    /// What it reads.
    pub inputs: &'a [Operand],
    /// What it makes.
    pub output: Operand,
    /// Records of its states, as [`QOp::states`] lists them.
    pub states: &'a [TensorId],
    /// Where its constants begin, as [`QOp::constants`] lists them.
    pub constants: &'a [ConstOffset],
}

impl Placed<'_> {
    /// Input `index`.
    ///
    /// # Errors
    /// [`Error::Pack`] if there is none.
    pub fn input(&self, index: usize) -> Result<Operand, Error> {
        self.inputs.get(index).copied().ok_or_else(|| self.wrong(format!("input {index} is missing")))
    }

    /// Its states, as many as asked for.
    ///
    /// # Errors
    /// [`Error::Pack`] if there are not as many.
    pub fn states<const N: usize>(&self) -> Result<[TensorId; N], Error> {
        self.states.try_into().map_err(|_| self.wrong(format!("{} states, not {N}", self.states.len())))
    }

    /// Where its constants begin, as many as asked for.
    ///
    /// # Errors
    /// [`Error::Pack`] if there are not as many.
    pub fn constants<const N: usize>(&self) -> Result<[ConstOffset; N], Error> {
        self.constants.try_into().map_err(|_| self.wrong(format!("{} constants, not {N}", self.constants.len())))
    }

    /// Two numbers as a record holds them.
    ///
    /// # Errors
    /// [`Error::Pack`] if one does not fit.
    pub fn pair<T: TryFrom<usize>>(&self, what: &str, numbers: [usize; 2]) -> Result<[T; 2], Error> {
        let [a, b] = numbers.map(|n| T::try_from(n).ok());
        let wrong = || self.wrong(format!("{what} {numbers:?} does not fit a record"));
        Ok([a.ok_or_else(wrong)?, b.ok_or_else(wrong)?])
    }

    /// "this cannot be packed because".
    pub fn wrong(&self, reason: String) -> Error {
        Error::Pack(format!("`{}`: {reason}", self.node))
    }
}
