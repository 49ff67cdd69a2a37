//! Ctrl-C before the first step: nothing is there to be saved, and the program ends at once.
#![cfg(unix)]

use std::{
    io::Read,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

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

/// One step on such texts takes far longer than anybody waits.
#[test]
fn a_step_that_takes_minutes_is_cut_short() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for (class, word) in [("bad", "dull "), ("good", "fine ")] {
        let texts = here.join("texts").join(class);
        std::fs::create_dir_all(&texts).unwrap();
        (0..6).for_each(|i| std::fs::write(texts.join(format!("{i}.txt")), word.repeat(70_000)).unwrap());
    }
    let arguments =
        "text --data texts --tokens 65535 --net sentiment-lstm --hidden 96 --batch 4 --epochs 2 --threads 1 --out run";
    let mut child = Command::new(env!("CARGO_BIN_EXE_escarp-train"))
        .args(arguments.split(' '))
        .current_dir(here)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first checkpoint is written when the first step is about to begin.
    while !here.join("run/last.ckpt").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_secs(1));
    let sent = Instant::now();
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    while child.try_wait().unwrap().is_none() && sent.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = sent.elapsed();
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && text.contains("interrupted and saved after 0 steps"), "after {took:?}: {text}");
    println!("ended {took:?} after the signal");
    // On a busy machine; alone it is a tenth of a second.
    assert!(took < Duration::from_secs(8), "{took:?}");
}
