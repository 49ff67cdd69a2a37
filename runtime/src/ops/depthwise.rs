//! Depthwise convolution, indirect as [`super::ConvStep`]: a channel of the output comes from the same channel of the input.

use super::{
    Cost, Operator, Reads, Record, Run, Tensors,
    check::{Check, shifts},
    cost::product_work,
    field::{INPUT, OUTPUT, PARAMS, WEIGHTS},
    limits,
    windows::{Strip, Windows},
};
use crate::{
    bytes::as_i8,
    element::Dtype::I8,
    error::{Error, Field, StepError},
    format::Tensor,
    id::{ConstOffset, TensorId},
    kernels::{Activation, Depthwise, PARAM_BLOCK},
};

/// Products of a convolution that take as long as one here, where each needs a value and a weight of its own.
const PRODUCT_WORK: u64 = 8;

/// `output[y, x, c] = requantize(sum over taps of x[tap, c] * w[tap, c] + bias, m, s) + zero_point`, clamped; windows as a
/// convolution's, see [`super::ConvStep`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseStep {
    /// `[H, W, C]`, int8 or int16.
    pub input: TensorId,
    /// `[H', W', C]`, int8 or int16, apart from the input.
    pub output: TensorId,
    /// Kernel height, width.
    pub kernel: [u8; 2],
    /// Rows, columns from one window to the next.
    pub stride: [u8; 2],
    /// Rows, columns from one tap to the next.
    pub dilation: [u8; 2],
    /// Padding at top, left.
    pub pad: [u8; 2],
    /// `[C padded / 8][taps][8]`, 64-byte aligned.
    pub weights: ConstOffset,
    /// `[C padded / 8]` x 72 bytes, 8-byte aligned.
    pub params: ConstOffset,
    /// Lower clamp.
    pub min: i16,
    /// Upper clamp.
    pub max: i16,
}

impl DepthwiseStep {
    /// Kernel height times width; at least 1, so that no division by it can fail.
    pub const fn taps(&self) -> usize {
        self.windows().taps()
    }

    const fn windows(&self) -> Windows {
        let &DepthwiseStep { kernel, stride, dilation, pad, .. } = self;
        Windows { kernel, stride, dilation, pad }
    }

    /// Bytes of packed weights.
    pub const fn weights_len(&self, output: &Tensor) -> u64 {
        (output.padded_channels() * self.taps()) as u64
    }

    /// Bytes of parameter blocks.
    pub const fn params_len(&self, output: &Tensor) -> u64 {
        (output.groups() * PARAM_BLOCK) as u64
    }
}

impl Operator for DepthwiseStep {
    const KIND: u16 = 8;
    const NAME: &'static str = "depthwise";

    fn parse(record: &Record) -> DepthwiseStep {
        let [min, max] = limits::read(record);
        let Windows { kernel, stride, dilation, pad } = Windows::read(record);
        DepthwiseStep {
            input: INPUT.read(record),
            output: OUTPUT.read(record),
            min,
            max,
            kernel,
            stride,
            dilation,
            pad,
            weights: WEIGHTS.read(record),
            params: PARAMS.read(record),
        }
    }

    fn emit(&self, record: &mut Record) {
        INPUT.write(record, self.input);
        OUTPUT.write(record, self.output);
        limits::write(record, [self.min, self.max]);
        self.windows().write(record);
        WEIGHTS.write(record, self.weights);
        PARAMS.write(record, self.params);
    }

    fn reads(&self) -> Reads {
        Reads::one(self.input)
    }

    /// Multiply-accumulates with the taps outside the image. Work: products, padding channels included, each of which takes
    /// as long as many of a convolution's. Scratch: a strip's offsets and one pixel of zero points.
    fn cost(&self, tensors: &dyn Tensors) -> Option<Cost> {
        let (input, output) = (tensors.tensor(self.input)?, tensors.tensor(self.output)?);
        let taps = self.taps() as u64;
        let cost = Cost {
            macs: output.elements().saturating_mul(taps),
            work: output.padded_elements().saturating_mul(PRODUCT_WORK * product_work(&input, &output) * taps),
            ..Cost::default()
        };
        Some(cost.with_scratch(self.windows().scratch(&input, &output)))
    }

    fn check(&self, check: &mut Check) -> Result<(), StepError> {
        let (input, output) = (check.number(self.input)?, check.number(self.output)?);
        check.apart(self.input, self.output)?;
        if output.channels != input.channels {
            return Err(StepError::Shape { id: self.output });
        }
        self.windows().check(&input, &output, self.output)?;
        limits::check([self.min, self.max], &output)?;
        check.weights(Field::Weights, self.weights, self.weights_len(&output))?;
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

impl DepthwiseStep {
    /// From values `X` to values `Y`.
    fn each<X: Activation, Y: Activation>(&self, run: &mut Run, input: &Tensor, output: &Tensor) -> Result<(), Error> {
        let weights = as_i8(run.consts(self.weights, self.weights_len(output))?);
        let params = run.consts(self.params, self.params_len(output))?;
        let (zero_point, min, max) = (output.zero_point, self.min, self.max);
        let ([source, target], scratch) = run.memory.tensors([input, output])?;
        let (source, target) = (X::of(source), Y::of_mut(target));
        let (taps, kernels) = (self.taps(), run.kernels);
        self.windows().strips([input, output], target, scratch, |Strip { offsets, zeros }, out| {
            let depthwise = Depthwise { input: source, offsets, zeros, taps, weights, params, zero_point, min, max };
            kernels.depthwise(&depthwise, out)
        })
    }
}
