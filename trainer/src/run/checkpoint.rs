//! Everything a run needs to go on exactly where it stopped, in one file.
//!
//! Little endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `ESCTRAIN` |
//! | 4 | version, [`VERSION`] |
//! | 4, n | length and text of the header, JSON |
//! | 4 | number of arrays |
//! | 2, n, 4, 4m | for each array: length and text of its name, number m of values, f32 values |
//! | 4 | CRC-32 (IEEE) of all bytes before |

use std::path::Path;

use serde::{Serialize, de::DeserializeOwned};

use crate::{error::TrainError, run::files::write_atomically};

/// The first bytes of every checkpoint.
pub const MAGIC: &[u8; 8] = b"ESCTRAIN";

/// Of the layout above and of what the header and the arrays mean.
pub const VERSION: u32 = 1;

/// A header and named arrays of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint<H> {
    /// Counters and positions.
    pub header: H,
    /// Weights, statistics and the optimizer's memory, by name.
    pub arrays: Vec<(String, Vec<f32>)>,
}

impl<H: Serialize + DeserializeOwned> Checkpoint<H> {
    /// Writes the file whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        let header = serde_json::to_vec(&self.header).map_err(|e| bad(path, format!("header: {e}")))?;
        let values: usize = self.arrays.iter().map(|(name, values)| name.len() + 4 * values.len() + 6).sum();
        let mut bytes = Vec::with_capacity(24 + header.len() + values);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((header.len() as u32).to_le_bytes());
        bytes.extend(header);
        bytes.extend((self.arrays.len() as u32).to_le_bytes());
        for (name, values) in &self.arrays {
            bytes.extend((name.len() as u16).to_le_bytes());
            bytes.extend(name.as_bytes());
            bytes.extend((values.len() as u32).to_le_bytes());
            values.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
        }
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        write_atomically(path, &bytes)
    }

    /// Reads a file; damage, another format and a newer version are errors that name it.
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        let bytes = std::fs::read(path).map_err(TrainError::io(path))?;
        Self::parse(&bytes).map_err(|reason| bad(path, reason))
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        if !bytes.starts_with(MAGIC) {
            return Err("not a checkpoint of escarp-train (the first 8 bytes differ)".into());
        }
        let mut reader = Reader { bytes, at: MAGIC.len() };
        let version = reader.u32()?;
        if version != VERSION {
            return Err(format!("checkpoint version {version}; this program reads version {VERSION}"));
        }
        let body = bytes.len().saturating_sub(4).max(reader.at);
        let sum = Reader { bytes, at: body }.u32()?;
        if crc32fast::hash(&bytes[..body]) != sum {
            return Err("the checksum differs: the file is damaged".into());
        }
        reader.bytes = &bytes[..body];
        let length = reader.u32()? as usize;
        let header = serde_json::from_slice(reader.take(length)?).map_err(|e| format!("header: {e}"))?;
        let count = reader.u32()?;
        let mut arrays = Vec::new();
        for _ in 0..count {
            let length = usize::from(u16::from_le_bytes(reader.array()?));
            let name = String::from_utf8(reader.take(length)?.to_vec()).map_err(|e| e.to_string())?;
            let values = reader.u32()? as usize;
            let values = reader.take(values.saturating_mul(4))?.chunks_exact(4);
            arrays.push((name, values.map(|v| f32::from_le_bytes([v[0], v[1], v[2], v[3]])).collect()));
        }
        match reader.at == body {
            true => Ok(Self { header, arrays }),
            false => Err(format!("{} bytes too many at {}", body - reader.at, reader.at)),
        }
    }
}

impl<H> Checkpoint<H> {
    /// Copies the array `name` into `into`; the error names what is missing or has another length.
    pub fn restore(&self, path: &Path, name: &str, into: &mut [f32]) -> Result<(), TrainError> {
        let Some((_, values)) = self.arrays.iter().find(|(n, _)| n == name) else {
            return Err(bad(path, format!("no array `{name}`")));
        };
        if values.len() != into.len() {
            return Err(bad(path, format!("`{name}` has {} values, the network {}", values.len(), into.len())));
        }
        into.copy_from_slice(values);
        Ok(())
    }
}

fn bad(path: &Path, reason: String) -> TrainError {
    TrainError::Checkpoint { path: path.into(), reason }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(length).filter(|&end| end <= self.bytes.len());
        let end =
            end.ok_or_else(|| format!("ends at byte {}, {length} more wanted at {}", self.bytes.len(), self.at))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Checkpoint<Vec<u64>> {
        let arrays = vec![("weights".into(), vec![1.5, -0.0, f32::MIN_POSITIVE]), ("none".into(), vec![])];
        Checkpoint { header: vec![7, 9], arrays }
    }

    fn bytes() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ckpt");
        example().save(&path).unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn reads_back_to_the_bit() {
        let read = Checkpoint::<Vec<u64>>::parse(&bytes()).unwrap();
        assert_eq!(read, example());
        assert!(read.arrays[0].1[1].is_sign_negative());
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_an_error() {
        let whole = bytes();
        for end in 0..whole.len() {
            assert!(Checkpoint::<Vec<u64>>::parse(&whole[..end]).is_err(), "{end}");
        }
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Checkpoint::<Vec<u64>>::parse(&damaged).is_err(), "{bit}");
        }
    }

    #[test]
    fn arrays_must_fit() {
        let path = Path::new("a.ckpt");
        let checkpoint = example();
        assert!(checkpoint.restore(path, "weights", &mut [0.0; 3]).is_ok());
        let error = checkpoint.restore(path, "weights", &mut [0.0; 2]).unwrap_err().to_string();
        assert!(error.contains("`weights` has 3 values, the network 2"), "{error}");
        assert!(checkpoint.restore(path, "bias", &mut []).is_err());
    }
}
