//! Element-wise sum, maximum or minimum of two tensors, or of a map and a value for each channel.

use super::{
    Cost, Operator, RATIO_MAX, Reads, Record, Run, Tensors,
    check::{Check, value},
    field::{FLAGS, INPUT, OUTPUT},
    limits,
};
use crate::{
    error::{Error, Field, StepError},
    id::TensorId,
    kernels::{Add, Combine},
};

/// Where its own numbers stand; `a` is the input.
mod field {
    use crate::bytes::Slot;

    pub const B: Slot<u16> = Slot::at(10);
    pub const MULTIPLIERS: Slot<[i32; 2]> = Slot::at(12);
}

/// What is done, by the number that stands at the flags.
const COMBINE: [Combine; 3] = [Combine::Sum, Combine::Maximum, Combine::Minimum];

/// `output = a + b`, or the larger or smaller of the two, each rescaled to Q12 of the output's scale, see [`Add`]. `output` lies
/// exactly where `a` lies, or apart from it; always apart from `b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddStep {
    /// Sum, maximum or minimum.
    pub combine: Combine,
    /// `[H, W, C]`: the operand that may be overwritten.
    pub a: TensorId,
    /// `[H, W, C]`, or `[1, 1, C]`, which is repeated for each pixel.
    pub b: TensorId,
    /// The result, of `a`'s shape.
    pub output: TensorId,
    /// Scales of `a` and `b` over the output's, Q12, -2^21 to 2^21: a negative one subtracts.
    pub multipliers: [i32; 2],
    /// Lower clamp.
    pub min: i16,
    /// Upper clamp.
    pub max: i16,
}

impl Operator for AddStep {
    const KIND: u16 = 2;
    const NAME: &'static str = "add";

    fn parse(record: &Record) -> AddStep {
        let [min, max] = limits::read(record);
        AddStep {
            combine: COMBINE.get(FLAGS.read(record) as usize).copied().unwrap_or(Combine::Sum),
            a: INPUT.read(record),
            b: field::B.read(record),
            output: OUTPUT.read(record),
            multipliers: field::MULTIPLIERS.read(record),
            min,
            max,
        }
    }

    fn emit(&self, record: &mut Record) {
        FLAGS.write(record, self.combine as u16);
        INPUT.write(record, self.a);
        OUTPUT.write(record, self.output);
        limits::write(record, [self.min, self.max]);
        field::B.write(record, self.b);
        field::MULTIPLIERS.write(record, self.multipliers);
    }

    fn reads(&self) -> Reads {
        Reads::two(self.a, self.b)
    }

    /// Both operands, and the first one more where it is copied to the output first.
    fn cost(&self, tensors: &dyn Tensors) -> Option<Cost> {
        let (a, output) = (tensors.tensor(self.a)?, tensors.tensor(self.output)?);
        let work = a.padded_elements() * if a.offset == output.offset { 2 } else { 3 };
        Some(Cost { work, ..Cost::default() })
    }

    fn check(&self, check: &mut Check) -> Result<(), StepError> {
        let [a, b, output] = [check.activation(self.a)?, check.activation(self.b)?, check.activation(self.output)?];
        if b.shape() != a.shape() && b.shape() != [1, 1, a.channels] {
            return Err(StepError::Shape { id: self.b });
        }
        if output.shape() != a.shape() {
            return Err(StepError::Shape { id: self.output });
        }
        if output.offset != a.offset {
            check.apart(self.a, self.output)?;
        }
        check.apart(self.b, self.output)?;
        for multiplier in self.multipliers {
            value(Field::Multiplier, multiplier, -(RATIO_MAX as i64)..=RATIO_MAX as i64)?;
        }
        limits::check([self.min, self.max], &output)
    }

    fn run(&self, run: &mut Run) -> Result<(), Error> {
        let [a, b, output] = [run.tensor(self.a)?, run.tensor(self.b)?, run.tensor(self.output)?];
        run.in_place(&a, &output)?;
        let ([target, other], _) = run.memory.tensors([&output, &b])?;
        let add = Add {
            combine: self.combine,
            zero_points: [a.zero_point, b.zero_point],
            multipliers: self.multipliers,
            zero_point: output.zero_point,
            min: self.min,
            max: self.max,
        };
        run.kernels.add(&add, target, other)
    }
}
