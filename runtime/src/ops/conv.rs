//! 2-D convolution, indirect: the kernel reads its input through a table of offsets, made for a strip of pixels at a time.

use super::{
    Cost, Operator, RATIO_MAX, Reads, Record, Run, Tensors,
    check::{Check, PADDING_MAX, clamps, value, windows},
    field::{FLAGS, INPUT, MAX, MIN, OUTPUT},
};
use crate::{
    bytes::{as_i8, as_u32_mut},
    error::{Error, Field, StepError},
    format::{Tensor, in_memory},
    id::{ConstOffset, TensorId},
    kernels::{Conv, Epilogue, PADDING, PARAM_BLOCK, Residual, WEIGHT_STEP},
    quant::{SHIFT_MIN, SHIFT_MIN_WIDE},
};

/// Where its own numbers stand.
mod field {
    use crate::bytes::Slot;

    pub const KERNEL: Slot<[u8; 2]> = Slot::at(10);
    pub const STRIDE: Slot<[u8; 2]> = Slot::at(12);
    pub const DILATION: Slot<[u8; 2]> = Slot::at(14);
    pub const PAD: Slot<[u8; 2]> = Slot::at(16);
    pub const RESIDUAL_ZERO: Slot<i8> = Slot::at(18);
    pub const WEIGHTS: Slot<u32> = Slot::at(20);
    pub const PARAMS: Slot<u32> = Slot::at(24);
    pub const RESIDUAL: Slot<i32> = Slot::at(28);
}

/// The flag of a residual operand.
const RESIDUAL: u16 = 1;

/// `output[y, x, :] = epilogue(sum over taps and input channels)`; the tap `(i, j)` of output `(y, x)` reads the input at
/// `(y * stride + i * dilation - pad, ...)`, and zero points outside the image. Padding at bottom and right follows from
/// the output's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvStep {
    /// `[H, W, C]`, int8.
    pub input: TensorId,
    /// `[H', W', N]`, int8, apart from the input.
    pub output: TensorId,
    /// Kernel height, width.
    pub kernel: [u8; 2],
    /// Rows, columns from one window to the next.
    pub stride: [u8; 2],
    /// Rows, columns from one tap to the next.
    pub dilation: [u8; 2],
    /// Padding at top, left.
    pub pad: [u8; 2],
    /// `[blocks][taps][groups][8][8]`, 64-byte aligned.
    pub weights: ConstOffset,
    /// `[blocks]` x 72 bytes, 8-byte aligned.
    pub params: ConstOffset,
    /// Lower clamp.
    pub min: i8,
    /// Upper clamp.
    pub max: i8,
    /// `Some((zero_point, multiplier Q12))`: the output tensor's bytes hold the residual operand before the step.
    pub residual: Option<(i8, i32)>,
}

/// Bytes of offsets that a strip aims at: enough pixels to reuse a channel block's weights, few enough for the L1 cache.
const STRIP_BYTES: usize = 4096;
/// Strips are multiples of this many pixels, so that kernels of 2, 3 or 4 pixels leave no rest inside a map.
const STRIP_UNIT: usize = 12;

impl ConvStep {
    /// Kernel height times width; at least 1, so that no division by it can fail.
    pub const fn taps(&self) -> usize {
        let taps = self.kernel[0] as usize * self.kernel[1] as usize;
        if taps == 0 { 1 } else { taps }
    }

    /// Bytes of packed weights.
    pub const fn weights_len(&self, input: &Tensor, output: &Tensor) -> u64 {
        (output.groups() * input.groups()) as u64 * (self.taps() * WEIGHT_STEP) as u64
    }

    /// Bytes of parameter blocks.
    pub const fn params_len(&self, output: &Tensor) -> u64 {
        (output.groups() * PARAM_BLOCK) as u64
    }

    /// Output pixels worked on at a time.
    fn strip(&self, output: &Tensor) -> usize {
        let pixels = STRIP_BYTES / size_of::<u32>() / self.taps() / STRIP_UNIT * STRIP_UNIT;
        in_memory((pixels.max(STRIP_UNIT) as u64).min(output.pixels()))
    }

    /// Fills `[pixels][taps]` offsets for the output pixels from `first` on.
    fn offsets(&self, input: &Tensor, output: &Tensor, first: usize, offsets: &mut [u32]) {
        let columns = output.width as usize;
        let (mut y, mut x) = (first / columns, first % columns);
        // The taps of the pixel before, if all of them and the pixel itself lie in this row inside the image.
        let mut inside: Option<&[u32]> = None;
        // At most 255 * 65536.
        let step = self.stride[1] as u32 * run_of(input);
        for taps in offsets.chunks_exact_mut(self.taps()) {
            let corner = Corner::new(self, y, x);
            let whole = corner.whole(self, input);
            match inside.filter(|_| whole) {
                // Most pixels: each tap moves by one stride.
                Some(before) => taps.iter_mut().zip(before).for_each(|(tap, before)| *tap = before.wrapping_add(step)),
                None => corner.taps(self, input, taps),
            }
            x += 1;
            inside = if whole && x < columns { Some(taps) } else { None };
            if x == columns {
                (x, y) = (0, y + 1);
            }
        }
    }
}

impl Operator for ConvStep {
    const KIND: u16 = 0;
    const NAME: &'static str = "conv";

    fn parse(record: &Record) -> ConvStep {
        let residual = FLAGS.read(record) & RESIDUAL != 0;
        ConvStep {
            input: INPUT.read(record),
            output: OUTPUT.read(record),
            min: MIN.read(record),
            max: MAX.read(record),
            kernel: field::KERNEL.read(record),
            stride: field::STRIDE.read(record),
            dilation: field::DILATION.read(record),
            pad: field::PAD.read(record),
            weights: field::WEIGHTS.read(record),
            params: field::PARAMS.read(record),
            residual: residual.then(|| (field::RESIDUAL_ZERO.read(record), field::RESIDUAL.read(record))),
        }
    }

    fn emit(&self, record: &mut Record) {
        INPUT.write(record, self.input);
        OUTPUT.write(record, self.output);
        MIN.write(record, self.min);
        MAX.write(record, self.max);
        field::KERNEL.write(record, self.kernel);
        field::STRIDE.write(record, self.stride);
        field::DILATION.write(record, self.dilation);
        field::PAD.write(record, self.pad);
        field::WEIGHTS.write(record, self.weights);
        field::PARAMS.write(record, self.params);
        if let Some((zero_point, multiplier)) = self.residual {
            FLAGS.write(record, RESIDUAL);
            field::RESIDUAL_ZERO.write(record, zero_point);
            field::RESIDUAL.write(record, multiplier);
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
        let cost = Cost {
            macs: output.elements().saturating_mul(self.taps() as u64 * input.channels as u64),
            work: taps.saturating_mul((input.padded_channels() * output.padded_channels() + 1) as u64),
            ..Cost::default()
        };
        let offsets = (self.strip(&output) * size_of::<u32>()) as u64 * self.taps() as u64;
        Some(cost.with_scratch(offsets + input.padded_channels() as u64))
    }

    fn check(&self, check: &mut Check) -> Result<(), StepError> {
        let (input, output) = (check.activation(self.input)?, check.activation(self.output)?);
        check.apart(self.input, self.output)?;
        for axis in 0..2 {
            value(Field::Kernel, self.kernel[axis], 1..=255)?;
            value(Field::Stride, self.stride[axis], 1..=255)?;
            value(Field::Dilation, self.dilation[axis], 1..=255)?;
            let (from, to, pad) = (input.shape()[axis], output.shape()[axis], self.pad[axis]);
            windows(from, to, self.stride[axis], pad, self.output)?;
            // The kernel is no larger than the input and its padding; the padding at the end is what the last window needs.
            let extent = (self.kernel[axis] as i64 - 1) * self.dilation[axis] as i64 + 1;
            let last = (to as i64 - 1) * self.stride[axis] as i64;
            value(Field::Padding, last + extent - from as i64 - pad as i64, i64::MIN..=PADDING_MAX)?;
        }
        clamps(self.min, self.max)?;
        if let Some((_, multiplier)) = self.residual {
            value(Field::Multiplier, multiplier, 0..=RATIO_MAX as i64)?;
        }
        let shift_min = if self.residual.is_some() { SHIFT_MIN_WIDE } else { SHIFT_MIN };
        check.weights(Field::Weights, self.weights, self.weights_len(&input, &output))?;
        check.params(Field::Parameters, self.params, output.groups() as u64, shift_min)
    }

    fn run(&self, run: &mut Run) -> Result<(), Error> {
        let (input, output) = (run.tensor(self.input)?, run.tensor(self.output)?);
        let weights = as_i8(run.consts(self.weights, self.weights_len(&input, &output))?);
        let params = run.consts(self.params, self.params_len(&output))?;
        let epilogue = Epilogue {
            zero_point: output.zero_point,
            min: self.min,
            max: self.max,
            residual: self.residual.map(|(zero_point, multiplier)| Residual { zero_point, multiplier }),
        };
        let (taps, groups, strip) = (self.taps(), input.groups(), self.strip(&output));
        let ([source, target], scratch) = run.memory.tensors([&input, &output])?;
        let (table, zeros) = scratch.split_at_mut_checked(strip * taps * size_of::<u32>()).ok_or(Error::Kernel)?;
        let table = as_u32_mut(table);
        let zeros = zeros.get_mut(..8 * groups).ok_or(Error::Kernel)?;
        zeros.fill(input.zero_point);
        let mut first = 0;
        for out in target.chunks_mut(strip * output.padded_channels()) {
            let pixels = out.len() / output.padded_channels();
            let offsets = table.get_mut(..pixels * taps).ok_or(Error::Kernel)?;
            self.offsets(&input, &output, first, offsets);
            let conv = Conv { input: source, offsets, zeros, taps, groups, weights, params, epilogue };
            run.kernels.conv(&conv, out)?;
            first += pixels;
        }
        Ok(())
    }
}

/// Channels as stored, at most 65536.
#[expect(clippy::cast_possible_truncation, reason = "65535 channels, padded")]
fn run_of(input: &Tensor) -> u32 {
    input.padded_channels() as u32
}

/// Where an output pixel's window starts in the input; negative in the padding.
/// At most 65534 * 255 + 254 * 255: no overflow.
struct Corner {
    top: i32,
    left: i32,
}

impl Corner {
    #[expect(clippy::cast_possible_truncation, reason = "positions lie below 65536")]
    fn new(step: &ConvStep, y: usize, x: usize) -> Corner {
        let at = |axis: usize, position: usize| position as i32 * step.stride[axis] as i32 - step.pad[axis] as i32;
        Corner { top: at(0, y), left: at(1, x) }
    }

    /// Whether no tap lies in the padding.
    fn whole(&self, step: &ConvStep, input: &Tensor) -> bool {
        let fits = |axis: usize, start: i32, size: u16| {
            start >= 0 && start + (step.kernel[axis] as i32 - 1) * (step.dilation[axis] as i32) < size as i32
        };
        fits(0, self.top, input.height) && fits(1, self.left, input.width)
    }

    /// The taps' offsets, one by one; they stay below the arena's 2^31.
    #[expect(clippy::cast_sign_loss, reason = "inside the image no position is negative")]
    fn taps(&self, step: &ConvStep, input: &Tensor, taps: &mut [u32]) {
        let (height, width, run) = (input.height as i32, input.width as i32, run_of(input));
        let mut taps = taps.iter_mut();
        for i in 0..step.kernel[0] as i32 {
            let row = self.top + i * step.dilation[0] as i32;
            for (j, offset) in (0..step.kernel[1] as i32).zip(&mut taps) {
                let column = self.left + j * step.dilation[1] as i32;
                let inside = (0..height).contains(&row) && (0..width).contains(&column);
                *offset = if inside { (row * width + column) as u32 * run } else { PADDING };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(height: u16, width: u16, channels: u16) -> Tensor {
        let (scale, dtype) = (1.0, crate::element::Dtype::I8);
        Tensor { offset: 0, height, width, channels, scale, zero_point: 0, dtype, state: false }
    }

    #[test]
    fn offsets_by_hand_and_for_any_start() {
        let step = ConvStep {
            input: 0,
            output: 1,
            kernel: [1, 3],
            stride: [1, 1],
            dilation: [1, 1],
            pad: [0, 1],
            weights: 0,
            params: 0,
            min: 0,
            max: 0,
            residual: None,
        };
        let (input, output) = (map(2, 5, 9), map(2, 5, 8));
        let mut all = [0; 30];
        step.offsets(&input, &output, 0, &mut all);
        let row = [PADDING, 0, 16, 0, 16, 32, 16, 32, 48, 32, 48, 64, 48, 64, PADDING];
        assert_eq!(all[..15], row);
        assert_eq!(all[15..], row.map(|offset| if offset == PADDING { PADDING } else { offset + 80 }));
        for first in 0..10 {
            let mut rest = [7; 30];
            step.offsets(&input, &output, first, &mut rest[3 * first..]);
            assert_eq!(rest[3 * first..], all[3 * first..], "from {first}");
        }
    }
}
