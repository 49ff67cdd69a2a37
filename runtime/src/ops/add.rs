//! Element-wise sum of two tensors of the same shape.

use super::check::{Check, clamps, value};
use super::{RATIO_MAX, Run, TensorId};
use crate::bytes::{i8_at, i32_at, put, u16_at};
use crate::error::{Error, Field, StepError};
use crate::format::{STEP, Tensor};
use crate::kernels::Add;

/// `output = a + b`, each rescaled to Q12 of the output's scale, see [`Add`]. `output` lies exactly where `a` lies, or
/// apart from it; always apart from `b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddStep {
    /// The operand that may be overwritten.
    pub a: TensorId,
    /// The other operand.
    pub b: TensorId,
    /// The sum.
    pub output: TensorId,
    /// Scales of `a` and `b` over the output's, Q12, 0 to 2^21.
    pub multipliers: [i32; 2],
    /// Lower clamp.
    pub min: i8,
    /// Upper clamp.
    pub max: i8,
}

impl AddStep {
    pub(super) fn parse(record: &[u8; STEP]) -> AddStep {
        AddStep {
            a: u16_at(record, 2),
            b: u16_at(record, 8),
            output: u16_at(record, 4),
            multipliers: [i32_at(record, 12), i32_at(record, 16)],
            min: i8_at(record, 6),
            max: i8_at(record, 7),
        }
    }

    pub(super) fn emit(&self, record: &mut [u8; STEP]) {
        put(record, 2, self.a.to_le_bytes());
        put(record, 4, self.output.to_le_bytes());
        put(record, 6, self.min.to_le_bytes());
        put(record, 7, self.max.to_le_bytes());
        put(record, 8, self.b.to_le_bytes());
        put(record, 12, self.multipliers[0].to_le_bytes());
        put(record, 16, self.multipliers[1].to_le_bytes());
    }

    /// Both operands, and the first one more where it is copied to the output first.
    pub(super) const fn work(&self, a: &Tensor, output: &Tensor) -> u64 {
        a.padded_elements() * if a.offset == output.offset { 2 } else { 3 }
    }

    pub(super) fn check(&self, check: &mut Check) -> Result<(), StepError> {
        let [a, b, output] = [check.activation(self.a)?, check.activation(self.b)?, check.activation(self.output)?];
        if b.shape() != a.shape() {
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
            value(Field::Multiplier, multiplier, 0..=RATIO_MAX as i64)?;
        }
        clamps(self.min, self.max)
    }

    pub(super) fn run(&self, run: &mut Run) -> Result<(), Error> {
        let [a, b, output] = [run.tensor(self.a)?, run.tensor(self.b)?, run.tensor(self.output)?];
        if output.offset != a.offset {
            let ([target, source], _) = run.memory.tensors([&output, &a])?;
            for (target, source) in target.iter_mut().zip(source) {
                *target = *source;
            }
        }
        let ([target, other], _) = run.memory.tensors([&output, &b])?;
        let add = Add {
            zero_points: [a.zero_point, b.zero_point],
            multipliers: self.multipliers,
            zero_point: output.zero_point,
            min: self.min,
            max: self.max,
        };
        run.kernels.add(&add, target, other)
    }
}
