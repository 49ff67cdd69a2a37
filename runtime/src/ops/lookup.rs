//! A function of each value by itself, as a table of all 256 results.

use super::{
    Cost, Operator, Reads, Record, Run, Tensors,
    check::Check,
    field::{INPUT, OUTPUT},
};
use crate::{
    bytes::as_i8,
    error::{Error, StepError},
    id::{ConstOffset, TensorId},
    kernels::Table,
};

/// Where its own numbers stand.
mod field {
    use crate::bytes::Slot;

    pub const TABLE: Slot<u32> = Slot::at(12);
}

/// `output = table[input]`, see [`Table`]. `output` lies exactly where `input` lies, or apart from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupStep {
    /// The operand that may be overwritten.
    pub input: TensorId,
    /// The results, of the same shape.
    pub output: TensorId,
    /// 256 bytes, 8-byte aligned.
    pub table: ConstOffset,
}

impl Operator for LookupStep {
    const KIND: u16 = 5;
    const NAME: &'static str = "lookup";

    fn parse(record: &Record) -> LookupStep {
        LookupStep { input: INPUT.read(record), output: OUTPUT.read(record), table: field::TABLE.read(record) }
    }

    fn emit(&self, record: &mut Record) {
        INPUT.write(record, self.input);
        OUTPUT.write(record, self.output);
        field::TABLE.write(record, self.table);
    }

    fn reads(&self) -> Reads {
        Reads::one(self.input)
    }

    /// The operand, and once more where it is copied to the output first.
    fn cost(&self, tensors: &dyn Tensors) -> Option<Cost> {
        let (input, output) = (tensors.tensor(self.input)?, tensors.tensor(self.output)?);
        let work = input.padded_elements() * if input.offset == output.offset { 1 } else { 2 };
        Some(Cost { work, ..Cost::default() })
    }

    fn check(&self, check: &mut Check) -> Result<(), StepError> {
        let (input, output) = (check.activation(self.input)?, check.activation(self.output)?);
        if output.shape() != input.shape() {
            return Err(StepError::Shape { id: self.output });
        }
        if output.offset != input.offset {
            check.apart(self.input, self.output)?;
        }
        check.table(self.table)
    }

    fn run(&self, run: &mut Run) -> Result<(), Error> {
        let (input, output) = (run.tensor(self.input)?, run.tensor(self.output)?);
        let table = as_i8(run.consts(self.table, size_of::<Table>() as u64)?);
        let table: &Table = table.first_chunk().ok_or(Error::Kernel)?;
        let kernels = run.kernels;
        kernels.lookup(table, run.in_place(&input, &output)?);
        Ok(())
    }
}
