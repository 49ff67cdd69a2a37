//! Windows of a convolution, and the table of offsets through which a kernel reads its input, made for a strip of pixels at
//! a time.

use super::{
    Record,
    check::{value, windows},
};
use crate::{
    bytes::as_u32_mut,
    element::Value,
    error::{Error, Field, StepError},
    format::{Tensor, in_memory},
    id::TensorId,
    kernels::PADDING,
};

/// Where the numbers of windows stand.
mod field {
    use crate::bytes::Slot;

    pub const KERNEL: Slot<[u8; 2]> = Slot::at(10);
    pub const STRIDE: Slot<[u8; 2]> = Slot::at(12);
    pub const DILATION: Slot<[u8; 2]> = Slot::at(14);
    pub const PAD: Slot<[u8; 2]> = Slot::at(16);
}

/// Bytes of offsets that a strip aims at: enough pixels to reuse a channel block's weights, few enough for the L1 cache.
const STRIP_BYTES: usize = 4096;
/// Strips are multiples of this many pixels, so that kernels of 2, 3 or 4 pixels leave no rest inside a map.
const STRIP_UNIT: usize = 12;
/// Most rows or columns of padding behind an image.
const PADDING_MAX: i64 = u8::MAX as i64;

/// The tap `(i, j)` of output `(y, x)` reads the input at `(y * stride + i * dilation - pad, ...)`, and zero points outside
/// the image. All are for rows, columns.
#[derive(Clone, Copy)]
pub(super) struct Windows {
    /// Kernel height, width.
    pub kernel: [u8; 2],
    /// From one window to the next.
    pub stride: [u8; 2],
    /// From one tap to the next.
    pub dilation: [u8; 2],
    /// At top, left.
    pub pad: [u8; 2],
}

/// What a kernel reads its input through.
pub(super) struct Strip<'a, X> {
    /// `[pixels][taps]`: where a tap's channels start in the input, or [`PADDING`].
    pub offsets: &'a [u32],
    /// A pixel of zero points, padding channels included.
    pub zeros: &'a [X],
}

impl Windows {
    pub(super) fn read(record: &Record) -> Windows {
        Windows {
            kernel: field::KERNEL.read(record),
            stride: field::STRIDE.read(record),
            dilation: field::DILATION.read(record),
            pad: field::PAD.read(record),
        }
    }

    pub(super) fn write(&self, record: &mut Record) {
        field::KERNEL.write(record, self.kernel);
        field::STRIDE.write(record, self.stride);
        field::DILATION.write(record, self.dilation);
        field::PAD.write(record, self.pad);
    }

    /// Kernel height times width; at least 1, so that no division by it can fail.
    pub(super) const fn taps(&self) -> usize {
        let taps = self.kernel[0] as usize * self.kernel[1] as usize;
        if taps == 0 { 1 } else { taps }
    }

    /// Whether windows make an output of this height and width; `id` is the output's number.
    pub(super) fn check(&self, input: &Tensor, output: &Tensor, id: TensorId) -> Result<(), StepError> {
        for axis in 0..2 {
            value(Field::Kernel, self.kernel[axis], 1..=255)?;
            value(Field::Stride, self.stride[axis], 1..=255)?;
            value(Field::Dilation, self.dilation[axis], 1..=255)?;
            let (from, to, pad) = (input.shape()[axis], output.shape()[axis], self.pad[axis]);
            windows(from, to, self.stride[axis], pad, id)?;
            // The kernel is no larger than the input and its padding; the padding at the end is what the last window needs.
            let extent = (self.kernel[axis] as i64 - 1) * self.dilation[axis] as i64 + 1;
            let last = (to as i64 - 1) * self.stride[axis] as i64;
            value(Field::Padding, last + extent - from as i64 - pad as i64, i64::MIN..=PADDING_MAX)?;
        }
        Ok(())
    }

    /// Bytes of a strip's offsets and one pixel of zero points.
    pub(super) fn scratch(&self, input: &Tensor, output: &Tensor) -> u64 {
        let offsets = (self.strip(output) * size_of::<u32>()) as u64 * self.taps() as u64;
        offsets + input.padded_channels() as u64 * input.dtype.size()
    }

    /// Runs `kernel` on one strip of the output after the other.
    #[inline(always)]
    pub(super) fn strips<X: Value, Y>(
        &self,
        [input, output]: [&Tensor; 2],
        target: &mut [Y],
        scratch: &mut [i8],
        kernel: impl Fn(Strip<X>, &mut [Y]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (taps, strip) = (self.taps(), self.strip(output));
        let (table, zeros) = scratch.split_at_mut_checked(strip * taps * size_of::<u32>()).ok_or(Error::Kernel)?;
        let table = as_u32_mut(table);
        let zeros = X::of_mut(zeros).get_mut(..input.padded_channels()).ok_or(Error::Kernel)?;
        zeros.fill(input.zero_point.into());
        let mut first = 0;
        for out in target.chunks_mut((strip * output.padded_channels()).max(1)) {
            let pixels = out.len() / output.padded_channels();
            let offsets = table.get_mut(..pixels * taps).ok_or(Error::Kernel)?;
            self.offsets(input, output, first, offsets);
            kernel(Strip { offsets, zeros }, out)?;
            first += pixels;
        }
        Ok(())
    }

    /// Output pixels worked on at a time.
    fn strip(&self, output: &Tensor) -> usize {
        let pixels = STRIP_BYTES / size_of::<u32>() / self.taps() / STRIP_UNIT * STRIP_UNIT;
        in_memory((pixels.max(STRIP_UNIT) as u64).min(output.pixels()))
    }

    /// Fills `[pixels][taps]` offsets for the output pixels from `first` on.
    fn offsets(&self, input: &Tensor, output: &Tensor, first: usize, offsets: &mut [u32]) {
        let columns = output.width.max(1) as usize;
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
    fn new(windows: &Windows, y: usize, x: usize) -> Corner {
        let at =
            |axis: usize, position: usize| position as i32 * windows.stride[axis] as i32 - windows.pad[axis] as i32;
        Corner { top: at(0, y), left: at(1, x) }
    }

    /// Whether no tap lies in the padding.
    fn whole(&self, windows: &Windows, input: &Tensor) -> bool {
        let fits = |axis: usize, start: i32, size: u16| {
            start >= 0 && start + (windows.kernel[axis] as i32 - 1) * (windows.dilation[axis] as i32) < size as i32
        };
        fits(0, self.top, input.height) && fits(1, self.left, input.width)
    }

    /// The taps' offsets, one by one; they stay below the arena's 2^31.
    #[expect(clippy::cast_sign_loss, reason = "inside the image no position is negative")]
    fn taps(&self, windows: &Windows, input: &Tensor, taps: &mut [u32]) {
        let (height, width, run) = (input.height as i32, input.width as i32, run_of(input));
        let mut taps = taps.iter_mut();
        for i in 0..windows.kernel[0] as i32 {
            let row = self.top + i * windows.dilation[0] as i32;
            for (j, offset) in (0..windows.kernel[1] as i32).zip(&mut taps) {
                let column = self.left + j * windows.dilation[1] as i32;
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
        let windows = Windows { kernel: [1, 3], stride: [1, 1], dilation: [1, 1], pad: [0, 1] };
        let (input, output) = (map(2, 5, 9), map(2, 5, 8));
        let mut all = [0; 30];
        windows.offsets(&input, &output, 0, &mut all);
        let row = [PADDING, 0, 16, 0, 16, 32, 16, 32, 48, 32, 48, 64, 48, 64, PADDING];
        assert_eq!(all[..15], row);
        assert_eq!(all[15..], row.map(|offset| if offset == PADDING { PADDING } else { offset + 80 }));
        for first in 0..10 {
            let mut rest = [7; 30];
            windows.offsets(&input, &output, first, &mut rest[3 * first..]);
            assert_eq!(rest[3 * first..], all[3 * first..], "from {first}");
        }
    }
}
