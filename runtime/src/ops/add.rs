//! Element-wise sum, maximum or minimum of two tensors, or of a map and a value for each channel.

use super::{
    Cost, Operator, RATIO_MAX, Reads, Record, Run, Tensors, WIDE_RATIO_MAX,
    check::{Check, value},
    field::{FLAGS, INPUT, OUTPUT},
    limits, wide,
};
use crate::{
    error::{Error, Field, StepError},
    id::TensorId,
    kernels::{Add, AddWide, Combine},
};

/// Where its own numbers stand; `a` is the input.
mod field {
    use crate::bytes::Slot;

    pub const B: Slot<u16> = Slot::at(10);
    pub const MULTIPLIERS: Slot<[i32; 2]> = Slot::at(12);
}

/// What is done, by the number that stands at the flags.
const COMBINE: [Combine; 3] = [Combine::Sum, Combine::Maximum, Combine::Minimum];

/// `output = a + b`, or the larger or smaller of the two, each rescaled to Q12 of the output's scale, see [`Add`], or to Q20 where
/// a tensor is int16, see [`AddWide`]. `output` lies exactly where `a` lies, if it has its type, or apart from it; always apart
/// from `b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddStep {
    /// Sum, maximum or minimum.
    pub combine: Combine,
    /// `[H, W, C]`, int8 or int16: the operand that may be overwritten.
    pub a: TensorId,
    /// `[H, W, C]`, or `[1, 1, C]`, which is repeated for each pixel; int8 or int16.
    pub b: TensorId,
    /// The result, of `a`'s shape, int8 or int16.
    pub output: TensorId,
    /// Scales of `a` and `b` over the output's: Q12, -2^21 to 2^21, or, where a tensor is int16, Q20, -2^30 to 2^30. A negative one
    /// subtracts.
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

    /// Both operands, and the first one more where it is copied to the output first; more where a tensor is int16.
    fn cost(&self, tensors: &dyn Tensors) -> Option<Cost> {
        let all @ [a, _, output] = [tensors.tensor(self.a)?, tensors.tensor(self.b)?, tensors.tensor(self.output)?];
        let work = match a.offset == output.offset {
            _ if wide::any(&all) => a.padded_elements().saturating_mul(wide::VALUE_WORK),
            true => a.padded_elements() * 2,
            false => a.padded_elements() * 3,
        };
        Some(Cost { work, ..Cost::default() })
    }

    fn check(&self, check: &mut Check) -> Result<(), StepError> {
        let all @ [a, b, output] = [check.number(self.a)?, check.number(self.b)?, check.number(self.output)?];
        if b.shape() != a.shape() && b.shape() != [1, 1, a.channels] {
            return Err(StepError::Shape { id: self.b });
        }
        if output.shape() != a.shape() {
            return Err(StepError::Shape { id: self.output });
        }
        check.in_place(self.a, self.output)?;
        check.apart(self.b, self.output)?;
        let most = i64::from(if wide::any(&all) { WIDE_RATIO_MAX } else { RATIO_MAX });
        for multiplier in self.multipliers {
            value(Field::Multiplier, multiplier, -most..=most)?;
        }
        limits::check([self.min, self.max], &output)
    }

    fn run(&self, run: &mut Run) -> Result<(), Error> {
        let all @ [a, b, output] = [run.tensor(self.a)?, run.tensor(self.b)?, run.tensor(self.output)?];
        if wide::any(&all) {
            let &AddStep { combine, multipliers, min, max, .. } = self;
            let add = AddWide { combine, multipliers, zero_point: output.zero_point, min, max };
            let kernels = run.kernels;
            return wide::each(run, [&a, &output], Some(&b), |out, b| kernels.add_wide(&add, out, b));
        }
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
