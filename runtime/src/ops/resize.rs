//! Enlarging by whole factors: each pixel is repeated.

use super::{
    Cost, Operator, Reads, Record, Run, Tensors,
    check::{Check, value},
    field::{INPUT, OUTPUT},
};
use crate::{
    error::{Error, Field, StepError},
    format::in_memory,
    id::TensorId,
};

/// Where its own numbers stand.
mod field {
    use crate::bytes::Slot;

    pub const FACTOR: Slot<[u8; 2]> = Slot::at(10);
}

/// `output[y, x, :] = input[y / factor, x / factor, :]`, rounded down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResizeStep {
    /// `[H, W, C]`, int8 or int16.
    pub input: TensorId,
    /// `[H * factor, W * factor, C]`, of the same type, scale and zero point, apart from the input.
    pub output: TensorId,
    /// For rows, columns; at least 1.
    pub factor: [u8; 2],
}

impl Operator for ResizeStep {
    const KIND: u16 = 7;
    const NAME: &'static str = "resize";

    fn parse(record: &Record) -> ResizeStep {
        ResizeStep { input: INPUT.read(record), output: OUTPUT.read(record), factor: field::FACTOR.read(record) }
    }

    fn emit(&self, record: &mut Record) {
        INPUT.write(record, self.input);
        OUTPUT.write(record, self.output);
        field::FACTOR.write(record, self.factor);
    }

    fn reads(&self) -> Reads {
        Reads::one(self.input)
    }

    /// A value read for each one made, in bytes.
    fn cost(&self, tensors: &dyn Tensors) -> Option<Cost> {
        Some(Cost { work: tensors.tensor(self.output)?.bytes(), ..Cost::default() })
    }

    fn check(&self, check: &mut Check) -> Result<(), StepError> {
        let [input, output] = check.kept(self.input, self.output)?;
        check.apart(self.input, self.output)?;
        for axis in 0..2 {
            value(Field::Factor, self.factor[axis], 1..=255)?;
            if output.shape()[axis] as u32 != input.shape()[axis] as u32 * self.factor[axis] as u32 {
                return Err(StepError::Shape { id: self.output });
            }
        }
        if output.channels != input.channels { Err(StepError::Shape { id: self.output }) } else { Ok(()) }
    }

    fn run(&self, run: &mut Run) -> Result<(), Error> {
        let (input, output) = (run.tensor(self.input)?, run.tensor(self.output)?);
        let ([source, target], _) = run.memory.tensors([&input, &output])?;
        let [tall, wide] = self.factor.map(|n| n.max(1) as usize);
        let run = input.padded_channels() * in_memory(input.dtype.size()).max(1);
        let rows =
            source.chunks_exact(input.width.max(1) as usize * run).flat_map(|row| core::iter::repeat_n(row, tall));
        for (row, target) in rows.zip(target.chunks_exact_mut(output.width.max(1) as usize * run)) {
            let pixels = row.chunks_exact(run).flat_map(|pixel| core::iter::repeat_n(pixel, wide));
            for (pixel, target) in pixels.zip(target.chunks_exact_mut(run)) {
                for (target, &value) in target.iter_mut().zip(pixel) {
                    *target = value;
                }
            }
        }
        Ok(())
    }
}
