//! Matrix times vector, in strips of rows.

use super::{
    Cost, Operator, Reads, Record, Run, Tensors,
    check::{Check, shifts},
    cost::product_work,
    field::{INPUT, OUTPUT},
    limits,
};
use crate::{
    bytes::{as_i8, as_i32_mut},
    element::Dtype::I8,
    error::{Error, Field, StepError},
    format::Tensor,
    id::{ConstOffset, TensorId},
    kernels::{Activation, Epilogue, PARAM_BLOCK, WEIGHT_STEP},
};

/// Where its own numbers stand.
mod field {
    use crate::bytes::Slot;

    pub const WEIGHTS: Slot<u32> = Slot::at(12);
    pub const PARAMS: Slot<u32> = Slot::at(16);
}

/// `output = epilogue(W x)`. The input may have any shape: its values are the vector, padding channels included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearStep {
    /// `k` values, int8 or int16.
    pub input: TensorId,
    /// `[1, 1, N]`, int8 or int16, apart from the input.
    pub output: TensorId,
    /// `[blocks][k / 8][8][8]`, 64-byte aligned.
    pub weights: ConstOffset,
    /// `[blocks]` x 72 bytes, 8-byte aligned.
    pub params: ConstOffset,
    /// Lower clamp.
    pub min: i16,
    /// Upper clamp.
    pub max: i16,
}

/// Channel blocks worked on at a time: 2 KB of sums.
const STRIP: usize = 64;

impl LinearStep {
    /// Bytes of packed weights.
    pub const fn weights_len(&self, input: &Tensor, output: &Tensor) -> u64 {
        (input.padded_elements() / 8).saturating_mul((output.groups() * WEIGHT_STEP) as u64)
    }

    /// Bytes of parameter blocks.
    pub const fn params_len(&self, output: &Tensor) -> u64 {
        (output.groups() * PARAM_BLOCK) as u64
    }
}

impl Operator for LinearStep {
    const KIND: u16 = 1;
    const NAME: &'static str = "linear";

    fn parse(record: &Record) -> LinearStep {
        let [min, max] = limits::read(record);
        LinearStep {
            input: INPUT.read(record),
            output: OUTPUT.read(record),
            min,
            max,
            weights: field::WEIGHTS.read(record),
            params: field::PARAMS.read(record),
        }
    }

    fn emit(&self, record: &mut Record) {
        INPUT.write(record, self.input);
        OUTPUT.write(record, self.output);
        limits::write(record, [self.min, self.max]);
        field::WEIGHTS.write(record, self.weights);
        field::PARAMS.write(record, self.params);
    }

    fn reads(&self) -> Reads {
        Reads::one(self.input)
    }

    /// Work: bytes of weights, more where a tensor is int16. Scratch: a strip's sums.
    fn cost(&self, tensors: &dyn Tensors) -> Option<Cost> {
        let (input, output) = (tensors.tensor(self.input)?, tensors.tensor(self.output)?);
        let macs = input.elements().saturating_mul(output.channels as u64);
        let work = self.weights_len(&input, &output).saturating_mul(product_work(&input, &output));
        let cost = Cost { macs, work, ..Cost::default() };
        Some(cost.with_scratch((output.groups().min(STRIP) * 8 * size_of::<i32>()) as u64))
    }

    fn check(&self, check: &mut Check) -> Result<(), StepError> {
        let (input, output) = (check.number(self.input)?, check.number(self.output)?);
        check.apart(self.input, self.output)?;
        if output.pixels() != 1 {
            return Err(StepError::Shape { id: self.output });
        }
        limits::check([self.min, self.max], &output)?;
        check.weights(Field::Weights, self.weights, self.weights_len(&input, &output))?;
        check.params(Field::Parameters, self.params, output.groups() as u64, shifts(&output))
    }

    fn run(&self, run: &mut Run) -> Result<(), Error> {
        let (input, output) = (run.tensor(self.input)?, run.tensor(self.output)?);
        match (input.dtype, output.dtype) {
            (I8, I8) => self.each::<i8, i8>(run, &input, &output),
            (I8, _) => self.each::<i8, i16>(run, &input, &output),
            (_, I8) => self.each::<i16, i8>(run, &input, &output),
            _ => self.each::<i16, i16>(run, &input, &output),
        }
    }
}

impl LinearStep {
    /// From values `X` to values `Y`.
    fn each<X: Activation, Y: Activation>(&self, run: &mut Run, input: &Tensor, output: &Tensor) -> Result<(), Error> {
        let weights = as_i8(run.consts(self.weights, self.weights_len(input, output))?);
        let (params, _) = run.consts(self.params, self.params_len(output))?.as_chunks::<PARAM_BLOCK>();
        let epilogue = Epilogue { zero_point: output.zero_point, min: self.min, max: self.max, residual: None };
        let ([x, target], scratch) = run.memory.tensors([input, output])?;
        let (x, target) = (X::of(x), Y::of_mut(target));
        let sums = as_i32_mut(scratch);
        // Saturates only where 32-bit sizes end: weights longer than that are in no slice.
        let strip = x.len().saturating_mul(8 * STRIP).max(1);
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
