//! The model file: header, tensor and port records, each with its reader and writer side by side. `format.md` is the
//! specification; the step records stand in [`crate::ops`], the metadata entries in [`crate::meta`].
//!
//! What a reader does not know it refuses, by one rule for every record: what was read of it, written again, gives the same
//! bytes. So a flag, a code or a reserved byte from the future is an error that names its place, never ignored.

mod header;
mod port;
mod sections;
mod tensor;

pub use crate::element::{Dtype, Element};
pub use header::Header;
pub use port::{Meaning, PortRecord};
pub use tensor::Tensor;

pub(crate) use sections::Sections;

use crate::bytes::{u8_at, u16_at, u32_at};
use header::field;

/// First bytes of a file; `0x1a` and the line feed show transfers that meddle with text.
pub const MAGIC: [u8; 8] = *b"ESCARP\x1a\n";
/// The version of the format: a reader refuses any other. Additions set an extension bit instead.
pub const VERSION: u16 = 3;
/// The extension bits that this runtime knows: none yet.
pub const EXTENSIONS: u32 = 0;
/// Bytes of the header.
pub const HEADER: usize = 128;
/// Bytes of a tensor record.
pub const TENSOR: usize = 32;
/// Bytes of a port record.
pub const PORT: usize = 32;
/// Bytes of a step record.
pub const STEP: usize = 64;
/// Most inputs, and most outputs.
pub const PORTS_MAX: u16 = 32;
/// Sections, and weights within the constants, start at multiples of this.
pub const SECTION_ALIGN: usize = 64;
/// Parameter blocks start at multiples of this.
pub const PARAMS_ALIGN: usize = 8;
/// Tensors start at multiples of this in the arena; arena, scratch and state lengths are multiples of it.
pub const ARENA_ALIGN: usize = 16;
/// Offsets fit an `isize` of 32 bits, and none equals [`crate::kernels::PADDING`].
pub const ARENA_MAX: u32 = i32::MAX as u32;

const _: () = assert!(usize::BITS >= 32, "offsets are 32 bits");

/// CRC-32 (IEEE 802.3) of a file, leaving out the four bytes that hold it.
pub fn checksum(file: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(file.get(..field::CHECKSUM.at).unwrap_or(file));
    crc.update(file.get(field::CHECKSUM.at + 4..).unwrap_or(&[]));
    crc.finalize()
}

/// Writes the checksum into a finished file: the last act of a writer. A file shorter than a header is left alone.
pub fn seal(file: &mut [u8]) {
    let crc = checksum(file);
    if let Some(header) = file.first_chunk_mut::<HEADER>() {
        field::CHECKSUM.write(header, crc);
    }
}

/// The arena that a model file asks for, in bytes, scratch for one worker included: for the size of a `static` arena.
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
    let len = u32_at(file, field::ARENA_LEN.at);
    let ours = file.len() >= HEADER && u16_at(file, field::VERSION.at) == VERSION;
    if !ours || len > ARENA_MAX { 0 } else { len as usize }
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
