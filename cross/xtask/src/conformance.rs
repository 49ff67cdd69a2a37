//! `cargo xtask conformance`: builds and runs `escarp-conformance` (`tests/src/main.rs`), which knows ONNX; this program does not.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{error::Error, job::Jobs, toolchain::cargo};

/// Builds the program, with the features that the tests have, so that tract is compiled once.
///
/// # Errors
/// If it does not build.
pub fn build(jobs: &mut Jobs, root: &Path, target: &Path) -> Result<PathBuf, Error> {
    let mut cargo = cargo();
    cargo.current_dir(root).args(["build", "--workspace", "--bins"]);
    jobs.show("build escarp-conformance", "6 minutes the first time, half of it for reading ONNX", &mut cargo)?;
    Ok(target.join("debug/escarp-conformance"))
}

/// Runs it on the terminal. `files` are its flags for what to write.
///
/// # Errors
/// If a case gives other values than it should, or cannot be read.
pub fn run(
    jobs: &mut Jobs,
    program: &Path,
    cases: &Path,
    only: Option<&str>,
    files: [(&str, &Option<PathBuf>); 2],
) -> Result<(), Error> {
    let mut command = Command::new(program);
    command.arg(cases);
    command.args(only.iter().flat_map(|only| ["--only", only]));
    for (flag, path) in files {
        if let Some(path) = path {
            command.arg(flag).arg(path);
        }
    }
    jobs.show("conformance", "a minute", &mut command)
}
