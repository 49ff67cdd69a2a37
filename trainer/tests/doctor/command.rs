//! The program on recorded logs: what it prints, writes and refuses.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

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

/// The settings are beside the log: what they say already is not prescribed. A log from elsewhere is all there is.
#[test]
fn what_the_run_does_already_is_not_prescribed() {
    let folder = tempfile::tempdir().unwrap();
    let flat = Synthetic { loss: flat(TEN_CLASSES), noise: 0.02, ..healthy(6) };
    let lines: Vec<String> = flat.draw(0).iter().map(|o| serde_json::to_string(o).unwrap()).collect();
    let log = folder.path().join("health.jsonl");
    std::fs::write(&log, lines.join("\n")).unwrap();
    let told = |text: &str, has: &[bool]| {
        let sentences = ["Standardize the inputs", "Use AdamW", "Raise the learning rate"];
        sentences.iter().zip(has).for_each(|(s, has)| assert_eq!(text.contains(s), *has, "{s}: {text}"));
    };
    told(&doctor(&log, &[], 0), &[true, true, true]);
    std::fs::write(folder.path().join("config.json"), "{}").unwrap();
    let text = doctor(&log, &[], 0);
    says(&text, &["note: ", "config.json", "may be what the run does already"]);
    told(&text, &[true, true, true]);
    for (rule, has) in [("adamw", false), ("rmsprop", true)] {
        let run = folder.path().join(rule);
        let flags = ["motion", "--hidden", "4", "--epochs", "1", "--optimizer", rule, "--out", run.to_str().unwrap()];
        program(&flags, 0);
        std::fs::copy(&log, run.join("health.jsonl")).unwrap();
        told(&doctor(&run, &[], 0), &[false, has, true]);
        told(&doctor(&run.join("health.jsonl"), &[], 0), &[false, has, true]);
    }
}

/// Both took minutes, for every layer looked at every other and every observation at all before it.
#[test]
fn long_logs_and_deep_nets_take_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let (log, page) = (folder.path().join("log.jsonl"), folder.path().join("report.html"));
    let timed = |text: String, wanted: &[&str]| {
        std::fs::write(&log, text).unwrap();
        let begun = std::time::Instant::now();
        says(&doctor(&log, &["--report", page.to_str().unwrap()], 0), wanted);
        let took = begun.elapsed();
        println!("{took:?}");
        assert!(took.as_secs() < 20, "{took:?}");
        std::fs::read_to_string(&page).unwrap()
    };
    let layer = |i: u32| {
        format!(r#"{{"name": "layer{i}", "weight_norm": 3, "gradient_norm": 0.{}, "update_ratio": 1e-3}}"#, 1 + i % 9)
    };
    let layers: Vec<String> = (0..20_000).map(layer).collect();
    let line =
        |step: u32, loss: &str| format!("{{\"step\": {step}, \"loss\": {loss}, \"layers\": [{}]}}\n", layers.join(","));
    let html = timed(
        (0..10).map(|step| line(step, &format!("{}", 2.3 / f64::from(step + 1)))).collect::<String>()
            + &line(10, "\"NaN\""),
        &["NaN or infinity"],
    );
    says(&html, &["the first 200 and the last 200 are shown, 19600 between them are not", "layer19999"]);
    assert!(html.len() < 2_000_000, "{} bytes", html.len());
    let line = |step: u32| {
        format!("{{\"step\": {step}, \"loss\": 2.3, \"gradient_norm\": {}}}\n", f64::from(step * 7919 % 1000) / 1e3)
    };
    let html = timed((0..60_000).map(line).collect(), &["slow convergence", "note: in the report", "all were judged"]);
    says(&html, &["of 60000 observations are shown; all were judged", "60000 observations of 0 layers"]);
}
