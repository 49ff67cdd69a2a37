//! Softmax over the channels of each pixel, by a table of the exponential.

use super::{
    Cost, Operator, Reads, Record, Run, Tensors,
    check::{Check, shown},
    field::{INPUT, OUTPUT},
};
use crate::{
    error::{Error, Field, StepError},
    format::PARAMS_ALIGN,
    id::{ConstOffset, TensorId},
};

/// Where its own numbers stand.
mod field {
    use crate::bytes::Slot;

    pub const TABLE: Slot<u32> = Slot::at(12);
}

/// The exponential for each difference from the largest value, as the file holds it: 256 x u32.
type Exponentials = [[u8; 4]; 256];

/// The largest entry that a table may have: a sum of 65535 of them, half of it and 256 times an entry fit 32 bits.
pub const EXPONENTIAL_MAX: u32 = 1 << 15;
/// The scale of the result; its zero point is -128, so that it holds 0 to 255/256.
pub const SOFTMAX_SCALE: f32 = 1.0 / 256.0;

/// Products of a convolution that take as long as one value: three looks at it and a division.
const VALUE_WORK: u64 = 16;

/// `output[c] = e[max - input[c]] / sum over channels of e[max - input[k]]`, with `max` the largest channel of the pixel.
/// `output` lies exactly where `input` lies, or apart from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoftmaxStep {
    /// `[H, W, C]`, int8: the operand that may be overwritten.
    pub input: TensorId,
    /// Of the same shape, int8, of scale [`SOFTMAX_SCALE`] and zero point -128.
    pub output: TensorId,
    /// `e[d]` for `d` = 0 to 255 units of the input: 256 x u32, none larger than the one before, the first 1 to
    /// [`EXPONENTIAL_MAX`]; 8-byte aligned.
    pub table: ConstOffset,
}

impl Operator for SoftmaxStep {
    const KIND: u16 = 10;
    const NAME: &'static str = "softmax";

    fn parse(record: &Record) -> SoftmaxStep {
        SoftmaxStep { input: INPUT.read(record), output: OUTPUT.read(record), table: field::TABLE.read(record) }
    }

    fn emit(&self, record: &mut Record) {
        INPUT.write(record, self.input);
        OUTPUT.write(record, self.output);
        field::TABLE.write(record, self.table);
    }

    fn reads(&self) -> Reads {
        Reads::one(self.input)
    }

    fn cost(&self, tensors: &dyn Tensors) -> Option<Cost> {
        tensors.tensor(self.output)?;
        let work = tensors.tensor(self.input)?.padded_elements().saturating_mul(VALUE_WORK);
        Some(Cost { work, ..Cost::default() })
    }

    fn check(&self, check: &mut Check) -> Result<(), StepError> {
        let (input, output) = (check.activation(self.input)?, check.activation(self.output)?);
        if output.shape() != input.shape() {
            return Err(StepError::Shape { id: self.output });
        }
        if output.scale != SOFTMAX_SCALE || output.zero_point != i8::MIN {
            return Err(StepError::Quantization { id: self.output });
        }
        if output.offset != input.offset {
            check.apart(self.input, self.output)?;
        }
        let table = check.consts(Field::Table, self.table, size_of::<Exponentials>() as u64, PARAMS_ALIGN)?;
        let mut allowed = 1..=EXPONENTIAL_MAX;
        for &bytes in table.as_chunks().0 {
            let entry = u32::from_le_bytes(bytes);
            if !allowed.contains(&entry) {
                return Err(StepError::Value { field: Field::Table, found: shown(entry.into()) });
            }
            allowed = 0..=entry;
        }
        Ok(())
    }

    fn run(&self, run: &mut Run) -> Result<(), Error> {
        let (input, output) = (run.tensor(self.input)?, run.tensor(self.output)?);
        let table = run.consts(self.table, size_of::<Exponentials>() as u64)?;
        let table: &Exponentials = table.as_chunks().0.first_chunk().ok_or(Error::Kernel)?;
        let channels = output.channels.into();
        for pixel in run.in_place(&input, &output)?.chunks_exact_mut(output.padded_channels()) {
            let (values, padding) = pixel.split_at_mut_checked(channels).ok_or(Error::Kernel)?;
            softmax(table, values);
            padding.fill(output.zero_point);
        }
        Ok(())
    }
}

/// A pixel's channels, without padding.
fn softmax(table: &Exponentials, values: &mut [i8]) {
    let max = values.iter().fold(i8::MIN, |max, &x| max.max(x)).cast_unsigned();
    // 0 to 255, modulo 256.
    let exponential = |x: i8| u32::from_le_bytes(table[usize::from(max.wrapping_sub(x.cast_unsigned()))]);
    // At most 65535 * 2^15; at least the first entry, which is the largest channel's.
    let sum = values.iter().fold(0u32, |sum, &x| sum.wrapping_add(exponential(x)));
    for value in values {
        let rounded = exponential(*value).wrapping_mul(256).wrapping_add(sum / 2);
        let y = rounded.checked_div(sum).unwrap_or(0).min(255).to_le_bytes()[0];
        // Minus 128.
        *value = (y ^ 0x80).cast_signed();
    }
}
