//! Where the workspace and the shared data are, and what is said where something is missing.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// The workspace's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file or folder of the shared data, which lies beside the repository.
///
/// # Panics
/// If it is absent although `ESCARP_SHARED=required`.
pub fn shared(path: &str) -> Option<PathBuf> {
    let file = root().join("../shared").join(path);
    if file.exists() {
        return Some(file);
    }
    let required = std::env::var_os("ESCARP_SHARED").is_some_and(|v| v == "required");
    assert!(!required, "ESCARP_SHARED=required, but ../shared/{path} is absent");
    skip(&format!("../shared/{path} is absent"));
    None
}

/// Says on the terminal that a test does not test.
pub(crate) fn skip(reason: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Not `eprintln!`: the harness would swallow it.
    writeln!(std::io::stderr(), "SKIPPED {test}: {reason}").ok();
}
