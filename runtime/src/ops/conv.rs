//! 2-D convolution, indirect: the kernel reads its input through a table of offsets, made for a strip of pixels at a time.

use super::check::{Check, clamps, value, windows};
use super::{ConstOffset, RATIO_MAX, Run, TensorId};
use crate::bytes::{array_at, as_i8, as_u32_mut, i8_at, i32_at, put, u8_at, u16_at, u32_at};
use crate::error::{Error, Field, StepError};
use crate::format::{STEP, Tensor};
use crate::kernels::{Conv, Epilogue, PADDING, PARAM_BLOCK, Residual, WEIGHT_STEP};
use crate::quant::{SHIFT_MIN, SHIFT_MIN_WIDE};

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
    pub(super) fn parse(record: &[u8; STEP]) -> ConvStep {
        ConvStep {
            input: u16_at(record, 2),
            output: u16_at(record, 4),
            min: i8_at(record, 6),
            max: i8_at(record, 7),
            kernel: array_at(record, 8),
            stride: array_at(record, 10),
            dilation: array_at(record, 12),
            pad: array_at(record, 14),
            weights: u32_at(record, 16),
            params: u32_at(record, 20),
            residual: (u8_at(record, 1) & 1 != 0).then(|| (i8_at(record, 28), i32_at(record, 24))),
        }
    }

    pub(super) fn emit(&self, record: &mut [u8; STEP]) {
        put(record, 1, [self.residual.is_some() as u8]);
        put(record, 2, self.input.to_le_bytes());
        put(record, 4, self.output.to_le_bytes());
        put(record, 6, self.min.to_le_bytes());
        put(record, 7, self.max.to_le_bytes());
        put(record, 8, self.kernel);
        put(record, 10, self.stride);
        put(record, 12, self.dilation);
        put(record, 14, self.pad);
        put(record, 16, self.weights.to_le_bytes());
        put(record, 20, self.params.to_le_bytes());
        if let Some((zero_point, multiplier)) = self.residual {
            put(record, 24, multiplier.to_le_bytes());
            put(record, 28, zero_point.to_le_bytes());
        }
    }

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

    /// Multiply-accumulates, without padding channels; taps outside the image count.
    pub const fn macs(&self, input: &Tensor, output: &Tensor) -> u64 {
        output.elements().saturating_mul(self.taps() as u64 * input.channels as u64)
    }

    /// Output pixels worked on at a time.
    fn strip(&self, output: &Tensor) -> usize {
        let pixels = STRIP_BYTES / size_of::<u32>() / self.taps() / STRIP_UNIT * STRIP_UNIT;
        (pixels.max(STRIP_UNIT) as u64).min(output.pixels()) as usize
    }

    /// Bytes of scratch: a strip's offsets and one row of zero points.
    pub fn scratch_len(&self, input: &Tensor, output: &Tensor) -> u64 {
        (self.strip(output) * size_of::<u32>()) as u64 * self.taps() as u64 + input.padded_channels() as u64
    }

    pub(super) fn check(&self, check: &mut Check) -> Result<(), StepError> {
        let (input, output) = (check.activation(self.input)?, check.activation(self.output)?);
        check.apart(self.input, self.output)?;
        for axis in 0..2 {
            value(Field::Kernel, self.kernel[axis], 1..=255)?;
            value(Field::Stride, self.stride[axis], 1..=255)?;
            value(Field::Dilation, self.dilation[axis], 1..=255)?;
            windows(input.shape()[axis], output.shape()[axis], self.stride[axis], self.pad[axis], self.output)?;
        }
        clamps(self.min, self.max)?;
        if let Some((_, multiplier)) = self.residual {
            value(Field::Multiplier, multiplier, 0..=RATIO_MAX as i64)?;
        }
        let shift_min = if self.residual.is_some() { SHIFT_MIN_WIDE } else { SHIFT_MIN };
        check.weights(Field::Weights, self.weights, self.weights_len(&input, &output))?;
        check.params(Field::Parameters, self.params, output.groups() as u64, shift_min)
    }

    pub(super) fn run(&self, run: &mut Run) -> Result<(), Error> {
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

    /// Fills `[pixels][taps]` offsets for the output pixels from `first` on.
    fn offsets(&self, input: &Tensor, output: &Tensor, first: usize, offsets: &mut [u32]) {
        let [kernel_h, kernel_w] = self.kernel.map(i32::from);
        let ([stride_h, stride_w], [dilation_h, dilation_w]) =
            (self.stride.map(i32::from), self.dilation.map(i32::from));
        let [pad_h, pad_w] = self.pad.map(i32::from);
        let (height, width, run) = (input.height as i32, input.width as i32, input.padded_channels() as u32);
        let columns = output.width as usize;
        let (mut y, mut x) = (first / columns, first % columns);
        for taps in offsets.chunks_exact_mut(self.taps()) {
            // At most 65534 * 255 + 254 * 255: no overflow. Offsets stay below the arena's 2^31.
            let (top, left) = (y as i32 * stride_h - pad_h, x as i32 * stride_w - pad_w);
            let mut taps = taps.iter_mut();
            for i in 0..kernel_h {
                let row = top + i * dilation_h;
                for (j, offset) in (0..kernel_w).zip(&mut taps) {
                    let column = left + j * dilation_w;
                    let inside = (0..height).contains(&row) && (0..width).contains(&column);
                    *offset = if inside { (row * width + column) as u32 * run } else { PADDING };
                }
            }
            x += 1;
            if x == columns {
                (x, y) = (0, y + 1);
            }
        }
    }
}
