//! Written before read: whatever a step reads, and every output, was put there in the same run by an input or an earlier
//! step, or is a state. So a result depends on nothing but model, state and input, whatever the arena held before.
//!
//! The loader has no memory of its own, so each read looks back over the steps before it: the nearest one that writes into
//! the bytes must be the one that writes the tensor. That takes as many looks as the tensor lives steps: few in a network
//! that people build, and bounded by [`LOOKS_MAX`] in a file that is made to be slow.

use crate::{
    error::StepError,
    format::{PortRecord, Sections, Tensor},
    id::TensorId,
    ops::Step,
};

/// Steps that all reads together may look back over. A network of 1,000 steps whose every tensor lives to its end takes
/// half a million.
pub const LOOKS_MAX: u32 = 1 << 22;

/// What a read expects to find.
#[derive(Clone, Copy)]
enum Wanted {
    /// That tensor.
    Tensor(TensorId),
    /// Any tensor of that place, shape and element type: a residual operand, which the record does not name.
    Place(Tensor),
}

impl Wanted {
    fn is(self, id: TensorId, tensor: &Tensor) -> bool {
        match self {
            Wanted::Tensor(wanted) => id == wanted,
            Wanted::Place(place) => {
                let same = tensor.offset == place.offset && tensor.shape() == place.shape();
                same && tensor.dtype == place.dtype
            }
        }
    }
}

/// Checks one step after the other.
pub(crate) struct Written<'c, 'm> {
    sections: &'c Sections<'m>,
    looks: u32,
}

impl<'c, 'm> Written<'c, 'm> {
    pub(crate) fn new(sections: &'c Sections<'m>) -> Written<'c, 'm> {
        Written { sections, looks: 0 }
    }

    /// What step `index` reads has been written. Its tensors exist: the operator has checked them.
    pub(crate) fn step(&mut self, index: usize, step: &Step) -> Result<(), StepError> {
        let reads = step.reads();
        for id in reads.inputs.into_iter().flatten() {
            self.read(index, id, Wanted::Tensor(id))?;
        }
        if reads.output_place {
            let id = step.output();
            let place = self.sections.tensor(id).ok_or(StepError::Unwritten { id })?;
            self.read(index, id, Wanted::Place(place))?;
        }
        Ok(())
    }

    /// An output is there after the last step. A state always is.
    pub(crate) fn output(&mut self, id: TensorId) -> Result<(), StepError> {
        match self.sections.tensor(id) {
            Some(Tensor { state: true, .. }) => Ok(()),
            _ => self.read(self.sections.steps.len(), id, Wanted::Tensor(id)),
        }
    }

    fn read(&mut self, reader: usize, id: TensorId, wanted: Wanted) -> Result<(), StepError> {
        let unwritten = StepError::Unwritten { id };
        let tensor = self.sections.tensor(id).ok_or(unwritten)?;
        let before = self.sections.steps.get(..reader).unwrap_or_default();
        for record in before.iter().rev() {
            self.looks += 1;
            if self.looks > LOOKS_MAX {
                return Err(StepError::Lifetimes { limit: LOOKS_MAX });
            }
            let writer = Step::read(record).map(|step| step.output()).ok_or(unwritten)?;
            let output = self.sections.tensor(writer).ok_or(unwritten)?;
            if output.overlaps(&tensor) {
                return if wanted.is(writer, &output) { Ok(()) } else { Err(unwritten) };
            }
        }
        let mut inputs = self.sections.inputs.iter().map(|record| PortRecord::read(record).tensor);
        let given = |id| self.sections.tensor(id).is_some_and(|input| wanted.is(id, &input));
        if inputs.any(given) { Ok(()) } else { Err(unwritten) }
    }
}
