//! The program as a user runs it.

use std::{
    path::Path,
    process::{Command, Output},
};

pub fn program(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_escarp-train"));
    command.args(arguments).current_dir(folder);
    command
}

/// Runs to the end; the exit code must be `code`.
pub fn run(arguments: &[&str], folder: &Path, code: i32) -> String {
    let Output { status, stdout, stderr } = program(arguments, folder).output().unwrap();
    let text = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert_eq!(status.code(), Some(code), "{arguments:?}: {text}");
    text
}

pub fn says(text: &str, wanted: &[&str]) {
    wanted.iter().for_each(|w| assert!(text.contains(w), "`{w}` in: {text}"));
}
