//! The model file: header and tensor records, parse and emit side by side. `format.md` is the specification;
//! the step records stand in [`crate::ops`], the metadata entries in [`crate::meta`].

use crate::bytes::{array_at, i8_at, put, u8_at, u16_at, u32_at};
use crate::error::{Error, Field, TensorError};
use crate::ops::TensorId;

pub use crate::written::LOOKS_MAX;

/// First bytes of a file; `0x1a` and the line feed show transfers that meddle with text.
pub const MAGIC: [u8; 8] = *b"ESCARP\x1a\n";
/// Major version: a reader refuses any other.
pub const MAJOR: u16 = 2;
/// Minor version: additions that an older reader may ignore.
pub const MINOR: u16 = 0;
/// Bytes of the header.
pub const HEADER: usize = 128;
/// Bytes of a tensor record.
pub const TENSOR: usize = 32;
/// Bytes of a step record.
pub const STEP: usize = 64;
/// Sections, and weights within the constants, start at multiples of this.
pub const SECTION_ALIGN: usize = 64;
/// Parameter blocks start at multiples of this.
pub const PARAMS_ALIGN: usize = 8;
/// Tensors start at multiples of this in the arena; arena, scratch and state lengths are multiples of it.
pub const ARENA_ALIGN: usize = 16;
/// Offsets fit an `isize` of 32 bits, and none equals [`crate::kernels::PADDING`].
pub const ARENA_MAX: u32 = i32::MAX as u32;

const CHECKSUM_AT: usize = 12;
const ARENA_AT: usize = 24;

const _: () = assert!(usize::BITS >= 32, "offsets are 32 bits");

/// The first 128 bytes: sizes, places, and what the model asks of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// CRC-32 of all other bytes; [`seal`] writes it.
    pub checksum: u32,
    /// Bytes of the file.
    pub file_len: u32,
    /// One bit for each kind of step used, see [`crate::ops::Step::feature`].
    pub features: u32,
    /// Bytes of arena: states, activations, scratch, in this order.
    pub arena_len: u32,
    /// Bytes of scratch, at the arena's end.
    pub scratch_len: u32,
    /// Bytes of state, at the arena's start.
    pub state_len: u32,
    /// Time steps in a decision; 1 for a feed-forward network.
    pub sequence: u16,
    /// The tensor that takes the input.
    pub input: TensorId,
    /// The tensor that holds the result.
    pub output: TensorId,
    /// Number of tensor records.
    pub tensors: u16,
    /// Number of step records.
    pub steps: u16,
    /// Multiply-accumulates of one run, without padding channels.
    pub macs: u64,
    /// Stored values that one run reads to make others, see [`crate::ops::Step::work`], with the input's and the output's.
    pub work: u64,
    /// Where the tensor records start.
    pub tensors_at: u32,
    /// Where the step records start.
    pub steps_at: u32,
    /// Where the constants start.
    pub consts_at: u32,
    /// Bytes of constants.
    pub consts_len: u32,
    /// Where the metadata start.
    pub meta_at: u32,
    /// Bytes of metadata.
    pub meta_len: u32,
}

impl Header {
    /// Reads the header of `file` and checks magic, version, length and checksum; the rest is [`crate::Model::parse`]'s.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::Trailing`], [`Error::Magic`], [`Error::Version`], [`Error::Checksum`].
    pub fn parse(file: &[u8]) -> Result<Header, Error> {
        let got = saturate(file.len() as u64);
        if !file.starts_with(&MAGIC) && file.len() >= MAGIC.len() {
            return Err(Error::Magic);
        }
        if file.len() < HEADER {
            return Err(Error::Truncated { needed: saturate(HEADER as u64), got });
        }
        let major = u16_at(file, 8);
        if major != MAJOR {
            return Err(Error::Version { major });
        }
        let header = Header {
            checksum: u32_at(file, CHECKSUM_AT),
            file_len: u32_at(file, 16),
            features: u32_at(file, 20),
            arena_len: u32_at(file, ARENA_AT),
            scratch_len: u32_at(file, 28),
            state_len: u32_at(file, 32),
            sequence: u16_at(file, 36),
            input: u16_at(file, 38),
            output: u16_at(file, 40),
            tensors: u16_at(file, 44),
            steps: u16_at(file, 46),
            macs: u64::from_le_bytes(array_at(file, 48)),
            work: u64::from_le_bytes(array_at(file, 80)),
            tensors_at: u32_at(file, 56),
            steps_at: u32_at(file, 60),
            consts_at: u32_at(file, 64),
            consts_len: u32_at(file, 68),
            meta_at: u32_at(file, 72),
            meta_len: u32_at(file, 76),
        };
        if (file.len() as u64) < header.file_len as u64 {
            return Err(Error::Truncated { needed: header.file_len, got });
        }
        if file.len() as u64 > header.file_len as u64 {
            return Err(Error::Trailing { stated: header.file_len, got });
        }
        let computed = checksum(file);
        if computed != header.checksum {
            return Err(Error::Checksum { stated: header.checksum, computed });
        }
        Ok(header)
    }

    /// The header's bytes; reserved ones are zero.
    pub fn emit(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        put(&mut bytes, 0, MAGIC);
        put(&mut bytes, 8, MAJOR.to_le_bytes());
        put(&mut bytes, 10, MINOR.to_le_bytes());
        put(&mut bytes, CHECKSUM_AT, self.checksum.to_le_bytes());
        put(&mut bytes, 16, self.file_len.to_le_bytes());
        put(&mut bytes, 20, self.features.to_le_bytes());
        put(&mut bytes, ARENA_AT, self.arena_len.to_le_bytes());
        put(&mut bytes, 28, self.scratch_len.to_le_bytes());
        put(&mut bytes, 32, self.state_len.to_le_bytes());
        put(&mut bytes, 36, self.sequence.to_le_bytes());
        put(&mut bytes, 38, self.input.to_le_bytes());
        put(&mut bytes, 40, self.output.to_le_bytes());
        put(&mut bytes, 44, self.tensors.to_le_bytes());
        put(&mut bytes, 46, self.steps.to_le_bytes());
        put(&mut bytes, 48, self.macs.to_le_bytes());
        put(&mut bytes, 56, self.tensors_at.to_le_bytes());
        put(&mut bytes, 60, self.steps_at.to_le_bytes());
        put(&mut bytes, 64, self.consts_at.to_le_bytes());
        put(&mut bytes, 68, self.consts_len.to_le_bytes());
        put(&mut bytes, 72, self.meta_at.to_le_bytes());
        put(&mut bytes, 76, self.meta_len.to_le_bytes());
        put(&mut bytes, 80, self.work.to_le_bytes());
        bytes
    }
}

/// CRC-32 (IEEE 802.3) of a file, leaving out the four bytes that hold it.
pub fn checksum(file: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(file.get(..CHECKSUM_AT).unwrap_or(file));
    crc.update(file.get(CHECKSUM_AT + 4..).unwrap_or(&[]));
    crc.finalize()
}

/// Writes the checksum into a finished file: the last act of a writer. A file shorter than a header is left alone.
pub fn seal(file: &mut [u8]) {
    let crc = checksum(file);
    if let Some(field) = file.get_mut(CHECKSUM_AT..CHECKSUM_AT + 4) {
        field.copy_from_slice(&crc.to_le_bytes());
    }
}

/// The arena that a model file asks for, in bytes, scratch included: for the size of a `static` arena.
///
/// 0 if `file` does not start like a model of this version; [`crate::Model::parse`] says what is wrong with it.
pub const fn arena_len(file: &[u8]) -> usize {
    let mut i = 0;
    while i < MAGIC.len() {
        if u8_at(file, i) != MAGIC[i] {
            return 0;
        }
        i += 1;
    }
    let len = u32_at(file, ARENA_AT);
    if file.len() < HEADER || u16_at(file, 8) != MAJOR || len > ARENA_MAX { 0 } else { len as usize }
}

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// Activations.
    I8,
    /// Recurrent states, Q0.15.
    I16,
}

impl Dtype {
    /// Bytes of an element.
    pub const fn size(self) -> u64 {
        match self {
            Dtype::I8 => 1,
            Dtype::I16 => 2,
        }
    }
}

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
    /// The `q` that means 0.
    pub zero_point: i8,
    /// Type of the elements.
    pub dtype: Dtype,
    /// Lives from one run to the next; zero at the start.
    pub state: bool,
}

impl Tensor {
    /// Reads a record.
    ///
    /// # Errors
    /// [`TensorError::Dtype`], [`TensorError::Empty`], [`TensorError::Scale`], [`TensorError::Unaligned`].
    // Each step of each run reads its tensors' records: a call costs more than what of them is used.
    #[inline(always)]
    pub fn parse(record: &[u8; TENSOR]) -> Result<Tensor, TensorError> {
        let tensor = Tensor {
            offset: u32_at(record, 0),
            height: u16_at(record, 4),
            width: u16_at(record, 6),
            channels: u16_at(record, 8),
            zero_point: i8_at(record, 10),
            dtype: match u8_at(record, 11) {
                0 => Dtype::I8,
                1 => Dtype::I16,
                found => return Err(TensorError::Dtype { found }),
            },
            scale: f32::from_le_bytes(array_at(record, 12)),
            state: u8_at(record, 16) & 1 != 0,
        };
        if tensor.height == 0 || tensor.width == 0 || tensor.channels == 0 {
            return Err(TensorError::Empty);
        }
        if !(tensor.scale.is_finite() && tensor.scale > 0.0) {
            return Err(TensorError::Scale);
        }
        if !(tensor.offset as usize).is_multiple_of(ARENA_ALIGN) {
            return Err(TensorError::Unaligned { offset: tensor.offset });
        }
        Ok(tensor)
    }

    /// The record's bytes; reserved ones are zero.
    pub fn emit(&self) -> [u8; TENSOR] {
        let mut bytes = [0; TENSOR];
        put(&mut bytes, 0, self.offset.to_le_bytes());
        put(&mut bytes, 4, self.height.to_le_bytes());
        put(&mut bytes, 6, self.width.to_le_bytes());
        put(&mut bytes, 8, self.channels.to_le_bytes());
        put(&mut bytes, 10, self.zero_point.to_le_bytes());
        put(
            &mut bytes,
            11,
            [match self.dtype {
                Dtype::I8 => 0,
                Dtype::I16 => 1,
            }],
        );
        put(&mut bytes, 12, self.scale.to_le_bytes());
        put(&mut bytes, 16, [self.state as u8]);
        bytes
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
    pub(crate) const fn range(&self) -> core::ops::Range<usize> {
        self.offset as usize..in_memory(self.end())
    }
}

/// A position or length that a checked file keeps below 2^32.
#[expect(clippy::cast_possible_truncation, reason = "offsets are 32 bits, and so is a usize at least")]
pub(crate) const fn in_memory(n: u64) -> usize {
    n as usize
}

/// The number of a record, of which there are at most 65535.
pub(crate) fn number(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}

/// A length or position for an error message.
#[expect(clippy::cast_possible_truncation, reason = "compared just before")]
pub(crate) const fn saturate(n: u64) -> u32 {
    if n > u32::MAX as u64 { u32::MAX } else { n as u32 }
}

/// The byte range of a section; it must start aligned at or after `previous` and end within the file.
pub(crate) fn section(field: Field, at: u32, len: u64, previous: u64, file_len: u32) -> Result<u64, Error> {
    let (start, end) = (at as u64, at as u64 + len);
    if !start.is_multiple_of(SECTION_ALIGN as u64) || start < previous || end > file_len as u64 {
        return Err(Error::Section { field, start: at, end: saturate(end) });
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER_SAMPLE: Header = Header {
        checksum: 0,
        file_len: HEADER as u32,
        features: 3,
        arena_len: 0x10_0010,
        scratch_len: 0x20,
        state_len: 0x30,
        sequence: 64,
        input: 1,
        output: 2,
        tensors: 5,
        steps: 6,
        macs: 12_500_000_000,
        work: 13_600_000_000,
        tensors_at: 128,
        steps_at: 192,
        consts_at: 256,
        consts_len: 7,
        meta_at: 320,
        meta_len: 8,
    };

    #[test]
    fn header_round_trip() {
        let mut bytes = HEADER_SAMPLE.emit();
        seal(&mut bytes);
        let parsed = Header::parse(&bytes).unwrap();
        assert_eq!(parsed, Header { checksum: checksum(&bytes), ..HEADER_SAMPLE });
        assert_eq!(parsed.emit(), bytes);
        assert_eq!(&bytes[24..28], [0x10, 0, 0x10, 0], "arena, little endian");
        assert_eq!(arena_len(&bytes), 0x10_0010);
    }

    #[test]
    fn header_errors() {
        let mut bytes = HEADER_SAMPLE.emit();
        seal(&mut bytes);
        assert_eq!(Header::parse(&[]), Err(Error::Truncated { needed: 128, got: 0 }));
        assert_eq!(Header::parse(&bytes[..127]), Err(Error::Truncated { needed: 128, got: 127 }));
        assert_eq!(Header::parse(b"not a model"), Err(Error::Magic));
        let mut long = [0; HEADER + 1];
        long[..HEADER].copy_from_slice(&bytes);
        assert_eq!(Header::parse(&long), Err(Error::Trailing { stated: 128, got: 129 }));
        bytes[127] ^= 1;
        assert!(matches!(Header::parse(&bytes), Err(Error::Checksum { .. })));
        bytes[8] = 3;
        assert_eq!(Header::parse(&bytes), Err(Error::Version { major: 3 }));
        assert_eq!([arena_len(&bytes), arena_len(&[]), arena_len(&bytes[..40])], [0; 3]);
    }

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
        for tensor in [TENSOR_SAMPLE, Tensor { dtype: Dtype::I16, state: true, zero_point: 5, ..TENSOR_SAMPLE }] {
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
        bytes[11] = 2;
        assert_eq!(Tensor::parse(&bytes), Err(TensorError::Dtype { found: 2 }));
    }
}
