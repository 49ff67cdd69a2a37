//! Which channel of each pixel is the largest.

use super::{
    Cost, Operator, Reads, Record, Run, Tensors,
    check::Check,
    field::{INPUT, OUTPUT},
};
use crate::{
    bytes::{Views, as_i32_mut},
    element::{Dtype, Value},
    error::{Error, StepError},
    format::Tensor,
    id::TensorId,
};

/// `output[y, x] = ` the first of the largest channels of `input[y, x, :]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgmaxStep {
    /// `[H, W, C]`, int8 or int16.
    pub input: TensorId,
    /// `[H, W, 1]`, int32, scale 1, apart from the input; its padding channels become 0.
    pub output: TensorId,
}

impl Operator for ArgmaxStep {
    const KIND: u16 = 12;
    const NAME: &'static str = "argmax";

    fn parse(record: &Record) -> ArgmaxStep {
        ArgmaxStep { input: INPUT.read(record), output: OUTPUT.read(record) }
    }

    fn emit(&self, record: &mut Record) {
        INPUT.write(record, self.input);
        OUTPUT.write(record, self.output);
    }

    fn reads(&self) -> Reads {
        Reads::one(self.input)
    }

    /// All channels, and the result with its padding.
    fn cost(&self, tensors: &dyn Tensors) -> Option<Cost> {
        let (input, output) = (tensors.tensor(self.input)?, tensors.tensor(self.output)?);
        let work = input.padded_elements().saturating_add(output.padded_elements());
        Some(Cost { work, ..Cost::default() })
    }

    fn check(&self, check: &mut Check) -> Result<(), StepError> {
        let (input, output) = (check.number(self.input)?, check.values(self.output)?);
        check.apart(self.input, self.output)?;
        if output.dtype != Dtype::I32 {
            return Err(StepError::Dtype { id: self.output });
        }
        if output.shape() != [input.height, input.width, 1] {
            return Err(StepError::Shape { id: self.output });
        }
        // An int32 tensor has no zero point.
        if output.scale != 1.0 {
            return Err(StepError::Quantization { id: self.output });
        }
        Ok(())
    }

    fn run(&self, run: &mut Run) -> Result<(), Error> {
        let (input, output) = (run.tensor(self.input)?, run.tensor(self.output)?);
        let ([source, target], _) = run.memory.tensors([&input, &output])?;
        match input.dtype {
            Dtype::I8 => each(&input, i8::of(source), &output, as_i32_mut(target)),
            _ => each(&input, i16::of(source), &output, as_i32_mut(target)),
        }
        Ok(())
    }
}

fn each<X: Value>(input: &Tensor, source: &[X], output: &Tensor, target: &mut [i32]) {
    let pixels = source.chunks_exact(input.padded_channels());
    for (pixel, target) in pixels.zip(target.chunks_exact_mut(output.padded_channels())) {
        target.fill(0);
        if let Some(target) = target.first_mut() {
            *target = largest(pixel.iter().take(input.channels.into()));
        }
    }
}

/// The place of the first of the largest.
fn largest<'v, X: Value + 'v>(values: impl Iterator<Item = &'v X>) -> i32 {
    let (mut place, mut max) = (0, X::saturated(i32::MIN));
    for (at, &value) in (0..).zip(values) {
        if value > max {
            (place, max) = (at, value);
        }
    }
    place
}
