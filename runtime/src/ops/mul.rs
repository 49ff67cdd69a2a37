//! Element-wise product of two tensors, or of a map and a value for each channel.

use super::{
    Cost, Operator, Reads, Record, Run, Tensors,
    check::{Check, shifts, value},
    field::{INPUT, OUTPUT},
    limits, wide,
};
use crate::{
    error::{Error, Field, StepError},
    id::TensorId,
    kernels::{Mul, MulWide},
    quant::{MULTIPLIER_MIN, SHIFT_MAX},
};

/// Where its own numbers stand; `a` is the input.
mod field {
    use crate::bytes::Slot;

    pub const B: Slot<u16> = Slot::at(10);
    pub const MULTIPLIER: Slot<i32> = Slot::at(12);
    pub const SHIFT: Slot<u8> = Slot::at(16);
}

/// `output = a * b`, see [`Mul`] and, where a tensor is int16, [`MulWide`]. `output` lies exactly where `a` lies, if it has its type,
/// or apart from it; always apart from `b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MulStep {
    /// `[H, W, C]`, int8 or int16: the operand that may be overwritten.
    pub a: TensorId,
    /// `[H, W, C]`, or `[1, 1, C]`, which is repeated for each pixel; int8 or int16.
    pub b: TensorId,
    /// The product, of `a`'s shape, int8 or int16.
    pub output: TensorId,
    /// Mantissa of the operands' scales over the output's.
    pub multiplier: i32,
    /// Its shift: 32 to 62, from 16 on of an int16 output.
    pub shift: u8,
    /// Lower clamp.
    pub min: i16,
    /// Upper clamp.
    pub max: i16,
}

impl Operator for MulStep {
    const KIND: u16 = 6;
    const NAME: &'static str = "mul";

    fn parse(record: &Record) -> MulStep {
        let [min, max] = limits::read(record);
        MulStep {
            a: INPUT.read(record),
            b: field::B.read(record),
            output: OUTPUT.read(record),
            multiplier: field::MULTIPLIER.read(record),
            shift: field::SHIFT.read(record),
            min,
            max,
        }
    }

    fn emit(&self, record: &mut Record) {
        INPUT.write(record, self.a);
        OUTPUT.write(record, self.output);
        limits::write(record, [self.min, self.max]);
        field::B.write(record, self.b);
        field::MULTIPLIER.write(record, self.multiplier);
        field::SHIFT.write(record, self.shift);
    }

    fn reads(&self) -> Reads {
        Reads::two(self.a, self.b)
    }

    /// A product for each value. Work: both operands, and the first one more where it is copied to the output first;
    /// more where a tensor is int16.
    fn cost(&self, tensors: &dyn Tensors) -> Option<Cost> {
        let all @ [a, _, output] = [tensors.tensor(self.a)?, tensors.tensor(self.b)?, tensors.tensor(self.output)?];
        let work = match a.offset == output.offset {
            _ if wide::any(&all) => a.padded_elements().saturating_mul(wide::VALUE_WORK),
            true => a.padded_elements() * 2,
            false => a.padded_elements() * 3,
        };
        Some(Cost { macs: a.elements(), work, ..Cost::default() })
    }

    fn check(&self, check: &mut Check) -> Result<(), StepError> {
        let [a, b, output] = [check.number(self.a)?, check.number(self.b)?, check.number(self.output)?];
        if b.shape() != a.shape() && b.shape() != [1, 1, a.channels] {
            return Err(StepError::Shape { id: self.b });
        }
        if output.shape() != a.shape() {
            return Err(StepError::Shape { id: self.output });
        }
        check.in_place(self.a, self.output)?;
        check.apart(self.b, self.output)?;
        value(Field::Multiplier, self.multiplier, MULTIPLIER_MIN as i64..=i32::MAX as i64)?;
        value(Field::Shift, self.shift, shifts(&output) as i64..=SHIFT_MAX as i64)?;
        limits::check([self.min, self.max], &output)
    }

    fn run(&self, run: &mut Run) -> Result<(), Error> {
        let all @ [a, b, output] = [run.tensor(self.a)?, run.tensor(self.b)?, run.tensor(self.output)?];
        if wide::any(&all) {
            let &MulStep { multiplier, shift, min, max, .. } = self;
            let mul = MulWide { multiplier, shift, zero_point: output.zero_point, min, max };
            let kernels = run.kernels;
            return wide::each(run, [&a, &output], Some(&b), |out, b| kernels.mul_wide(&mul, out, b));
        }
        run.in_place(&a, &output)?;
        let ([target, other], _) = run.memory.tensors([&output, &b])?;
        let mul = Mul {
            zero_points: [a.zero_point, b.zero_point],
            multiplier: self.multiplier,
            shift: self.shift,
            zero_point: output.zero_point,
            min: self.min,
            max: self.max,
        };
        run.kernels.mul(&mul, target, other)
    }
}
