//! A tensor's record: where it lies, its shape, and what its numbers mean.

use super::{ARENA_ALIGN, TENSOR, in_memory};
use crate::{bytes::unknown, element::Dtype, error::TensorError};

/// Where each number stands; `format.md` explains them.
mod field {
    use crate::bytes::Slot;

    pub const OFFSET: Slot<u32> = Slot::at(0);
    pub const HEIGHT: Slot<u16> = Slot::at(4);
    pub const WIDTH: Slot<u16> = Slot::at(6);
    pub const CHANNELS: Slot<u16> = Slot::at(8);
    pub const ZERO_POINT: Slot<i8> = Slot::at(10);
    pub const DTYPE: Slot<u8> = Slot::at(11);
    pub const SCALE: Slot<f32> = Slot::at(12);
    pub const FLAGS: Slot<u8> = Slot::at(16);
}

/// Element types by their code.
const DTYPES: [Dtype; 3] = [Dtype::I8, Dtype::I16, Dtype::I32];
/// The flag of a tensor that lives from one run to the next.
const STATE: u8 = 1;

/// A place in the arena, its shape and what its numbers mean: `value = scale * (q - zero_point)`.
///
/// NHWC with batch 1; each pixel's channels are padded to a multiple of 8. Vectors are 1 x 1 x C.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tensor {
    /// Where it starts in the arena, a multiple of 16.
    pub offset: u32,
    /// Rows.
    pub height: u16,
    /// Columns.
    pub width: u16,
    /// Channels, without padding.
    pub channels: u16,
    /// Real value of one unit.
    pub scale: f32,
    /// The `q` that means 0; 0 unless the elements are int8.
    pub zero_point: i8,
    /// Type of the elements.
    pub dtype: Dtype,
    /// Lives from one run to the next; zero at the start.
    pub state: bool,
}

impl Tensor {
    /// Reads a record and checks what it says by itself.
    ///
    /// # Errors
    /// [`TensorError`], but for places, which [`crate::Model::parse`] looks at.
    pub fn parse(record: &[u8; TENSOR]) -> Result<Tensor, TensorError> {
        let dtype = field::DTYPE.read(record);
        if DTYPES.get(dtype as usize).is_none() {
            return Err(TensorError::Dtype { found: dtype });
        }
        let tensor = Tensor::read(record);
        if let Some(at) = unknown(record, &tensor.emit()) {
            return Err(TensorError::Reserved { at });
        }
        if tensor.height == 0 || tensor.width == 0 || tensor.channels == 0 {
            return Err(TensorError::Empty);
        }
        if !(tensor.scale.is_finite() && tensor.scale > 0.0) {
            return Err(TensorError::Scale);
        }
        if tensor.zero_point != 0 && tensor.dtype != Dtype::I8 {
            return Err(TensorError::ZeroPoint { found: tensor.zero_point });
        }
        if !(tensor.offset as usize).is_multiple_of(ARENA_ALIGN) {
            return Err(TensorError::Unaligned { offset: tensor.offset });
        }
        Ok(tensor)
    }

    /// Reads a record that [`Tensor::parse`] has looked at.
    // Each step of each run reads its tensors' records: a call costs more than what of them is used.
    #[inline(always)]
    pub(crate) fn read(record: &[u8; TENSOR]) -> Tensor {
        Tensor {
            offset: field::OFFSET.read(record),
            height: field::HEIGHT.read(record),
            width: field::WIDTH.read(record),
            channels: field::CHANNELS.read(record),
            zero_point: field::ZERO_POINT.read(record),
            dtype: DTYPES.get(field::DTYPE.read(record) as usize).copied().unwrap_or(Dtype::I8),
            scale: field::SCALE.read(record),
            state: field::FLAGS.read(record) & STATE != 0,
        }
    }

    /// The record's bytes; reserved ones are zero.
    pub fn emit(&self) -> [u8; TENSOR] {
        let record = &mut [0; TENSOR];
        field::OFFSET.write(record, self.offset);
        field::HEIGHT.write(record, self.height);
        field::WIDTH.write(record, self.width);
        field::CHANNELS.write(record, self.channels);
        field::ZERO_POINT.write(record, self.zero_point);
        field::DTYPE.write(record, self.dtype as u8);
        field::SCALE.write(record, self.scale);
        field::FLAGS.write(record, if self.state { STATE } else { 0 });
        *record
    }

    /// Channel groups of 8; at least one, so that no division by it can fail.
    pub const fn groups(&self) -> usize {
        let groups = (self.channels as usize).div_ceil(8);
        if groups == 0 { 1 } else { groups }
    }

    /// Channels as stored: a multiple of 8.
    pub const fn padded_channels(&self) -> usize {
        8 * self.groups()
    }

    /// Height times width, at most 2^32 - 2^17 + 1.
    pub const fn pixels(&self) -> u64 {
        self.height as u64 * self.width as u64
    }

    /// Elements without padding: what [`crate::Session::run`] takes and gives.
    pub const fn elements(&self) -> u64 {
        self.pixels() * self.channels as u64
    }

    /// Elements as stored.
    pub const fn padded_elements(&self) -> u64 {
        self.pixels() * self.padded_channels() as u64
    }

    /// Bytes in the arena, padding channels included.
    pub const fn bytes(&self) -> u64 {
        self.padded_elements() * self.dtype.size()
    }

    /// Where it ends in the arena.
    pub const fn end(&self) -> u64 {
        self.offset as u64 + self.bytes()
    }

    /// Rows, columns, channels.
    pub const fn shape(&self) -> [u16; 3] {
        [self.height, self.width, self.channels]
    }

    /// Whether the two share a byte of the arena.
    pub const fn overlaps(&self, other: &Tensor) -> bool {
        (self.offset as u64) < other.end() && (other.offset as u64) < self.end()
    }

    /// Its bytes in the arena. Only for a tensor whose range the loader has checked.
    #[inline(always)]
    pub(crate) const fn range(&self) -> core::ops::Range<usize> {
        self.offset as usize..in_memory(self.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENSOR_SAMPLE: Tensor = Tensor {
        offset: 0x8000,
        height: 32,
        width: 300,
        channels: 3,
        scale: 0.25,
        zero_point: -128,
        dtype: Dtype::I8,
        state: false,
    };

    #[test]
    fn tensor_round_trip() {
        let wide = Tensor { dtype: Dtype::I16, state: true, zero_point: 0, ..TENSOR_SAMPLE };
        for tensor in [TENSOR_SAMPLE, wide, Tensor { dtype: Dtype::I32, ..wide }] {
            assert_eq!(Tensor::parse(&tensor.emit()), Ok(tensor));
        }
        let bytes = TENSOR_SAMPLE.emit();
        assert_eq!(bytes[..17], [0, 0x80, 0, 0, 32, 0, 44, 1, 3, 0, 0x80, 0, 0, 0, 0x80, 0x3e, 0]);
    }

    #[test]
    fn tensor_sizes() {
        assert_eq!(TENSOR_SAMPLE.elements(), 28_800);
        assert_eq!(TENSOR_SAMPLE.bytes(), 32 * 300 * 8);
        let largest =
            Tensor { height: u16::MAX, width: u16::MAX, channels: u16::MAX, dtype: Dtype::I16, ..TENSOR_SAMPLE };
        assert_eq!(largest.bytes(), 65_535 * 65_535 * 65_536 * 2, "no overflow");
        let next = Tensor { offset: 0x8000 + 76_800, ..TENSOR_SAMPLE };
        assert!(!TENSOR_SAMPLE.overlaps(&next) && !next.overlaps(&TENSOR_SAMPLE));
        let last_byte = Tensor { offset: next.offset - 16, ..next };
        assert!(TENSOR_SAMPLE.overlaps(&last_byte) && last_byte.overlaps(&TENSOR_SAMPLE));
    }

    #[test]
    fn tensor_errors() {
        let parse = |change: fn(&mut Tensor)| {
            let mut tensor = TENSOR_SAMPLE;
            change(&mut tensor);
            Tensor::parse(&tensor.emit())
        };
        assert_eq!(parse(|t| t.height = 0), Err(TensorError::Empty));
        assert_eq!(parse(|t| t.scale = f32::NAN), Err(TensorError::Scale));
        assert_eq!(parse(|t| t.scale = -1.0), Err(TensorError::Scale));
        assert_eq!(parse(|t| t.offset = 8), Err(TensorError::Unaligned { offset: 8 }));
        let mut bytes = TENSOR_SAMPLE.emit();
        bytes[11] = 3;
        assert_eq!(Tensor::parse(&bytes), Err(TensorError::Dtype { found: 3 }));
        assert_eq!(parse(|t| t.dtype = Dtype::I16), Err(TensorError::ZeroPoint { found: -128 }));
        // Flags and reserved bytes are refused where they stand.
        for (at, bits) in [(16, 2), (16, 0x80), (17, 1), (31, 0x80)] {
            let mut bytes = TENSOR_SAMPLE.emit();
            bytes[at] |= bits;
            assert_eq!(Tensor::parse(&bytes), Err(TensorError::Reserved { at: at as u8 }));
        }
    }
}
