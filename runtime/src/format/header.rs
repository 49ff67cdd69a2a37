//! The first 128 bytes: sizes, places, and what the model asks of its host.

use super::{EXTENSIONS, HEADER, MAGIC, VERSION, checksum, saturate};
use crate::{
    bytes::{Slot, u16_at, unknown},
    error::Error,
};

/// Where each number stands; `format.md` explains them.
pub(super) mod field {
    use crate::bytes::Slot;

    pub const VERSION: Slot<u16> = Slot::at(8);
    pub const INPUTS: Slot<u16> = Slot::at(10);
    pub const CHECKSUM: Slot<u32> = Slot::at(12);
    pub const FILE_LEN: Slot<u32> = Slot::at(16);
    pub const EXTENSIONS: Slot<u32> = Slot::at(20);
    pub const ARENA_LEN: Slot<u32> = Slot::at(24);
    pub const SCRATCH_LEN: Slot<u32> = Slot::at(28);
    pub const WORKER_LEN: Slot<u32> = Slot::at(32);
    pub const STATE_LEN: Slot<u32> = Slot::at(36);
    pub const SEQUENCE: Slot<u16> = Slot::at(40);
    pub const OUTPUTS: Slot<u16> = Slot::at(42);
    pub const TENSORS: Slot<u16> = Slot::at(44);
    pub const STEPS: Slot<u16> = Slot::at(46);
    pub const MACS: Slot<u64> = Slot::at(48);
    pub const WORK: Slot<u64> = Slot::at(56);
    pub const TENSORS_AT: Slot<u32> = Slot::at(64);
    pub const PORTS_AT: Slot<u32> = Slot::at(68);
    pub const STEPS_AT: Slot<u32> = Slot::at(72);
    pub const CONSTS_AT: Slot<u32> = Slot::at(76);
    pub const CONSTS_LEN: Slot<u32> = Slot::at(80);
    pub const NAMES_AT: Slot<u32> = Slot::at(84);
    pub const NAMES_LEN: Slot<u32> = Slot::at(88);
    pub const META_AT: Slot<u32> = Slot::at(92);
    pub const META_LEN: Slot<u32> = Slot::at(96);
}

/// Sizes and places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// CRC-32 of all other bytes; [`super::seal`] writes it.
    pub checksum: u32,
    /// Bytes of the file.
    pub file_len: u32,
    /// One bit for each extension of the format that the model needs, see [`EXTENSIONS`].
    pub extensions: u32,
    /// Bytes of arena for one worker: states, activations, scratch, in this order.
    pub arena_len: u32,
    /// Bytes of scratch, at the arena's end.
    pub scratch_len: u32,
    /// Bytes of scratch for each further worker, behind the arena.
    pub worker_len: u32,
    /// Bytes of state, at the arena's start.
    pub state_len: u32,
    /// Time steps in a decision; 1 for a feed-forward network.
    pub sequence: u16,
    /// Number of inputs.
    pub inputs: u16,
    /// Number of outputs.
    pub outputs: u16,
    /// Number of tensor records.
    pub tensors: u16,
    /// Number of step records.
    pub steps: u16,
    /// Multiply-accumulates of one run, without padding channels.
    pub macs: u64,
    /// Stored values that one run reads to make others, see [`crate::ops::Cost::work`], with the inputs' and the outputs'.
    pub work: u64,
    /// Where the tensor records start.
    pub tensors_at: u32,
    /// Where the port records start: inputs, then outputs.
    pub ports_at: u32,
    /// Where the step records start.
    pub steps_at: u32,
    /// Where the constants start.
    pub consts_at: u32,
    /// Bytes of constants.
    pub consts_len: u32,
    /// Where the ports' names start.
    pub names_at: u32,
    /// Bytes of names.
    pub names_len: u32,
    /// Where the metadata start.
    pub meta_at: u32,
    /// Bytes of metadata.
    pub meta_len: u32,
}

impl Header {
    /// Reads the header of `file` and checks magic, version, length, checksum, extensions and reserved bytes; the rest is
    /// [`crate::Model::parse`]'s.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::Trailing`], [`Error::Magic`], [`Error::Version`], [`Error::Checksum`],
    /// [`Error::Extension`], [`Error::Reserved`].
    pub fn parse(file: &[u8]) -> Result<Header, Error> {
        let got = saturate(file.len() as u64);
        if !file.starts_with(&MAGIC) && file.len() >= MAGIC.len() {
            return Err(Error::Magic);
        }
        let Some(record) = file.first_chunk::<HEADER>() else {
            return Err(Error::Truncated { needed: saturate(HEADER as u64), got });
        };
        let version = u16_at(record, field::VERSION.at);
        if version != VERSION {
            return Err(Error::Version { found: version, reads: VERSION });
        }
        let header = Header::read(record);
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
        let foreign = header.extensions & !EXTENSIONS;
        if foreign != 0 {
            return Err(Error::Extension { bit: foreign.trailing_zeros() });
        }
        match unknown(record, &header.emit()) {
            Some(at) => Err(Error::Reserved { at: at.into() }),
            None => Ok(header),
        }
    }

    fn read(record: &[u8; HEADER]) -> Header {
        Header {
            checksum: field::CHECKSUM.read(record),
            file_len: field::FILE_LEN.read(record),
            extensions: field::EXTENSIONS.read(record),
            arena_len: field::ARENA_LEN.read(record),
            scratch_len: field::SCRATCH_LEN.read(record),
            worker_len: field::WORKER_LEN.read(record),
            state_len: field::STATE_LEN.read(record),
            sequence: field::SEQUENCE.read(record),
            inputs: field::INPUTS.read(record),
            outputs: field::OUTPUTS.read(record),
            tensors: field::TENSORS.read(record),
            steps: field::STEPS.read(record),
            macs: field::MACS.read(record),
            work: field::WORK.read(record),
            tensors_at: field::TENSORS_AT.read(record),
            ports_at: field::PORTS_AT.read(record),
            steps_at: field::STEPS_AT.read(record),
            consts_at: field::CONSTS_AT.read(record),
            consts_len: field::CONSTS_LEN.read(record),
            names_at: field::NAMES_AT.read(record),
            names_len: field::NAMES_LEN.read(record),
            meta_at: field::META_AT.read(record),
            meta_len: field::META_LEN.read(record),
        }
    }

    /// The header's bytes; reserved ones are zero.
    pub fn emit(&self) -> [u8; HEADER] {
        let record = &mut [0; HEADER];
        Slot::at(0).write(record, u64::from_le_bytes(MAGIC));
        field::VERSION.write(record, VERSION);
        field::CHECKSUM.write(record, self.checksum);
        field::FILE_LEN.write(record, self.file_len);
        field::EXTENSIONS.write(record, self.extensions);
        field::ARENA_LEN.write(record, self.arena_len);
        field::SCRATCH_LEN.write(record, self.scratch_len);
        field::WORKER_LEN.write(record, self.worker_len);
        field::STATE_LEN.write(record, self.state_len);
        field::SEQUENCE.write(record, self.sequence);
        field::INPUTS.write(record, self.inputs);
        field::OUTPUTS.write(record, self.outputs);
        field::TENSORS.write(record, self.tensors);
        field::STEPS.write(record, self.steps);
        field::MACS.write(record, self.macs);
        field::WORK.write(record, self.work);
        field::TENSORS_AT.write(record, self.tensors_at);
        field::PORTS_AT.write(record, self.ports_at);
        field::STEPS_AT.write(record, self.steps_at);
        field::CONSTS_AT.write(record, self.consts_at);
        field::CONSTS_LEN.write(record, self.consts_len);
        field::NAMES_AT.write(record, self.names_at);
        field::NAMES_LEN.write(record, self.names_len);
        field::META_AT.write(record, self.meta_at);
        field::META_LEN.write(record, self.meta_len);
        *record
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{arena_len, seal};

    /// Every field has a value of its own, so that a mixed-up offset shows.
    const SAMPLE: Header = Header {
        checksum: 0,
        file_len: 128,
        extensions: 0,
        arena_len: 0x10_0010,
        scratch_len: 0x120,
        worker_len: 0x140,
        state_len: 0x30,
        sequence: 49,
        inputs: 2,
        outputs: 3,
        tensors: 5,
        steps: 6,
        macs: 12_500_000_000,
        work: 13_600_000_000,
        tensors_at: 128,
        ports_at: 512,
        steps_at: 192,
        consts_at: 256,
        consts_len: 7,
        names_at: 576,
        names_len: 9,
        meta_at: 320,
        meta_len: 8,
    };

    #[test]
    fn header_round_trip() {
        let mut bytes = SAMPLE.emit();
        seal(&mut bytes);
        let parsed = Header::parse(&bytes).unwrap();
        assert_eq!(parsed, Header { checksum: checksum(&bytes), ..SAMPLE });
        assert_eq!(parsed.emit(), bytes);
        assert_eq!(&bytes[24..28], [0x10, 0, 0x10, 0], "arena, little endian");
        assert_eq!(arena_len(&bytes), 0x10_0010);
    }

    #[test]
    fn header_errors() {
        let mut bytes = SAMPLE.emit();
        seal(&mut bytes);
        assert_eq!(Header::parse(&[]), Err(Error::Truncated { needed: 128, got: 0 }));
        assert_eq!(Header::parse(&bytes[..127]), Err(Error::Truncated { needed: 128, got: 127 }));
        assert_eq!(Header::parse(b"not a model"), Err(Error::Magic));
        let mut long = [0; HEADER + 1];
        long[..HEADER].copy_from_slice(&bytes);
        assert_eq!(Header::parse(&long), Err(Error::Trailing { stated: 128, got: 129 }));
        bytes[127] ^= 1;
        assert!(matches!(Header::parse(&bytes), Err(Error::Checksum { .. })));
        seal(&mut bytes);
        assert_eq!(Header::parse(&bytes), Err(Error::Reserved { at: 127 }));
        let mut extended = Header { extensions: 0b1_0010_0000, ..SAMPLE }.emit();
        seal(&mut extended);
        assert_eq!(Header::parse(&extended), Err(Error::Extension { bit: 5 }));
        for version in [1, 2, 4] {
            bytes[8] = version;
            assert_eq!(Header::parse(&bytes), Err(Error::Version { found: version.into(), reads: VERSION }));
        }
        assert_eq!([arena_len(&bytes), arena_len(&[]), arena_len(&bytes[..40])], [0; 3]);
    }
}
