//! Writing files that are whole or not there.

use std::{fs::DirEntry, io::ErrorKind, path::Path};

use escarp_converter::output;

use crate::error::TrainError;

/// Writes to a temporary name in the same folder and renames it, so that an interruption never leaves
/// half a file under `path`. Not forced to the disk: after a power cut a checkpoint's CRC tells.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    output::write(&[(path, bytes)]).map_err(|(path, e)| TrainError::io(path)(e))
}

/// Removes a file, which need not be there.
pub fn remove(path: &Path) -> Result<(), TrainError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(TrainError::io(path)(e)),
        _ => Ok(()),
    }
}

/// Removes what programs that were killed while they wrote one of `names` have left in `folder`.
pub fn remove_leftovers(folder: &Path, names: &[&str]) -> Result<(), TrainError> {
    for entry in std::fs::read_dir(folder).map_err(TrainError::io(folder))? {
        let entry = entry.map_err(TrainError::io(folder))?;
        if is_leftover(&entry, names) {
            std::fs::remove_file(entry.path()).map_err(TrainError::io(entry.path()))?;
        }
    }
    Ok(())
}

/// Whether it is what [`write_atomically`] makes while it writes one of `names`, and no file of somebody else's.
pub fn is_leftover(entry: &DirEntry, names: &[&str]) -> bool {
    output::is_temporary(&entry.file_name(), names) && entry.file_type().is_ok_and(|kind| kind.is_file())
}
