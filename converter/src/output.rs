//! Output files, for the converter and the trainer: each is there whole or not at all.

use std::fs::OpenOptions;
use std::io::{Error, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// What temporary names begin with.
pub const PREFIX: &str = ".tmp";

/// Writes all files or none: each goes to a temporary name beside its place first, and takes its name at the end. What
/// is there already and is no file (a pipe, a device, `/dev/stdout`) is written into: renaming would replace it.
///
/// # Errors
/// What the system says, with the file it said it of.
pub fn write(files: &[(&Path, &[u8])]) -> Result<(), (PathBuf, Error)> {
    let mut ready = vec![];
    for (path, bytes) in files {
        let failed = |e| (path.to_path_buf(), e);
        let place = place(path);
        if !is_special(&place) {
            let mut file = temporary(folder(&place)).map_err(failed)?;
            file.write_all(bytes).map_err(failed)?;
            ready.push((place, file));
        }
    }
    for (path, bytes) in files.iter().filter(|(path, _)| is_special(path)) {
        let failed = |e| (path.to_path_buf(), e);
        OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(bytes)).map_err(failed)?;
    }
    ready.into_iter().try_for_each(|(place, file)| file.persist(&place).map(drop).map_err(|e| (place, e.error)))
}

/// Where a link leads, so that it stays a link.
fn place(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.into())
}

/// A folder is none: renaming onto one fails, as it should.
fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// The folder that a file lies in.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A temporary file with the permissions of any new file: `tempfile`'s own would keep results from everybody else.
fn temporary(folder: &Path) -> Result<NamedTempFile, Error> {
    let mut builder = Builder::new();
    builder.prefix(PREFIX);
    #[cfg(unix)]
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(mode);
    builder.tempfile_in(folder)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::FileTypeExt;

    use super::*;

    #[test]
    fn a_pipe_is_written_into() {
        let shop = tempfile::tempdir().unwrap();
        let (pipe, file) = (shop.path().join("pipe"), shop.path().join("file"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read(pipe).unwrap()
        });
        write(&[(&pipe, b"through"), (&file, b"whole")]).unwrap();
        assert!(pipe.metadata().unwrap().file_type().is_fifo(), "the pipe was replaced");
        assert_eq!(reader.join().unwrap(), b"through");
        assert_eq!(std::fs::read(&file).unwrap(), b"whole");
        assert_eq!(std::fs::read_dir(shop.path()).unwrap().count(), 2, "a temporary file was left");
    }

    #[test]
    fn a_link_stays_a_link() {
        let shop = tempfile::tempdir().unwrap();
        let (link, file) = (shop.path().join("link"), shop.path().join("file"));
        std::fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        write(&[(&link, b"new")]).unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
    }

    #[test]
    fn nothing_is_written_where_one_file_fails() {
        let shop = tempfile::tempdir().unwrap();
        let (file, missing) = (shop.path().join("file"), shop.path().join("missing/file"));
        let (path, _) = write(&[(&file, b"whole"), (&missing, b"no folder")]).unwrap_err();
        assert_eq!(path, missing);
        assert_eq!(std::fs::read_dir(shop.path()).unwrap().count(), 0);
    }
}
