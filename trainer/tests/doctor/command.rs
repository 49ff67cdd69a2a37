//! The program on recorded logs: what it prints, writes and refuses.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::synthetic::{Synthetic, TEN_CLASSES, flat, healthy};

fn program(arguments: &[&str], code: i32) -> String {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_escarp-train")).args(arguments).output().unwrap();
    let text = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert_eq!(status.code(), Some(code), "{arguments:?}: {text}");
    text
}

fn doctor(log: &Path, more: &[&str], code: i32) -> String {
    program(&[&["doctor", log.to_str().unwrap()], more].concat(), code)
}

/// Perceptrons of 20 layers, recorded by `logs/record.py` through the PyTorch callback.
fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doctor/logs").join(name)
}

fn says(text: &str, wanted: &[&str]) {
    wanted.iter().for_each(|w| assert!(text.contains(w), "`{w}` in: {text}"));
}

#[test]
fn twenty_sigmoid_layers_of_pytorch_vanish() {
    let text = doctor(&recorded("sigmoid20.jsonl"), &[], 0);
    says(&text, &["ill: ", "vanishing gradient (ill, since step 0)", "layer 0", "of 20 layers", "do: Use ReLU"]);
    assert!(!text.contains("Glorot"), "they began with Glorot's: {text}");
}

#[test]
fn twenty_relu_layers_of_pytorch_are_well() {
    let text = doctor(&recorded("relu20.jsonl"), &[], 0);
    says(&text, &["healthy: 8 observations", "|g| of 20 layers ["]);
    assert!(!text.contains("do: "), "{text}");
}

/// Recorded by `logs/record_keras.py` through the Keras callback.
#[test]
fn trainings_of_keras_are_named_rightly() {
    let cases = [
        ("keras-sigmoid.jsonl", "\nvanishing gradient (ill, since step 0)"),
        ("keras-dying.jsonl", "\ndying ReLU (ill, since step 0)"),
        ("keras-rate.jsonl", "\nlearning rate too high (fatal, since step"),
        ("keras-normalized.jsonl", "healthy: "),
    ];
    for (log, wanted) in cases {
        let text = doctor(&recorded(log), &[], 0);
        says(&text, &[wanted]);
        assert_eq!(text.matches(", since step").count(), usize::from(!wanted.starts_with("healthy")), "{text}");
    }
}

/// A trainer that is killed in the middle of a line, or watched while it writes, has a log nevertheless.
#[test]
fn a_last_line_that_is_cut_is_left_out() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = std::fs::read_to_string(recorded("relu20.jsonl")).unwrap();
    std::fs::write(file.path(), text + "{\"step\": 600, \"lo").unwrap();
    says(&doctor(file.path(), &[], 0), &["line 9 is cut off", "healthy: 8 observations"]);
}

#[test]
fn machines_get_json() {
    let text = doctor(&recorded("sigmoid20.jsonl"), &["--json"], 0);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["healthy"], false);
    let verdict = &value["verdicts"][0];
    assert_eq!((&verdict["illness"], &verdict["since_step"]), (&"vanishing".into(), &0.into()));
    assert_eq!(verdict["prescriptions"][0]["action"], "replace_activation");
    assert_eq!(verdict["sentences"].as_array().unwrap().len(), verdict["prescriptions"].as_array().unwrap().len());
}

#[test]
fn the_report_stands_alone() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    doctor(&recorded("sigmoid20.jsonl"), &["--report", page.to_str().unwrap()], 0);
    let html = std::fs::read_to_string(&page).unwrap();
    says(&html, &["vanishing gradient", "Use ReLU", "Gradient norms", "Curves", "Layers at step", "</html>"]);
    for reference in ["src=", "href=", "url(", "<script", "@import"] {
        assert!(!html.contains(reference), "a reference `{reference}` in the page");
    }
    let missing = folder.path().join("missing/report.html");
    let error = doctor(&recorded("relu20.jsonl"), &["--report", missing.to_str().unwrap()], 1);
    says(&error, &["missing"]);
}

/// A gradient that vanished while the loss stood still, and came back.
#[test]
fn what_a_run_has_got_over_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let ill = Synthetic { per_layer: 0.25, loss: flat(TEN_CLASSES), noise: 0.02, ..healthy(12) };
    let (mut log, well) = (ill.draw(0), healthy(12).draw(0));
    for (old, new) in log[60..].iter_mut().zip(&well[60..]) {
        *old = new.clone();
    }
    let lines: Vec<String> = log.iter().map(|o| serde_json::to_string(o).unwrap()).collect();
    std::fs::write(folder.path().join("health.jsonl"), lines.join("\n")).unwrap();
    let page = folder.path().join("report.html");
    let text = doctor(folder.path(), &["--report", page.to_str().unwrap()], 0);
    says(&text, &["healthy: ", "\nearlier: vanishing gradient, steps "]);
    says(&std::fs::read_to_string(&page).unwrap(), &["Earlier, and no longer: vanishing gradient"]);
    let value: serde_json::Value = serde_json::from_str(&doctor(folder.path(), &["--json"], 0)).unwrap();
    assert_eq!(value["earlier"][0]["illness"], "vanishing");
}

/// Names come from foreign files.
#[test]
fn names_cannot_inject_html() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = healthy(3).draw(0);
    log.iter_mut().flat_map(|o| &mut o.layers).for_each(|l| l.name = format!("<script>{}</script>&\"", l.name));
    let lines: Vec<String> = log.iter().map(|o| serde_json::to_string(o).unwrap()).collect();
    std::fs::write(folder.path().join("health.jsonl"), lines.join("\n")).unwrap();
    let page = folder.path().join("report.html");
    let text = doctor(folder.path(), &["--report", page.to_str().unwrap()], 0);
    says(&text, &["healthy"]);
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.contains("&lt;script&gt;layer0") && !html.contains("<script"), "unescaped names");
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    says(&doctor(&log, &[], 1), &["log.jsonl"]);
    says(&doctor(folder.path(), &[], 1), &["no run folder", "health.jsonl", "doctor.md"]);
    std::fs::write(&log, "{\"step\": 0}\n{\"step\": 20, \"layers\": [{\"name\": \"a\", \"dead\": 1}]}\n").unwrap();
    says(&doctor(&log, &[], 1), &["log.jsonl, line 2", "layers[0]", "`dead`", "dead_units"]);
    std::fs::write(&log, [0xff, 0xfe, b'\n']).unwrap();
    says(&doctor(&log, &[], 1), &["log.jsonl"]);
    std::fs::write(&log, "{\"step\": 0, \"loss\": 1}\n").unwrap();
    says(&doctor(&log, &[], 0), &["cannot tell yet"]);
    program(&["doctor"], 2);
}

/// A prescription must not name a flag that there is not.
#[test]
fn prescribed_flags_exist() {
    let help = program(&["image", "--help"], 0);
    let source = include_str!("../../src/doctor/verdict.rs");
    let flags: Vec<&str> = source.split("(--").skip(1).map(|f| f.split([')', ' ']).next().unwrap()).collect();
    assert!(flags.len() >= 5);
    flags.iter().for_each(|flag| assert!(help.contains(&format!("--{flag} ")), "--{flag}"));
}
