//! The programs at work: on this machine, and under QEMU as a board's CPU.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use crate::places::skip;

/// One of the three programs, or an example (`examples/NAME`), as the profile of this test built it.
///
/// # Panics
/// If it has not been built.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test.ancestors().nth(2).expect("target/PROFILE/deps/test");
    let path = folder.join(name);
    assert!(path.is_file(), "{} is missing; build it: cargo build --workspace --bins --examples", path.display());
    path
}

/// Runs a program to its end.
///
/// # Panics
/// If it does not start.
pub fn run<A: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = A>) -> Output {
    Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{}: {e}", program.display()))
}

/// Runs a program that must succeed; returns its standard output.
///
/// # Panics
/// With all it said, if its exit code is not 0.
pub fn succeed<A: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = A>) -> String {
    let output = run(program, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {}\n{said}", program.display(), output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The board program and the CPUs to run it as, from the environment that `cargo xtask test` sets.
///
/// # Panics
/// If they are not set although `CI=true`.
pub fn boards() -> Option<Vec<Board>> {
    let set = std::env::var_os("ESCARP_RUN_AARCH64").zip(std::env::var("ESCARP_QEMU_CPUS").ok());
    let Some((program, cpus)) = set else {
        let ci = std::env::var_os("CI").is_some_and(|v| v == "true");
        assert!(!ci, "CI=true, but ESCARP_RUN_AARCH64 and ESCARP_QEMU_CPUS are not set: run cargo xtask test");
        skip("no aarch64 program; cargo xtask test builds it and sets ESCARP_RUN_AARCH64 and ESCARP_QEMU_CPUS");
        return None;
    };
    let board = |cpu: &str| Board { cpu: cpu.into(), program: program.clone().into() };
    Some(cpus.split(',').map(board).collect())
}

/// A CPU under QEMU.
pub struct Board {
    /// QEMU's name.
    pub cpu: String,
    program: PathBuf,
}

impl Board {
    /// `escarp-run` with these arguments.
    ///
    /// # Panics
    /// If QEMU does not start.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Output {
        let program = std::env::var_os("ESCARP_QEMU").unwrap_or_else(|| "qemu-aarch64".into());
        let mut qemu = Command::new(program);
        qemu.args(["-cpu", &self.cpu]).arg(&self.program).args(arguments);
        qemu.output().unwrap_or_else(|e| panic!("qemu-aarch64: {e}"))
    }
}

/// What `escarp-run --json` printed: the numbers of each input's outputs, one output after the other, after checking architecture and kernels.
///
/// # Panics
/// If the program failed, or if it ran on another architecture or with other kernels than expected.
pub fn outputs(output: &Output, arch: &str, isa: &str) -> Vec<Vec<i64>> {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}", output.status);
    let lines = String::from_utf8_lossy(&output.stdout);
    let line = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_eq!((value["arch"].as_str(), value["isa"].as_str()), (Some(arch), Some(isa)), "{line}");
        let numbers = |list: &Value| -> Vec<i64> {
            list.as_array().expect("numbers").iter().map(|v| v.as_i64().expect("integers")).collect()
        };
        match value["outputs"].as_array() {
            Some(outputs) => outputs.iter().flat_map(|output| numbers(&output["numbers"])).collect(),
            None => numbers(&value["output"]),
        }
    };
    lines.lines().map(line).collect()
}
