//! Output files, for the converter and the trainer: each is there whole or not at all.

use std::{
    ffi::OsStr,
    fs::OpenOptions,
    io::{Error, Write},
    path::{Path, PathBuf},
};

use tempfile::{Builder, NamedTempFile};

/// What temporary names begin with; the name of the file that is written follows, a dot, six letters or digits and [`SUFFIX`].
const PREFIX: &str = ".escarp-";

/// What temporary names end in.
const SUFFIX: &str = ".part";

/// Letters and digits of chance.
const CHANCE: usize = 6;

/// Bytes of a file's name that its temporary name repeats: the whole may have 255.
const REPEATED: usize = 200;

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
            let mut file = temporary(&place).map_err(failed)?;
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

/// Whether `name` is one that [`write()`] gives a file while it writes one of `targets`: what a killed program left.
pub fn is_temporary(name: &OsStr, targets: &[&str]) -> bool {
    let Some(name) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)) else {
        return false;
    };
    let Some((target, chance)) = name.rsplit_once('.') else { return false };
    let drawn = chance.len() == CHANCE && chance.bytes().all(|byte| byte.is_ascii_alphanumeric());
    drawn && targets.contains(&target)
}

/// A temporary file for the content of `place`. One that replaces another has its permissions from the first byte on; a new
/// one those of any new file: `tempfile`'s own would keep results from everybody else.
fn temporary(place: &Path) -> Result<NamedTempFile, Error> {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let mut prefix = String::from(PREFIX);
    prefix.extend(name.char_indices().take_while(|(at, c)| at + c.len_utf8() <= REPEATED).map(|(_, c)| c));
    prefix.push('.');
    let mut builder = Builder::new();
    builder.prefix(&prefix).suffix(SUFFIX).rand_bytes(CHANCE);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        let before = place.metadata().ok().filter(|found| found.is_file()).map(|found| found.permissions());
        // Asked for when a file is made, a mode is subject to the umask, as new files are to be.
        builder.permissions(PermissionsExt::from_mode(if before.is_some() { 0o600 } else { 0o666 }));
        let file = builder.tempfile_in(folder(place))?;
        match before {
            Some(before) => file.as_file().set_permissions(before).map(|()| file),
            None => Ok(file),
        }
    }
    #[cfg(not(unix))]
    builder.tempfile_in(folder(place))
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

    /// What was for its owner alone stays so, what was for all too, whatever the umask; a new file follows it.
    #[test]
    fn a_file_that_is_replaced_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt;

        let shop = tempfile::tempdir().unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
        let (file, usual) = (shop.path().join("file"), shop.path().join("usual"));
        std::fs::write(&usual, "").unwrap();
        write(&[(&file, b"new")]).unwrap();
        assert_eq!(mode(&file), mode(&usual));
        for kept in [0o600, 0o640, 0o666, 0o755, 0o444] {
            std::fs::set_permissions(&file, PermissionsExt::from_mode(kept)).unwrap();
            write(&[(&file, b"replaced")]).unwrap();
            assert_eq!((mode(&file), std::fs::read(&file).unwrap()), (kept, b"replaced".to_vec()), "{kept:o}");
        }
    }

    #[test]
    fn temporary_names_are_known_and_no_others() {
        let shop = tempfile::tempdir().unwrap();
        for name in ["model.onnx", &"ü".repeat(120), &"x".repeat(255)] {
            let file = temporary(&shop.path().join(name)).unwrap();
            let made = file.path().file_name().unwrap();
            assert!(made.len() <= 255 && is_temporary(made, &["model.onnx"]) == (name == "model.onnx"), "{made:?}");
        }
        for name in [
            ".tmp1",
            ".tmpAbCd12",
            ".escarp-",
            ".escarp-.part",
            ".escarp-model.onnx.AbCd12",
            ".escarp-model.onnx.Ab-d12.part",
            ".escarp-model.onnx.AbCd123.part",
            ".escarp-mine.AbCd12.part",
            "model.onnx.AbCd12.part",
            ".escarp-model.onnx.part",
        ] {
            assert!(!is_temporary(OsStr::new(name), &["model.onnx"]), "{name}");
        }
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
