//! A function of each value by itself, as a table: of all 256 results of an int8, or of ends of intervals of int16 values.

mod wide;

use super::{
    Cost, Operator, Reads, Record, Run, Tensors,
    check::Check,
    field::{INPUT, OUTPUT},
};
use crate::{
    bytes::{Views, as_i8, as_i16_mut},
    element::Dtype::{I8, I16},
    error::{Error, StepError},
    format::Tensor,
    id::{ConstOffset, TensorId},
    kernels::Table,
};

/// Where its own numbers stand.
mod field {
    use crate::bytes::Slot;

    pub const TABLE: Slot<u32> = Slot::at(12);
}

/// `output = table[input]`, see [`Table`]; of an int16 input what lies between two entries. `output` lies exactly where `input` lies,
/// if it has its type, or apart from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupStep {
    /// int8 or int16: the operand that may be overwritten.
    pub input: TensorId,
    /// The results, of the same shape, int8 or int16.
    pub output: TensorId,
    /// 8-byte aligned. For an int8 input the result for each value, that of -128 first, of the output's type. For an int16 input
    /// 513 x int16, the results for -32768, -32640 ... 32768; for an int8 output in units of 1/256 of its own.
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

    /// The operand, and once more where it is copied to the output first; more where a tensor is int16.
    fn cost(&self, tensors: &dyn Tensors) -> Option<Cost> {
        let (input, output) = (tensors.tensor(self.input)?, tensors.tensor(self.output)?);
        let work = match (input.dtype, output.dtype) {
            (I8, I8) => input.padded_elements() * if input.offset == output.offset { 1 } else { 2 },
            _ => input.padded_elements().saturating_mul(wide::VALUE_WORK),
        };
        Some(Cost { work, ..Cost::default() })
    }

    fn check(&self, check: &mut Check) -> Result<(), StepError> {
        let (input, output) = (check.number(self.input)?, check.number(self.output)?);
        if output.shape() != input.shape() {
            return Err(StepError::Shape { id: self.output });
        }
        check.in_place(self.input, self.output)?;
        match (input.dtype, output.dtype) {
            (I8, I8) => check.table(self.table),
            (I8, _) => check.table_of(self.table, wide::EACH),
            _ => check.table_of(self.table, wide::INTERVALS),
        }
    }

    fn run(&self, run: &mut Run) -> Result<(), Error> {
        let (input, output) = (run.tensor(self.input)?, run.tensor(self.output)?);
        if (input.dtype, output.dtype) != (I8, I8) {
            return self.wide(run, [&input, &output]);
        }
        let table = as_i8(run.consts(self.table, size_of::<Table>() as u64)?);
        let table: &Table = table.first_chunk().ok_or(Error::Kernel)?;
        let kernels = run.kernels;
        kernels.lookup(table, run.in_place(&input, &output)?);
        Ok(())
    }
}

impl LookupStep {
    /// Where a tensor is int16.
    fn wide(&self, run: &mut Run, [input, output]: [&Tensor; 2]) -> Result<(), Error> {
        let (to_i16, from_i16) = (output.dtype == I16, input.dtype == I16);
        let table = run.consts(self.table, if from_i16 { wide::INTERVALS } else { wide::EACH })?;
        let (table, _) = table.as_chunks();
        if from_i16 && to_i16 {
            let table = table.first_chunk().ok_or(Error::Kernel)?;
            as_i16_mut(run.in_place(input, output)?).iter_mut().for_each(|x| *x = wide::to_i16(table, *x));
            return Ok(());
        }
        let ([source, target], _) = run.memory.tensors([input, output])?;
        if from_i16 {
            let table = table.first_chunk().ok_or(Error::Kernel)?;
            target.iter_mut().zip(i16::of(source)).for_each(|(y, &x)| *y = wide::to_i8(table, x));
        } else {
            let table = table.first_chunk().ok_or(Error::Kernel)?;
            as_i16_mut(target).iter_mut().zip(source.iter()).for_each(|(y, &x)| *y = wide::entry(table, x));
        }
        Ok(())
    }
}
