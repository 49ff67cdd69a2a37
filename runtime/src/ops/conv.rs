//! 2-D convolution, indirect: the kernel reads its input through a table of offsets, made for a strip of pixels at a time.

use super::{
    Cost, Operator, RATIO_MAX, Reads, Record, Run, Tensors, WIDE_RATIO_MAX,
    check::{Check, shifts, value},
    cost::product_work,
    field::{FLAGS, INPUT, OUTPUT, PARAMS, WEIGHTS},
    limits,
    windows::{Strip, Windows},
};
use crate::{
    bytes::as_i8,
    element::Dtype::{I8, I16},
    error::{Error, Field, StepError},
    format::Tensor,
    id::{ConstOffset, TensorId},
    kernels::{Activation, Conv, Epilogue, Groups, PARAM_BLOCK, Residual, Runs, WEIGHT_STEP},
    quant::SHIFT_MIN_WIDE,
};

/// Where its own numbers stand.
mod field {
    use crate::bytes::Slot;

    pub const RESIDUAL_ZERO: Slot<i8> = Slot::at(18);
    pub const RESIDUAL: Slot<i32> = Slot::at(28);
    /// Channels that a group reads and makes.
    pub const GROUPS: Slot<[u16; 2]> = Slot::at(32);
}

/// The flag of a residual operand.
const RESIDUAL: u16 = 1;

/// `output[y, x, :] = epilogue(sum over taps and input channels)`; the tap `(i, j)` of output `(y, x)` reads the input at
/// `(y * stride + i * dilation - pad, ...)`, and zero points outside the image. Padding at bottom and right follows from
/// the output's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvStep {
    /// `[H, W, C]`, int8 or int16.
    pub input: TensorId,
    /// `[H', W', N]`, int8 or int16, apart from the input.
    pub output: TensorId,
    /// Kernel height, width.
    pub kernel: [u8; 2],
    /// Rows, columns from one window to the next.
    pub stride: [u8; 2],
    /// Rows, columns from one tap to the next.
    pub dilation: [u8; 2],
    /// Padding at top, left.
    pub pad: [u8; 2],
    /// `[blocks][taps][channels of a run / 8][8][8]`, 64-byte aligned; runs as [`ConvStep::runs`] says.
    pub weights: ConstOffset,
    /// `[blocks]` x 72 bytes, 8-byte aligned.
    pub params: ConstOffset,
    /// Lower clamp.
    pub min: i16,
    /// Upper clamp.
    pub max: i16,
    /// `Some((zero_point, multiplier))`: the output tensor's bytes hold the residual operand before the step, in its type. The
    /// multiplier is Q12, 0 to 2^21; of an int16 output, whose zero point is 0, Q20, 0 to 2^30.
    pub residual: Option<(i8, i32)>,
    /// `None`: each channel of the output comes from all of the input.
    pub groups: Option<Groups>,
}

impl ConvStep {
    /// Kernel height times width; at least 1, so that no division by it can fail.
    pub const fn taps(&self) -> usize {
        self.windows().taps()
    }

    /// At least two groups, which are all of both tensors' channels.
    fn check_groups(&self, input: &Tensor, output: &Tensor) -> Result<(), StepError> {
        let Some(Groups { inputs, outputs }) = self.groups else { return Ok(()) };
        value(Field::GroupInputs, inputs, 1..=input.channels as i64 / 2)?;
        let (Some(count), Some(0)) = (input.channels.checked_div(inputs), input.channels.checked_rem(inputs)) else {
            return Err(StepError::Value { field: Field::GroupInputs, found: inputs.into() });
        };
        if outputs as u32 * count as u32 != output.channels as u32 {
            return Err(StepError::Value { field: Field::GroupOutputs, found: outputs.into() });
        }
        Ok(())
    }

    const fn windows(&self) -> Windows {
        let &ConvStep { kernel, stride, dilation, pad, .. } = self;
        Windows { kernel, stride, dilation, pad }
    }

    /// The input channels for which a block of eight output channels has weights.
    pub const fn runs(&self, input: &Tensor) -> Runs {
        Runs::new(self.groups, input.channels)
    }

    /// Bytes of packed weights.
    pub const fn weights_len(&self, input: &Tensor, output: &Tensor) -> u64 {
        (output.groups() * self.runs(input).span()) as u64 * (self.taps() * WEIGHT_STEP / 8) as u64
    }

    /// Bytes of parameter blocks.
    pub const fn params_len(&self, output: &Tensor) -> u64 {
        (output.groups() * PARAM_BLOCK) as u64
    }
}

impl Operator for ConvStep {
    const KIND: u16 = 0;
    const NAME: &'static str = "conv";

    fn parse(record: &Record) -> ConvStep {
        let [min, max] = limits::read(record);
        let residual = FLAGS.read(record) & RESIDUAL != 0;
        let Windows { kernel, stride, dilation, pad } = Windows::read(record);
        ConvStep {
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
            groups: match field::GROUPS.read(record) {
                [0, 0] => None,
                [inputs, outputs] => Some(Groups { inputs, outputs }),
            },
            residual: residual.then(|| (field::RESIDUAL_ZERO.read(record), field::RESIDUAL.read(record))),
        }
    }

    fn emit(&self, record: &mut Record) {
        INPUT.write(record, self.input);
        OUTPUT.write(record, self.output);
        limits::write(record, [self.min, self.max]);
        self.windows().write(record);
        WEIGHTS.write(record, self.weights);
        PARAMS.write(record, self.params);
        if let Some((zero_point, multiplier)) = self.residual {
            FLAGS.write(record, RESIDUAL);
            field::RESIDUAL_ZERO.write(record, zero_point);
            field::RESIDUAL.write(record, multiplier);
        }
        if let Some(Groups { inputs, outputs }) = self.groups {
            field::GROUPS.write(record, [inputs, outputs]);
        }
    }

    fn reads(&self) -> Reads {
        Reads { output_place: self.residual.is_some(), ..Reads::one(self.input) }
    }

    /// Multiply-accumulates with the taps outside the image. Work: products, padding channels included, and one offset for
    /// each tap of a pixel. Scratch: a strip's offsets and one row of zero points.
    fn cost(&self, tensors: &dyn Tensors) -> Option<Cost> {
        let (input, output) = (tensors.tensor(self.input)?, tensors.tensor(self.output)?);
        let taps = output.pixels().saturating_mul(self.taps() as u64);
        let depth = self.groups.map_or(input.channels, |groups| groups.inputs);
        let cost = Cost {
            macs: output.elements().saturating_mul(self.taps() as u64 * depth as u64),
            work: taps
                .saturating_mul((self.runs(&input).span() * output.padded_channels() + 1) as u64)
                .saturating_mul(product_work(&input, &output)),
            ..Cost::default()
        };
        Some(cost.with_scratch(self.windows().scratch(&input, &output)))
    }

    fn check(&self, check: &mut Check) -> Result<(), StepError> {
        let (input, output) = (check.number(self.input)?, check.number(self.output)?);
        check.apart(self.input, self.output)?;
        self.check_groups(&input, &output)?;
        self.windows().check(&input, &output, self.output)?;
        limits::check([self.min, self.max], &output)?;
        if let Some((zero_point, multiplier)) = self.residual {
            let wide = output.dtype == I16;
            value(Field::Multiplier, multiplier, 0..=i64::from(if wide { WIDE_RATIO_MAX } else { RATIO_MAX }))?;
            if wide && zero_point != 0 {
                return Err(StepError::Quantization { id: self.output });
            }
        }
        let shift_min = if self.residual.is_some() { SHIFT_MIN_WIDE } else { shifts(&output) };
        check.weights(Field::Weights, self.weights, self.weights_len(&input, &output))?;
        check.params(Field::Parameters, self.params, output.groups() as u64, shift_min)
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

impl ConvStep {
    /// From values `X` to values `Y`.
    fn each<X: Activation, Y: Activation>(&self, run: &mut Run, input: &Tensor, output: &Tensor) -> Result<(), Error> {
        let weights = as_i8(run.consts(self.weights, self.weights_len(input, output))?);
        let params = run.consts(self.params, self.params_len(output))?;
        let epilogue = Epilogue {
            zero_point: output.zero_point,
            min: self.min,
            max: self.max,
            residual: self.residual.map(|(zero_point, multiplier)| Residual { zero_point, multiplier }),
        };
        let (taps, runs) = (self.taps(), self.runs(input));
        let ([source, target], scratch) = run.memory.tensors([input, output])?;
        let (source, target, kernels) = (X::of(source), Y::of_mut(target), run.kernels);
        self.windows().strips([input, output], target, scratch, |Strip { offsets, zeros }, out| {
            kernels.conv(&Conv { input: source, offsets, zeros, taps, runs, weights, params, epilogue }, out)
        })
    }
}
