//! Writing files that are whole or not there.

use std::io::Write;
use std::path::Path;

use crate::error::TrainError;

/// Writes to a temporary name in the same folder and renames it, so that an interruption never leaves
/// half a file under `path`. Not forced to the disk: after a power cut a checkpoint's CRC tells.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(TrainError::io(folder))?;
    file.write_all(bytes).map_err(TrainError::io(path))?;
    file.persist(path).map_err(|e| TrainError::io(path)(e.error))?;
    Ok(())
}
