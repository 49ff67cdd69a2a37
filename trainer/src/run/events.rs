//! TensorBoard event files, written without a protobuf library.
//!
//! A file is a sequence of records (TFRecord): `length: u64`, masked CRC of the length, the bytes,
//! masked CRC of the bytes. Each record is a `tensorflow.Event` message:
//! `wall_time = 1: double, step = 2: int64, file_version = 3: string, summary = 5, session_log = 7`,
//! where a `Summary` holds repeated `value = 1` of `tag = 1: string, simple_value = 2: float`.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::error::TrainError;

/// An event file that scalars are appended to.
pub struct Events {
    file: File,
    path: PathBuf,
}

impl Events {
    /// Starts a new event file in `folder`. TensorBoard reads all files of a folder as one run; where there is one
    /// already, it is told to forget what was written beyond `step`: by an interrupted run, or before a repair.
    pub fn create(folder: &Path, step: u64) -> Result<Self, TrainError> {
        let now = wall_time();
        let before = events_in(folder);
        let (path, file) = (0..1000)
            .map(|n| folder.join(format!("events.out.tfevents.{:010}.escarp.{n}", now as u64)))
            .find_map(|path| match File::create_new(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => None,
                other => Some((path, other)),
            })
            .ok_or_else(|| TrainError::data(folder.display(), "too many event files"))?;
        let file = file.map_err(TrainError::io(&path))?;
        let mut events = Self { file, path };
        let mut version = event(now, 0);
        bytes_field(&mut version, 3, b"brain.Event:2");
        events.record(&version)?;
        if before {
            let mut restart = event(now, step);
            bytes_field(&mut restart, 7, &[0x08, 1]); // SessionLog { status: START }
            events.record(&restart)?;
        }
        Ok(events)
    }

    /// Appends named values at `step`.
    pub fn scalars(&mut self, step: u64, values: &[(&str, f64)]) -> Result<(), TrainError> {
        let mut summary = Vec::new();
        for (tag, value) in values {
            let mut entry = Vec::new();
            bytes_field(&mut entry, 1, tag.as_bytes());
            entry.push(2 << 3 | 5); // fixed 32 bit
            entry.extend((*value as f32).to_le_bytes());
            bytes_field(&mut summary, 1, &entry);
        }
        let mut message = event(wall_time(), step);
        bytes_field(&mut message, 5, &summary);
        self.record(&message)
    }

    fn record(&mut self, message: &[u8]) -> Result<(), TrainError> {
        self.file.write_all(&framed(message)).map_err(TrainError::io(&self.path))
    }
}

/// Whether there are events of the same run. A folder that cannot be read is told of when the file is written.
fn events_in(folder: &Path) -> bool {
    let events = |entry: std::fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b"events.out.tfevents.");
    std::fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(events))
}

fn wall_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |t| t.as_secs_f64())
}

/// An `Event` with its time and step.
fn event(wall_time: f64, step: u64) -> Vec<u8> {
    let mut message = vec![1 << 3 | 1]; // fixed 64 bit
    message.extend(wall_time.to_le_bytes());
    message.push(2 << 3);
    varint(&mut message, step);
    message
}

fn bytes_field(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    message.push(number << 3 | 2);
    varint(message, bytes.len() as u64);
    message.extend(bytes);
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(message);
    record.extend(masked_crc(message).to_le_bytes());
    record
}

/// The CRC is rotated and offset so that a CRC over data that itself holds CRCs stays useful.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), reflected polynomial 0x82f63b78; a few hundred bytes an epoch, so bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(!0u32, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of RFC 3720, appendix B.4.
    #[test]
    fn crc32c_of_the_iscsi_vectors() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&rising), 0x46dd_794e);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_file_is_a_chain_of_framed_records() {
        let folder = tempfile::tempdir().unwrap();
        // Of a run that begins, with nothing to forget: the version alone.
        let first = std::fs::read(Events::create(folder.path(), 0).unwrap().path).unwrap();
        let mut events = Events::create(folder.path(), 300).unwrap();
        events.scalars(300, &[("loss/train", 0.5), ("accuracy", 1.0)]).unwrap();
        let bytes = std::fs::read(&events.path).unwrap();
        let mut rest = &bytes[..];
        let mut messages = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(rest[8..12], masked_crc(&rest[..8]).to_le_bytes());
            let message = &rest[12..12 + length];
            assert_eq!(rest[12 + length..16 + length], masked_crc(message).to_le_bytes());
            messages.push(message.to_vec());
            rest = &rest[16 + length..];
        }
        assert_eq!(messages.len(), 3);
        assert_eq!(first.len(), 16 + messages[0].len());
        assert!(messages[0].ends_with(b"brain.Event:2"));
        assert_eq!(messages[1][9..], [0x10, 0xac, 0x02, 0x3a, 2, 8, 1]);
        let value = [&[0x0a, 17, 0x0a, 10][..], b"loss/train", &[0x15], &0.5f32.to_le_bytes()].concat();
        assert!(messages[2].windows(value.len()).any(|w| w == value));
    }
}
