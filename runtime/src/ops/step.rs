//! A step: a record, and the row of the table that knows what to do with it.

use core::fmt;

use super::{Check, Cost, OPERATORS, Operator, Reads, Tensors, cost::STEP_WORK, field};
use crate::{
    arena::Memory,
    error::{Error, StepError},
    format::{STEP, Sections, Tensor},
    id::{ConstOffset, TensorId},
    kernels::Kernels,
};

/// The bytes of a step.
pub type Record = [u8; STEP];

/// One step.
#[derive(Clone, Copy)]
pub struct Step {
    record: Record,
    entry: &'static Entry,
}

/// A row of the table: an operator by its functions.
pub struct Entry {
    kind: u16,
    name: &'static str,
    again: fn(&Record) -> Record,
    reads: fn(&Record) -> Reads,
    cost: fn(&Record, &dyn Tensors) -> Option<Cost>,
    check: fn(&Record, &mut Check) -> Result<(), StepError>,
    run: fn(&Record, &mut Run) -> Result<(), Error>,
}

impl Entry {
    /// The row of an operator.
    pub(super) const fn of<O: Operator>() -> Entry {
        Entry {
            kind: O::KIND,
            name: O::NAME,
            again: |record| written(&O::parse(record)),
            reads: |record| O::parse(record).reads(),
            cost: |record, tensors| O::parse(record).cost(tensors),
            check: |record, check| O::parse(record).check(check),
            run: |record, run| O::parse(record).run(run),
        }
    }

    /// The operator's code in the file.
    pub const fn kind(&self) -> u16 {
        self.kind
    }

    /// The operator's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

fn written<O: Operator>(operator: &O) -> Record {
    let mut record = [0; STEP];
    field::KIND.write(&mut record, O::KIND);
    operator.emit(&mut record);
    record
}

impl<O: Operator> From<O> for Step {
    fn from(operator: O) -> Step {
        Step { record: written(&operator), entry: const { &Entry::of::<O>() } }
    }
}

impl PartialEq for Step {
    fn eq(&self, other: &Step) -> bool {
        self.record == other.record
    }
}

impl Eq for Step {}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.name(), self.record)
    }
}

impl Step {
    /// Reads a record. What its operator would not write again it does not know, so that is refused; the rest
    /// [`crate::Model::parse`] checks against the model.
    ///
    /// # Errors
    /// [`StepError::Kind`], [`StepError::Reserved`].
    pub fn parse(record: &Record) -> Result<Step, StepError> {
        let step = Step::read(record).ok_or(StepError::Kind { found: field::KIND.read(record) })?;
        match crate::bytes::unknown(record, &(step.entry.again)(record)) {
            Some(at) => Err(StepError::Reserved { at }),
            None => Ok(step),
        }
    }

    #[inline(always)]
    fn entry(record: &Record) -> Option<&'static Entry> {
        OPERATORS.get(field::KIND.read(record) as usize)
    }

    /// Reads a record that [`Step::parse`] has looked at.
    #[inline(always)]
    pub(crate) fn read(record: &Record) -> Option<Step> {
        Some(Step { record: *record, entry: Step::entry(record)? })
    }

    /// The record's bytes.
    pub const fn emit(&self) -> Record {
        self.record
    }

    /// The operator's own record, if the step is of that kind.
    pub fn get<O: Operator>(&self) -> Option<O> {
        (self.entry.kind == O::KIND).then(|| O::parse(&self.record))
    }

    /// The operator's code in the file.
    pub const fn kind(&self) -> u16 {
        self.entry.kind
    }

    /// The operator's name.
    pub const fn name(&self) -> &'static str {
        self.entry.name
    }

    /// The tensor that the step leaves for others.
    pub fn output(&self) -> TensorId {
        field::OUTPUT.read(&self.record)
    }

    /// What must have been written before.
    pub fn reads(&self) -> Reads {
        (self.entry.reads)(&self.record)
    }

    /// What one run takes: the one formula for planner, loader and session. `None` if a tensor does not exist.
    pub fn cost(&self, tensors: &(impl Tensors + ?Sized)) -> Option<Cost> {
        (self.entry.cost)(&self.record, &tensors)
    }

    /// Everything that [`Step::run_record`] relies on.
    pub(crate) fn check(&self, check: &mut Check) -> Result<(), StepError> {
        (self.entry.check)(&self.record, check)
    }

    /// Runs a record that [`Step::parse`] has looked at.
    #[inline(always)]
    pub(crate) fn run_record(record: &Record, run: &mut Run) -> Result<(), Error> {
        (Step::entry(record).ok_or(Error::Kernel)?.run)(record, run)
    }
}

/// What one run of a model takes: the totals that a header states and the loader compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Multiply-accumulates, see [`Cost::macs`].
    pub macs: u64,
    /// See [`Cost::work`], and [`STEP_WORK`] for each step; the copies of inputs and outputs come first.
    pub work: u64,
    /// Scratch for one worker: that of the step that needs most.
    pub scratch: u64,
    /// Scratch for each further worker, likewise.
    pub worker_scratch: u64,
}

impl Totals {
    /// Of a model with these inputs and outputs and without steps.
    pub fn new(ports: impl IntoIterator<Item = Tensor>) -> Totals {
        let work = ports.into_iter().fold(0u64, |sum, port| sum.saturating_add(port.padded_elements()));
        Totals { work, ..Totals::default() }
    }

    /// With one step more. What it needs of a tensor that does not exist counts nothing.
    #[must_use]
    pub fn and(self, step: &Step, tensors: &(impl Tensors + ?Sized)) -> Totals {
        let cost = step.cost(tensors).unwrap_or_default();
        Totals {
            macs: self.macs.saturating_add(cost.macs),
            work: self.work.saturating_add(cost.work).saturating_add(STEP_WORK),
            scratch: self.scratch.max(cost.scratch),
            worker_scratch: self.worker_scratch.max(cost.worker_scratch),
        }
    }
}

/// What a step runs on. Its methods return [`Error::Kernel`] where a checked model cannot get.
pub struct Run<'r, 'm> {
    pub(crate) sections: &'r Sections<'m>,
    pub(crate) kernels: &'static Kernels,
    pub(crate) memory: Memory<'r>,
}

impl<'m> Run<'_, 'm> {
    pub(super) fn tensor(&self, id: TensorId) -> Result<Tensor, Error> {
        self.sections.tensor(id).ok_or(Error::Kernel)
    }

    /// The output's bytes, with the input's values in them: those may lie there already.
    pub(super) fn in_place(&mut self, input: &Tensor, output: &Tensor) -> Result<&mut [i8], Error> {
        if output.offset != input.offset {
            let ([target, source], _) = self.memory.tensors([output, input])?;
            for (target, source) in target.iter_mut().zip(source) {
                *target = *source;
            }
        }
        let ([target], _) = self.memory.tensors([output])?;
        Ok(target)
    }

    pub(super) fn consts(&self, offset: ConstOffset, len: u64) -> Result<&'m [u8], Error> {
        self.sections.consts(offset, len).ok_or(Error::Kernel)
    }
}
