//! Maximum or average over windows.

mod divisor;

pub use divisor::Divisor;

use super::{
    Cost, Operator, Reads, Record, Run, Tensors,
    check::{Check, value, windows},
    field::{FLAGS, INPUT, OUTPUT},
    limits,
};
use crate::{
    element::{Dtype::I8, Value},
    error::{Error, Field, StepError},
    format::Tensor,
    id::TensorId,
    quant::requantize,
};

/// Where its own numbers stand.
mod field {
    use crate::bytes::Slot;

    pub const SHIFT: Slot<u8> = Slot::at(10);
    pub const KERNEL: Slot<[u16; 2]> = Slot::at(12);
    pub const STRIDE: Slot<[u8; 2]> = Slot::at(16);
    pub const PAD: Slot<[u8; 2]> = Slot::at(18);
    pub const MULTIPLIER: Slot<i32> = Slot::at(20);
    pub const FACTORS: Slot<u32> = Slot::at(24);
}

/// Products of a convolution that take as long as one value in a window.
const VALUE_WORK: u64 = 16;

/// The flag of an average.
const AVERAGE: u16 = 1;
/// The flag of an average over the pixels inside the image.
const COUNTED: u16 = 2;

/// Maximum keeps scale and zero point and leaves out what lies outside the image.
/// Average: `requantize(sum of (x - zero_point), m, s) + zero_point of the output` over the pixels inside the image, with 1
/// over the number of pixels folded into `m / 2^s`: see [`Divisor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStep {
    /// `[H, W, C]`, int8 or int16.
    pub input: TensorId,
    /// `[H', W', C]`, int8 or int16, of a maximum as the input; apart from the input.
    pub output: TensorId,
    /// Window height, width; no larger than the input and the padding before it.
    pub kernel: [u16; 2],
    /// Rows, columns from one window to the next.
    pub stride: [u8; 2],
    /// Padding at top, left; smaller than the window, so that each window has a pixel.
    pub pad: [u8; 2],
    /// `None`: maximum. `Some`: average.
    pub average: Option<Divisor>,
    /// Lower clamp.
    pub min: i16,
    /// Upper clamp.
    pub max: i16,
}

impl Operator for PoolStep {
    const KIND: u16 = 3;
    const NAME: &'static str = "pool";

    fn parse(record: &Record) -> PoolStep {
        let [min, max] = limits::read(record);
        let average = match FLAGS.read(record) & (AVERAGE | COUNTED) {
            AVERAGE => Some(Divisor::All(field::MULTIPLIER.read(record), field::SHIFT.read(record))),
            flags if flags & AVERAGE != 0 => Some(Divisor::Inside(field::FACTORS.read(record))),
            _ => None,
        };
        PoolStep {
            input: INPUT.read(record),
            output: OUTPUT.read(record),
            min,
            max,
            kernel: field::KERNEL.read(record),
            stride: field::STRIDE.read(record),
            pad: field::PAD.read(record),
            average,
        }
    }

    fn emit(&self, record: &mut Record) {
        INPUT.write(record, self.input);
        OUTPUT.write(record, self.output);
        limits::write(record, [self.min, self.max]);
        field::KERNEL.write(record, self.kernel);
        field::STRIDE.write(record, self.stride);
        field::PAD.write(record, self.pad);
        match self.average {
            None => {}
            Some(Divisor::All(multiplier, shift)) => {
                FLAGS.write(record, AVERAGE);
                field::MULTIPLIER.write(record, multiplier);
                field::SHIFT.write(record, shift);
            }
            Some(Divisor::Inside(factors)) => {
                FLAGS.write(record, AVERAGE | COUNTED);
                field::FACTORS.write(record, factors);
            }
        }
    }

    fn reads(&self) -> Reads {
        Reads::one(self.input)
    }

    /// Work: values in all windows, those outside the image included, each of which takes as long as many products.
    fn cost(&self, tensors: &dyn Tensors) -> Option<Cost> {
        let [height, width] = self.kernel;
        let work =
            tensors.tensor(self.output)?.padded_elements().saturating_mul(VALUE_WORK * height as u64 * width as u64);
        Some(Cost { work, ..Cost::default() })
    }

    fn check(&self, check: &mut Check) -> Result<(), StepError> {
        let (input, output) = (check.number(self.input)?, check.number(self.output)?);
        check.apart(self.input, self.output)?;
        if output.channels != input.channels {
            return Err(StepError::Shape { id: self.output });
        }
        for axis in 0..2 {
            let (from, to) = (input.shape()[axis], output.shape()[axis]);
            let (kernel, stride, pad) = (self.kernel[axis], self.stride[axis], self.pad[axis]);
            // Of a larger window, what lies beyond is outside the image wherever the window stands.
            value(Field::Kernel, kernel, 1..=from as i64 + pad as i64)?;
            value(Field::Stride, stride, 1..=255)?;
            value(Field::Padding, pad, 0..=kernel as i64 - 1)?;
            windows(from, to, stride, pad, self.output)?;
        }
        limits::check([self.min, self.max], &output)?;
        let Some(divisor) = self.average else {
            if output.dtype != input.dtype {
                return Err(StepError::Dtype { id: self.output });
            }
            let kept = output.zero_point == input.zero_point && output.scale == input.scale;
            return if kept { Ok(()) } else { Err(StepError::Quantization { id: self.output }) };
        };
        divisor.check(check, self.pixels(), input.dtype)
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

impl PoolStep {
    /// From values `X` to values `Y`, which are the same for a maximum.
    fn each<X: Value, Y: Value>(&self, run: &mut Run, input: &Tensor, output: &Tensor) -> Result<(), Error> {
        let factors = match self.average {
            Some(divisor) => Some(divisor.factors(run, self.pixels())?),
            None => None,
        };
        let ([source, target], _) = run.memory.tensors([input, output])?;
        let (source, target) = (X::of(source), Y::of_mut(target));
        let columns = output.width.max(1) as usize;
        for (pixel, out) in target.chunks_exact_mut(output.padded_channels()).enumerate() {
            let rows = self.window(0, pixel / columns, input.height);
            let cells = self.window(1, pixel % columns, input.width);
            let factor = factors.map(|factors| factors.of((rows.1 - rows.0) * (cells.1 - cells.0)));
            for (group, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                *out = match factor {
                    None => self.maximum(Window { source, input, rows, cells, group }),
                    Some(factor) => {
                        let sums = Window { source, input, rows, cells, group }.sums();
                        self.average(sums, factor, output.zero_point)
                    }
                };
            }
        }
        Ok(())
    }

    /// Of a window, those outside the image included.
    fn pixels(&self) -> u64 {
        self.kernel[0] as u64 * self.kernel[1] as u64
    }

    /// First and last + 1 input row (axis 0) or column (axis 1) of an output's window, within the image.
    fn window(&self, axis: usize, position: usize, limit: u16) -> (usize, usize) {
        let (pad, limit) = (self.pad[axis] as usize, limit as usize);
        let start = position * self.stride[axis] as usize;
        let end = start + self.kernel[axis] as usize;
        (start.saturating_sub(pad).min(limit), end.saturating_sub(pad).min(limit))
    }

    fn maximum<X: Value, Y: Value>(&self, window: Window<X>) -> [Y; 8] {
        let mut max = [X::saturated(i32::MIN); 8];
        window.each(|values, _| {
            for (max, &value) in max.iter_mut().zip(values) {
                *max = value.max(*max);
            }
        });
        max.map(|y| self.limited(y.into()))
    }

    fn average<Y: Value>(&self, sums: [i32; 8], (multiplier, shift): (i32, u8), zero_point: i8) -> [Y; 8] {
        sums.map(|sum| self.limited(requantize(sum, multiplier, shift).saturating_add(zero_point as i32)))
    }

    fn limited<Y: Value>(&self, y: i32) -> Y {
        Y::saturated(y.max(self.min as i32).min(self.max as i32))
    }
}

/// Eight channels of a window.
#[derive(Clone, Copy)]
struct Window<'a, X> {
    source: &'a [X],
    input: &'a Tensor,
    rows: (usize, usize),
    cells: (usize, usize),
    group: usize,
}

impl<X: Value> Window<'_, X> {
    fn each(self, mut take: impl FnMut(&[X; 8], i32)) {
        let zero_point = self.input.zero_point as i32;
        for row in self.rows.0..self.rows.1 {
            for cell in self.cells.0..self.cells.1 {
                let at = (row * self.input.width as usize + cell) * self.input.padded_channels() + 8 * self.group;
                if let Some(values) = self.source.get(at..).and_then(|rest| rest.first_chunk()) {
                    take(values, zero_point);
                }
            }
        }
    }

    /// Sums of `q - zero_point`.
    fn sums(self) -> [i32; 8] {
        let mut sums = [0i32; 8];
        self.each(|values, zero_point| {
            for (sum, &value) in sums.iter_mut().zip(values) {
                let value: i32 = value.into();
                *sum = sum.wrapping_add(value - zero_point);
            }
        });
        sums
    }
}
