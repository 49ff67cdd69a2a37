//! What the operators' checks have in common.

use super::Cost;
use crate::{
    bytes::{array_at, u8_at},
    element::Dtype,
    error::{Field, StepError},
    format::{PARAMS_ALIGN, SECTION_ALIGN, Sections, Tensor, saturate},
    id::{ConstOffset, TensorId},
    kernels::{MULTIPLIERS_AT, PARAM_BLOCK, SHIFTS_AT, Table},
    quant::{MULTIPLIER_MIN, SHIFT_MAX, SHIFT_MIN, SHIFT_MIN_WIDE},
};

/// Checks one step after the other against the model.
pub struct Check<'c, 'm> {
    sections: &'c Sections<'m>,
    /// Where the constants of the steps so far end. Constants lie in the order of the steps, so that each byte is
    /// looked at once: a small file cannot make a load long by naming the same constants thousands of times.
    consts_end: u64,
}

impl<'c, 'm> Check<'c, 'm> {
    pub(crate) fn new(sections: &'c Sections<'m>) -> Check<'c, 'm> {
        Check { sections, consts_end: 0 }
    }

    fn tensor(&self, id: TensorId) -> Result<Tensor, StepError> {
        let count = self.sections.header.tensors;
        self.sections.tensor(id).ok_or(StepError::NoTensor { id, count })
    }

    /// An int8 tensor that is no state.
    pub(super) fn activation(&self, id: TensorId) -> Result<Tensor, StepError> {
        let tensor = self.tensor(id)?;
        match tensor {
            Tensor { state: true, .. } => Err(StepError::State { id }),
            Tensor { dtype: Dtype::I8, .. } => Ok(tensor),
            _ => Err(StepError::Dtype { id }),
        }
    }

    /// An int8 or int16 tensor that is no state.
    pub(super) fn number(&self, id: TensorId) -> Result<Tensor, StepError> {
        let tensor = self.values(id)?;
        if tensor.dtype == Dtype::I32 { Err(StepError::Dtype { id }) } else { Ok(tensor) }
    }

    /// An int8 or int16 input and an output that means the same: of its type, scale and zero point.
    pub(super) fn kept(&self, input: TensorId, output: TensorId) -> Result<[Tensor; 2], StepError> {
        let [from, to] = [self.number(input)?, self.number(output)?];
        if from.dtype != to.dtype {
            return Err(StepError::Dtype { id: output });
        }
        let same = from.zero_point == to.zero_point && from.scale == to.scale;
        if same { Ok([from, to]) } else { Err(StepError::Quantization { id: output }) }
    }

    /// A tensor of any element type that is no state.
    pub(super) fn values(&self, id: TensorId) -> Result<Tensor, StepError> {
        let tensor = self.tensor(id)?;
        if tensor.state { Err(StepError::State { id }) } else { Ok(tensor) }
    }

    /// An int16 state.
    pub(super) fn state(&self, id: TensorId) -> Result<Tensor, StepError> {
        let tensor = self.tensor(id)?;
        match tensor {
            Tensor { state: false, .. } => Err(StepError::State { id }),
            Tensor { dtype: Dtype::I16, .. } => Ok(tensor),
            _ => Err(StepError::Dtype { id }),
        }
    }

    /// Two tensors that share no byte.
    pub(super) fn apart(&self, a: TensorId, b: TensorId) -> Result<(), StepError> {
        if self.tensor(a)?.overlaps(&self.tensor(b)?) { Err(StepError::Overlap { a, b }) } else { Ok(()) }
    }

    /// An output that lies exactly where its input lies and has its type, or shares no byte with it.
    pub(super) fn in_place(&self, input: TensorId, output: TensorId) -> Result<(), StepError> {
        let (from, to) = (self.tensor(input)?, self.tensor(output)?);
        if from.offset == to.offset && from.dtype == to.dtype { Ok(()) } else { self.apart(input, output) }
    }

    /// Constants: in the file, aligned, behind those of the steps before.
    pub(super) fn consts(
        &mut self,
        field: Field,
        offset: ConstOffset,
        len: u64,
        align: usize,
    ) -> Result<&'m [u8], StepError> {
        let header = &self.sections.header;
        let in_file = |at: u64| saturate(header.consts_at as u64 + at);
        if !(offset as usize).is_multiple_of(align) {
            return Err(StepError::Unaligned { field, offset });
        }
        let end = offset as u64 + len;
        let bytes = self.sections.consts(offset, len).ok_or(StepError::Range {
            field,
            end: in_file(end),
            limit: in_file(header.consts_len as u64),
        })?;
        if (offset as u64) < self.consts_end {
            return Err(StepError::Order { field, start: in_file(offset as u64), previous: in_file(self.consts_end) });
        }
        self.consts_end = end;
        Ok(bytes)
    }

    /// Packed weights: in the file, aligned, without -128. Two products of -128 and -128 would not fit the int16 lane in
    /// which the Neon kernels add pairs, so such a weight would make the machines differ.
    pub(super) fn weights(&mut self, field: Field, offset: ConstOffset, len: u64) -> Result<(), StepError> {
        let weights = self.consts(field, offset, len, SECTION_ALIGN)?;
        if weights.contains(&0x80) {
            let at = weights.iter().position(|&w| w == 0x80).unwrap_or_default() as u64;
            return Err(StepError::Weight { at: saturate(self.sections.header.consts_at as u64 + offset as u64 + at) });
        }
        Ok(())
    }

    /// The 256 entries of a table: in the file, aligned.
    pub(super) fn table(&mut self, offset: ConstOffset) -> Result<(), StepError> {
        self.table_of(offset, size_of::<Table>() as u64)
    }

    /// A table of so many bytes, likewise.
    pub(super) fn table_of(&mut self, offset: ConstOffset, len: u64) -> Result<(), StepError> {
        self.consts(Field::Table, offset, len, PARAMS_ALIGN).map(drop)
    }

    /// Parameter blocks: in the file, aligned, multipliers normalized (or zero, for padding), shifts within
    /// `shift_min..=62`.
    #[expect(clippy::cast_possible_truncation, reason = "an error shows a channel modulo 65536")]
    pub(super) fn params(
        &mut self,
        field: Field,
        offset: ConstOffset,
        blocks: u64,
        shift_min: u8,
    ) -> Result<(), StepError> {
        let bytes = self.consts(field, offset, blocks * PARAM_BLOCK as u64, PARAMS_ALIGN)?;
        for (block, params) in bytes.chunks_exact(PARAM_BLOCK).enumerate() {
            for lane in 0..8 {
                let channel = (8 * block + lane) as u16;
                let found = i32::from_le_bytes(array_at(params, MULTIPLIERS_AT + 4 * lane));
                if found != 0 && found < MULTIPLIER_MIN {
                    return Err(StepError::Channel { field: Field::Multiplier, channel, found });
                }
                let shift = u8_at(params, SHIFTS_AT + lane);
                if !(shift_min..=SHIFT_MAX).contains(&shift) {
                    return Err(StepError::Channel { field: Field::Shift, channel, found: shift.into() });
                }
            }
        }
        Ok(())
    }

    /// The step's scratch fits the scratch that the header states.
    pub(crate) fn scratch(&self, cost: &Cost) -> Result<(), StepError> {
        let header = &self.sections.header;
        for (needed, stated) in [(cost.scratch, header.scratch_len), (cost.worker_scratch, header.worker_len)] {
            if needed > stated as u64 {
                return Err(StepError::Scratch { needed: saturate(needed), stated });
            }
        }
        Ok(())
    }
}

/// A number within its range, or an error that shows it.
pub(super) fn value(
    field: Field,
    found: impl Into<i64>,
    allowed: core::ops::RangeInclusive<i64>,
) -> Result<(), StepError> {
    let found = found.into();
    if allowed.contains(&found) {
        return Ok(());
    }
    Err(StepError::Value { field, found: shown(found) })
}

/// The smallest shift for an output: what an int16 output is made of may be in larger units than its own.
pub(super) fn shifts(output: &Tensor) -> u8 {
    if output.dtype == Dtype::I16 { SHIFT_MIN_WIDE } else { SHIFT_MIN }
}

/// A number for an error message, as near as 32 bits get.
pub(super) fn shown(found: i64) -> i32 {
    i32::try_from(found).unwrap_or(if found < 0 { i32::MIN } else { i32::MAX })
}

/// Windows along one axis: the last one starts within the input or the padding before it.
pub(super) fn windows(input: u16, output: u16, stride: u8, pad: u8, id: TensorId) -> Result<(), StepError> {
    if (output as u32 - 1) * stride as u32 >= input as u32 + pad as u32 { Err(StepError::Shape { id }) } else { Ok(()) }
}
