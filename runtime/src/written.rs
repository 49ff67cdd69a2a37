//! Written before read: whatever a step reads, and the result, was put there in the same run by the input or an earlier
//! step, or is a state. So a result depends on nothing but model, state and input, whatever the arena held before.
//!
//! The loader has no memory of its own, so each read looks back over the steps before it: the nearest one that writes into
//! the bytes must be the one that writes the tensor. That takes as many looks as the tensor lives steps: few in a network
//! that people build, and bounded by [`LOOKS_MAX`] in a file that is made to be slow.

use crate::error::{Error, Field, StepError};
use crate::format::Tensor;
use crate::model::Model;
use crate::ops::{Step, TensorId};

/// Steps that all reads together may look back over. A network of 1,000 steps whose every tensor lives to its end takes
/// half a million.
pub const LOOKS_MAX: u32 = 1 << 22;

/// What a read expects to find.
#[derive(Clone, Copy)]
enum Wanted {
    /// That tensor.
    Tensor(TensorId),
    /// Any tensor of that place and shape: a residual operand, which the record does not name.
    Place(Tensor),
}

impl Wanted {
    fn is(self, id: TensorId, tensor: &Tensor) -> bool {
        match self {
            Wanted::Tensor(wanted) => id == wanted,
            Wanted::Place(place) => tensor.offset == place.offset && tensor.shape() == place.shape(),
        }
    }
}

/// Checks one step after the other.
pub(crate) struct Written<'c, 'm> {
    model: &'c Model<'m>,
    looks: u32,
}

impl<'c, 'm> Written<'c, 'm> {
    pub(crate) fn new(model: &'c Model<'m>) -> Written<'c, 'm> {
        Written { model, looks: 0 }
    }

    /// What step `index` reads has been written. Its tensors exist: the operator has checked them.
    pub(crate) fn step(&mut self, index: usize, step: &Step) -> Result<(), StepError> {
        for id in step.inputs().into_iter().flatten() {
            self.read(index, id, Wanted::Tensor(id))?;
        }
        if step.reads_output() {
            let id = step.output();
            let place = self.model.tensor(id).ok_or(StepError::Unwritten { id })?;
            self.read(index, id, Wanted::Place(place))?;
        }
        Ok(())
    }

    /// The model's output is there after the last step.
    pub(crate) fn output(&mut self) -> Result<(), Error> {
        let id = self.model.header().output;
        let port = Err(Error::Port { field: Field::Output, id });
        match self.read(self.model.header().steps.into(), id, Wanted::Tensor(id)) {
            Err(StepError::Unwritten { .. }) => Err(Error::OutputUnwritten { id }),
            Err(_) => port,
            Ok(()) => Ok(()),
        }
    }

    fn read(&mut self, reader: usize, id: TensorId, wanted: Wanted) -> Result<(), StepError> {
        let unwritten = StepError::Unwritten { id };
        let tensor = self.model.tensor(id).ok_or(unwritten)?;
        for step in self.model.steps_before(reader) {
            self.looks += 1;
            if self.looks > LOOKS_MAX {
                return Err(StepError::Lifetimes { limit: LOOKS_MAX });
            }
            let output = self.model.tensor(step.output()).ok_or(unwritten)?;
            if output.overlaps(&tensor) {
                return if wanted.is(step.output(), &output) { Ok(()) } else { Err(unwritten) };
            }
        }
        if wanted.is(self.model.header().input, &self.model.input()) { Ok(()) } else { Err(unwritten) }
    }
}
