//! Matrix times vector, in strips of rows.

use super::check::{Check, clamps};
use super::{ConstOffset, Run, TensorId};
use crate::bytes::{as_i8, as_i32_mut, i8_at, put, u16_at, u32_at};
use crate::error::{Error, Field, StepError};
use crate::format::{STEP, Tensor};
use crate::kernels::{Epilogue, PARAM_BLOCK, WEIGHT_STEP};
use crate::quant::SHIFT_MIN;

/// `output = epilogue(W x)`. The input may have any shape: its bytes are the vector, padding channels included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearStep {
    /// `k` bytes, int8.
    pub input: TensorId,
    /// `[1, 1, N]`, int8, apart from the input.
    pub output: TensorId,
    /// `[blocks][k / 8][8][8]`, 64-byte aligned.
    pub weights: ConstOffset,
    /// `[blocks]` x 72 bytes, 8-byte aligned.
    pub params: ConstOffset,
    /// Lower clamp.
    pub min: i8,
    /// Upper clamp.
    pub max: i8,
}

/// Channel blocks worked on at a time: 2 KB of sums.
const STRIP: usize = 64;

impl LinearStep {
    pub(super) fn parse(record: &[u8; STEP]) -> LinearStep {
        LinearStep {
            input: u16_at(record, 2),
            output: u16_at(record, 4),
            min: i8_at(record, 6),
            max: i8_at(record, 7),
            weights: u32_at(record, 16),
            params: u32_at(record, 20),
        }
    }

    pub(super) fn emit(&self, record: &mut [u8; STEP]) {
        put(record, 2, self.input.to_le_bytes());
        put(record, 4, self.output.to_le_bytes());
        put(record, 6, self.min.to_le_bytes());
        put(record, 7, self.max.to_le_bytes());
        put(record, 16, self.weights.to_le_bytes());
        put(record, 20, self.params.to_le_bytes());
    }

    /// Bytes of packed weights.
    pub const fn weights_len(&self, input: &Tensor, output: &Tensor) -> u64 {
        (input.padded_elements() / 8).saturating_mul((output.groups() * WEIGHT_STEP) as u64)
    }

    /// Bytes of parameter blocks.
    pub const fn params_len(&self, output: &Tensor) -> u64 {
        (output.groups() * PARAM_BLOCK) as u64
    }

    /// Multiply-accumulates, without padding channels.
    pub const fn macs(&self, input: &Tensor, output: &Tensor) -> u64 {
        input.elements().saturating_mul(output.channels as u64)
    }

    /// Bytes of scratch: a strip's sums.
    pub fn scratch_len(&self, output: &Tensor) -> u64 {
        (output.groups().min(STRIP) * 8 * size_of::<i32>()) as u64
    }

    pub(super) fn check(&self, check: &mut Check) -> Result<(), StepError> {
        let (input, output) = (check.activation(self.input)?, check.activation(self.output)?);
        check.apart(self.input, self.output)?;
        if output.pixels() != 1 {
            return Err(StepError::Shape { id: self.output });
        }
        clamps(self.min, self.max)?;
        check.weights(Field::Weights, self.weights, self.weights_len(&input, &output))?;
        check.params(Field::Parameters, self.params, output.groups() as u64, SHIFT_MIN)
    }

    pub(super) fn run(&self, run: &mut Run) -> Result<(), Error> {
        let (input, output) = (run.tensor(self.input)?, run.tensor(self.output)?);
        let weights = as_i8(run.consts(self.weights, self.weights_len(&input, &output))?);
        let (params, _) = run.consts(self.params, self.params_len(&output))?.as_chunks::<PARAM_BLOCK>();
        let epilogue = Epilogue { zero_point: output.zero_point, min: self.min, max: self.max, residual: None };
        let ([x, target], scratch) = run.memory.tensors([&input, &output])?;
        let sums = as_i32_mut(scratch);
        // Saturates only where 32-bit sizes end: weights longer than that are in no slice.
        let strip = x.len().saturating_mul(8 * STRIP);
        for ((out, weights), params) in
            target.chunks_mut(8 * STRIP).zip(weights.chunks(strip)).zip(params.chunks(STRIP))
        {
            let sums = sums.get_mut(..out.len()).ok_or(Error::Kernel)?;
            run.kernels.gemv(x, weights, sums)?;
            let (out, _) = out.as_chunks_mut::<8>();
            for ((out, sums), params) in out.iter_mut().zip(sums.as_chunks::<8>().0).zip(params) {
                epilogue.apply(sums, params, out);
            }
        }
        Ok(())
    }
}
