//! Reference data beside the repository.

use std::{io::Write, path::PathBuf};

/// A file or folder in `../shared`, or `None`, loudly, where this checkout has none. `ESCARP_SHARED=required` makes its
/// absence a failure.
pub fn shared(path: &str) -> Option<PathBuf> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    if file.exists() {
        return Some(file);
    }
    assert!(std::env::var("ESCARP_SHARED").as_deref() != Ok("required"), "../shared/{path} is required but absent");
    // Not `eprintln!`: the harness would swallow it.
    writeln!(std::io::stderr(), "SKIPPED: ../shared/{path} is absent, nothing was compared").ok();
    None
}
