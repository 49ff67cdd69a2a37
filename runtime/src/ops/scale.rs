//! The same values in another scale or type: int8 to int16, back, or int16 with other limits.

use super::{
    Cost, Operator, Reads, Record, Run, Tensors,
    check::{Check, shifts, value},
    field::{INPUT, OUTPUT},
    limits, wide,
};
use crate::{
    error::{Error, Field, StepError},
    id::TensorId,
    kernels::MulWide,
    quant::{MULTIPLIER_MIN, SHIFT_MAX},
};

/// Where its own numbers stand.
mod field {
    use crate::bytes::Slot;

    pub const MULTIPLIER: Slot<i32> = Slot::at(12);
    pub const SHIFT: Slot<u8> = Slot::at(16);
}

/// `output = requantize(input - zero point, multiplier, shift) + zero point of the output`, clamped. `output` lies exactly where
/// `input` lies, if it has its type, or apart from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaleStep {
    /// int8 or int16.
    pub input: TensorId,
    /// Of the same shape, int8 or int16.
    pub output: TensorId,
    /// Mantissa of the input's scale over the output's, 2^30 to 2^31 - 1.
    pub multiplier: i32,
    /// Its shift: 16 to 62 of an int16 output, 32 to 62 of an int8 one.
    pub shift: u8,
    /// Lower clamp, of the output's type.
    pub min: i16,
    /// Upper clamp.
    pub max: i16,
}

impl Operator for ScaleStep {
    const KIND: u16 = 13;
    const NAME: &'static str = "scale";

    fn parse(record: &Record) -> ScaleStep {
        let [min, max] = limits::read(record);
        ScaleStep {
            input: INPUT.read(record),
            output: OUTPUT.read(record),
            multiplier: field::MULTIPLIER.read(record),
            shift: field::SHIFT.read(record),
            min,
            max,
        }
    }

    fn emit(&self, record: &mut Record) {
        INPUT.write(record, self.input);
        OUTPUT.write(record, self.output);
        limits::write(record, [self.min, self.max]);
        field::MULTIPLIER.write(record, self.multiplier);
        field::SHIFT.write(record, self.shift);
    }

    fn reads(&self) -> Reads {
        Reads::one(self.input)
    }

    fn cost(&self, tensors: &dyn Tensors) -> Option<Cost> {
        tensors.tensor(self.output)?;
        let work = tensors.tensor(self.input)?.padded_elements().saturating_mul(wide::VALUE_WORK);
        Some(Cost { work, ..Cost::default() })
    }

    fn check(&self, check: &mut Check) -> Result<(), StepError> {
        let (input, output) = (check.number(self.input)?, check.number(self.output)?);
        if output.shape() != input.shape() {
            return Err(StepError::Shape { id: self.output });
        }
        check.in_place(self.input, self.output)?;
        value(Field::Multiplier, self.multiplier, MULTIPLIER_MIN as i64..=i32::MAX as i64)?;
        value(Field::Shift, self.shift, shifts(&output) as i64..=SHIFT_MAX as i64)?;
        limits::check([self.min, self.max], &output)
    }

    /// A product with ones.
    fn run(&self, run: &mut Run) -> Result<(), Error> {
        let (input, output) = (run.tensor(self.input)?, run.tensor(self.output)?);
        let &ScaleStep { multiplier, shift, min, max, .. } = self;
        let mul = MulWide { multiplier, shift, zero_point: output.zero_point, min, max };
        let kernels = run.kernels;
        wide::each(run, [&input, &output], None, |out, ones| kernels.mul_wide(&mul, out, ones))
    }
}
