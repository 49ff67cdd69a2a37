//! The last clamp of a step's results.

use super::{
    Record,
    check::value,
    field::{MAX, MIN},
};
use crate::{
    element::Dtype,
    error::{Field, StepError},
    format::Tensor,
};

/// Where limits stand that int8 does not hold.
mod field {
    use crate::bytes::Slot;

    pub const WIDE: Slot<[i16; 2]> = Slot::at(60);
}

/// Lower and upper limit. Both 0 at the end of the record: those of int8 count.
#[inline(always)]
pub(super) fn read(record: &Record) -> [i16; 2] {
    match field::WIDE.read(record) {
        [0, 0] => [MIN.read(record).into(), MAX.read(record).into()],
        wide => wide,
    }
}

/// Two limits that int8 holds stand where they always have, whatever the output is; so each pair has one form.
pub(super) fn write(record: &mut Record, limits: [i16; 2]) {
    match limits.map(i8::try_from) {
        [Ok(min), Ok(max)] => {
            MIN.write(record, min);
            MAX.write(record, max);
        }
        _ => field::WIDE.write(record, limits),
    }
}

/// Limits that leave something, of the output's type.
pub(super) fn check([min, max]: [i16; 2], output: &Tensor) -> Result<(), StepError> {
    let [least, most] = match output.dtype {
        Dtype::I8 => [i8::MIN.into(), i8::MAX.into()],
        _ => [i16::MIN, i16::MAX],
    };
    value(Field::Minimum, min, least.into()..=most.into())?;
    value(Field::Maximum, max, min.into()..=most.into())
}
