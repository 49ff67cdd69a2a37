//! Ctrl-C before the first step: nothing is there to be saved, and the program ends at once.
#![cfg(unix)]

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn a_run_that_has_not_begun_ends_at_the_first_interrupt() {
    let folder = tempfile::tempdir().unwrap();
    // So wide that its orthogonal initial weights alone take minutes.
    let mut child = Command::new(env!("CARGO_BIN_EXE_escarp-train"))
        .args(["motion", "--hidden", "4096", "--threads", "1", "--out", "run"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The handler is there before any data are read.
    std::thread::sleep(Duration::from_secs(2));
    assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
    let sent = Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    while child.try_wait().unwrap().is_none() && sent.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{text}");
    assert!(text.contains("nothing to save"), "{text}");
    assert!(!folder.path().join("run").exists(), "a run without a state was left");
}
