//! Another size by linear interpolation between rows and columns.

use super::{
    Cost, Operator, Reads, Record, Run, Tensors,
    check::{Check, value},
    field::{INPUT, OUTPUT},
};
use crate::{
    element::{Dtype, Value},
    error::{Error, Field, StepError},
    format::{PARAMS_ALIGN, Tensor},
    id::{ConstOffset, TensorId},
};

/// Where its own numbers stand.
mod field {
    use crate::bytes::Slot;

    pub const ROWS: Slot<u32> = Slot::at(12);
    pub const COLUMNS: Slot<u32> = Slot::at(16);
}

/// Where those of a [`Between`] stand.
mod between {
    use crate::bytes::Slot;

    pub const LOW: Slot<u16> = Slot::at(0);
    pub const HIGH: Slot<u16> = Slot::at(2);
    pub const WEIGHT: Slot<u32> = Slot::at(4);
}

/// Bytes of a [`Between`].
const BETWEEN: usize = 8;
/// The weights of both of a [`Between`] together.
pub const WEIGHT_ONE: u32 = 1 << 11;
/// Fraction bits of a product of a row's and a column's weight.
const FRACTION: u32 = 22;

/// Products of a convolution that take as long as one value: four are read and multiplied.
const VALUE_WORK: u64 = 16;

/// Which two rows (or columns) of the input a row of the output lies between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Between {
    /// The one.
    pub low: u16,
    /// The other, which may be the same.
    pub high: u16,
    /// How near to `high`, 0 to [`WEIGHT_ONE`].
    pub weight: u32,
}

impl Between {
    /// Its bytes among the constants.
    pub fn emit(&self) -> [u8; BETWEEN] {
        let mut bytes = [0; BETWEEN];
        between::LOW.write(&mut bytes, self.low);
        between::HIGH.write(&mut bytes, self.high);
        between::WEIGHT.write(&mut bytes, self.weight);
        bytes
    }

    fn read(bytes: &[u8; BETWEEN]) -> Between {
        Between { low: between::LOW.read(bytes), high: between::HIGH.read(bytes), weight: between::WEIGHT.read(bytes) }
    }

    /// The two of them, each `len` of `source`'s values long.
    fn of<'s, X>(&self, source: &'s [X], len: usize) -> Option<[&'s [X]; 2]> {
        let part = |index: u16| source.get(index as usize * len..)?.get(..len);
        Some([part(self.low)?, part(self.high)?])
    }

    /// The weights of both.
    fn weights(&self) -> [i32; 2] {
        let high = self.weight.cast_signed();
        [WEIGHT_ONE.cast_signed().wrapping_sub(high), high]
    }
}

/// `output[y, x, :]`: between the rows of `y` and the columns of `x`, the four products of weights in Q22, one rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterpolateStep {
    /// `[H, W, C]`, int8 or int16.
    pub input: TensorId,
    /// `[H', W', C]`, of the same type, scale and zero point, apart from the input.
    pub output: TensorId,
    /// `H'` times [`Between`], 8-byte aligned.
    pub rows: ConstOffset,
    /// `W'` times [`Between`], 8-byte aligned.
    pub columns: ConstOffset,
}

impl Operator for InterpolateStep {
    const KIND: u16 = 11;
    const NAME: &'static str = "interpolate";

    fn parse(record: &Record) -> InterpolateStep {
        InterpolateStep {
            input: INPUT.read(record),
            output: OUTPUT.read(record),
            rows: field::ROWS.read(record),
            columns: field::COLUMNS.read(record),
        }
    }

    fn emit(&self, record: &mut Record) {
        INPUT.write(record, self.input);
        OUTPUT.write(record, self.output);
        field::ROWS.write(record, self.rows);
        field::COLUMNS.write(record, self.columns);
    }

    fn reads(&self) -> Reads {
        Reads::one(self.input)
    }

    fn cost(&self, tensors: &dyn Tensors) -> Option<Cost> {
        let output = tensors.tensor(self.output)?;
        let work = output.padded_elements().saturating_mul(VALUE_WORK * output.dtype.size());
        Some(Cost { work, ..Cost::default() })
    }

    fn check(&self, check: &mut Check) -> Result<(), StepError> {
        let [input, output] = check.kept(self.input, self.output)?;
        check.apart(self.input, self.output)?;
        if output.channels != input.channels {
            return Err(StepError::Shape { id: self.output });
        }
        let axes = [(Field::Rows, self.rows), (Field::Columns, self.columns)];
        for (axis, (field, offset)) in axes.into_iter().enumerate() {
            let (from, to) = (input.shape()[axis], output.shape()[axis]);
            let bytes = check.consts(field, offset, to as u64 * BETWEEN as u64, PARAMS_ALIGN)?;
            for between in bytes.as_chunks().0.iter().map(Between::read) {
                value(field, between.low, 0..=from as i64 - 1)?;
                value(field, between.high, 0..=from as i64 - 1)?;
                value(Field::Weights, between.weight, 0..=WEIGHT_ONE as i64)?;
            }
        }
        Ok(())
    }

    fn run(&self, run: &mut Run) -> Result<(), Error> {
        let (input, output) = (run.tensor(self.input)?, run.tensor(self.output)?);
        match input.dtype {
            Dtype::I8 => self.each(run, &input, &output, blend),
            _ => self.each(run, &input, &output, blend_wide),
        }
    }
}

impl InterpolateStep {
    fn each<X: Value>(&self, run: &mut Run, input: &Tensor, output: &Tensor, blend: Blend<X>) -> Result<(), Error> {
        let rows = run.consts(self.rows, output.height as u64 * BETWEEN as u64)?.as_chunks().0;
        let columns = run.consts(self.columns, output.width as u64 * BETWEEN as u64)?.as_chunks().0;
        let ([source, target], _) = run.memory.tensors([input, output])?;
        let (source, target) = (X::of(source), X::of_mut(target));
        let pixel = input.padded_channels();
        let [from, to] = [input, output].map(|tensor| tensor.width.max(1) as usize * pixel);
        for (row, target) in rows.iter().map(Between::read).zip(target.chunks_exact_mut(to)) {
            let [above, below] = row.of(source, from).ok_or(Error::Kernel)?;
            for (column, target) in columns.iter().map(Between::read).zip(target.chunks_exact_mut(pixel)) {
                let above = column.of(above, pixel).ok_or(Error::Kernel)?;
                let below = column.of(below, pixel).ok_or(Error::Kernel)?;
                blend([above, below], row.weights(), column.weights(), target);
            }
        }
        Ok(())
    }
}

/// Between four pixels: `[above, below][left, right]`, by the weights of rows and of columns.
type Blend<X> = fn([[&[X]; 2]; 2], [i32; 2], [i32; 2], &mut [X]);

/// [`Blend`] of int8.
///
/// Both weights of an axis are 2^11 together, so the sum is at most `128 * 2^22 + 2^21 < 2^31`, and the mean an int8.
#[expect(clippy::cast_possible_truncation, reason = "a mean of int8 values")]
fn blend([[a, b], [c, d]]: [[&[i8]; 2]; 2], [up, down]: [i32; 2], [left, right]: [i32; 2], target: &mut [i8]) {
    for ((((target, &a), &b), &c), &d) in target.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        let above = (a as i32 * left).wrapping_add(b as i32 * right);
        let below = (c as i32 * left).wrapping_add(d as i32 * right);
        let sum = above.wrapping_mul(up).wrapping_add(below.wrapping_mul(down));
        *target = (sum.wrapping_add(1 << (FRACTION - 1)) >> FRACTION) as i8;
    }
}

/// [`Blend`] of int16: a row's sum is at most `2^15 * 2^11`, both need 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "a mean of int16 values")]
fn blend_wide([[a, b], [c, d]]: [[&[i16]; 2]; 2], [up, down]: [i32; 2], [left, right]: [i32; 2], target: &mut [i16]) {
    for ((((target, &a), &b), &c), &d) in target.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        let above = (a as i32 * left).wrapping_add(b as i32 * right);
        let below = (c as i32 * left).wrapping_add(d as i32 * right);
        let sum = above as i64 * up as i64 + below as i64 * down as i64;
        *target = ((sum + (1 << (FRACTION - 1))) >> FRACTION) as i16;
    }
}
