//! What an average divides by, as factors in fixed point.

use super::{Check, Run, value};
use crate::{
    element::Dtype,
    error::{Error, Field, StepError},
    format::PARAMS_ALIGN,
    id::ConstOffset,
    quant::{MULTIPLIER_MIN, SHIFT_MAX, SHIFT_MIN_WIDE},
};

/// Where the numbers of a factor stand.
mod field {
    use crate::bytes::Slot;

    pub const MULTIPLIER: Slot<i32> = Slot::at(0);
    pub const SHIFT: Slot<u32> = Slot::at(4);
}

/// Bytes of one factor among the constants: multiplier i32, shift u32.
const FACTOR: usize = 8;
/// Most factors of a step: 32 kB.
const FACTORS_MAX: i64 = 4096;
/// As many differences fit an int32: of at most 255, and of int16 values from their zero point, which is 0.
const PIXELS_MAX: [i64; 2] = [i32::MAX as i64 / 255, i32::MAX as i64 / 32768];

/// What the sum of an average's window is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divisor {
    /// All its pixels, those outside the image too, which count as zeros: multiplier, 2^30 to 2^31 - 1, and shift, 16 to 62.
    All(i32, u8),
    /// Its pixels inside the image. For 1, 2 ... as many as a window has, at most 4096: multiplier and shift, 8-byte aligned.
    Inside(ConstOffset),
}

impl Divisor {
    /// One of the constants of [`Divisor::Inside`].
    pub fn emit(multiplier: i32, shift: u8) -> [u8; FACTOR] {
        let mut bytes = [0; FACTOR];
        field::MULTIPLIER.write(&mut bytes, multiplier);
        field::SHIFT.write(&mut bytes, shift.into());
        bytes
    }

    /// For windows of as many pixels of a type.
    pub(super) fn check(self, check: &mut Check, pixels: u64, dtype: Dtype) -> Result<(), StepError> {
        let found = i64::try_from(pixels).unwrap_or(i64::MAX);
        match self {
            Divisor::All(multiplier, shift) => {
                factor(multiplier, shift.into())?;
                value(Field::Kernel, found, 1..=PIXELS_MAX[usize::from(dtype != Dtype::I8)])
            }
            Divisor::Inside(factors) => {
                value(Field::Kernel, found, 1..=FACTORS_MAX)?;
                let factors = check.consts(Field::Factors, factors, pixels * FACTOR as u64, PARAMS_ALIGN)?;
                factors
                    .as_chunks::<FACTOR>()
                    .0
                    .iter()
                    .try_for_each(|bytes| factor(field::MULTIPLIER.read(bytes), field::SHIFT.read(bytes)))
            }
        }
    }

    pub(super) fn factors<'m>(self, run: &Run<'_, 'm>, pixels: u64) -> Result<Factors<'m>, Error> {
        Ok(match self {
            Divisor::All(multiplier, shift) => Factors::One(multiplier, shift),
            Divisor::Inside(factors) => {
                Factors::Each(run.consts(factors, pixels * FACTOR as u64)?.as_chunks::<FACTOR>().0)
            }
        })
    }
}

fn factor(multiplier: i32, shift: u32) -> Result<(), StepError> {
    value(Field::Multiplier, multiplier, MULTIPLIER_MIN as i64..=i32::MAX as i64)?;
    value(Field::Shift, shift, SHIFT_MIN_WIDE as i64..=SHIFT_MAX as i64)
}

/// The factors of a step that runs.
#[derive(Clone, Copy)]
pub(super) enum Factors<'m> {
    One(i32, u8),
    Each(&'m [[u8; FACTOR]]),
}

impl Factors<'_> {
    /// For a window with as many pixels inside the image, at least 1.
    pub(super) fn of(self, inside: usize) -> (i32, u8) {
        match self {
            Factors::One(multiplier, shift) => (multiplier, shift),
            Factors::Each(factors) => match factors.get(inside.wrapping_sub(1)) {
                Some(bytes) => (field::MULTIPLIER.read(bytes), field::SHIFT.read(bytes).to_le_bytes()[0]),
                None => (0, SHIFT_MAX),
            },
        }
    }
}
