//! Writing files that are whole or not there.

use std::fs::DirEntry;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::error::TrainError;

/// Writes to a temporary name in the same folder and renames it, so that an interruption never leaves
/// half a file under `path`. Not forced to the disk: after a power cut a checkpoint's CRC tells.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = temporary(folder).map_err(TrainError::io(folder))?;
    file.write_all(bytes).map_err(TrainError::io(path))?;
    file.persist(path).map_err(|e| TrainError::io(path)(e.error))?;
    Ok(())
}

/// Removes a file, which need not be there.
pub fn remove(path: &Path) -> Result<(), TrainError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(TrainError::io(path)(e)),
        _ => Ok(()),
    }
}

/// What temporary names begin with.
const PREFIX: &str = ".tmp";

/// Removes what programs that were killed while they wrote have left in `folder`.
pub fn remove_leftovers(folder: &Path) -> Result<(), TrainError> {
    for entry in std::fs::read_dir(folder).map_err(TrainError::io(folder))? {
        let entry = entry.map_err(TrainError::io(folder))?;
        if is_leftover(&entry) {
            std::fs::remove_file(entry.path()).map_err(TrainError::io(entry.path()))?;
        }
    }
    Ok(())
}

/// Whether it is the temporary file of some program.
pub fn is_leftover(entry: &DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with(PREFIX)
}

/// A temporary file with the permissions of any new file: `tempfile`'s own would keep the results of
/// a run from everybody else.
fn temporary(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    #[cfg(unix)]
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(mode);
    builder.tempfile_in(folder)
}
