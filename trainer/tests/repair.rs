//! Ill runs that are repaired, and what is left of them.

use std::{path::Path, process::Command};

use serde_json::Value;

fn train(folder: &Path, flags: &str, code: i32) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_escarp-train"));
    command.current_dir(folder).args(flags.split(' '));
    let output = command.output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{flags}: {text}");
    text
}

fn config(run: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(run.join("config.json")).unwrap()).unwrap()
}

/// Per cent right of the test samples.
fn accuracy(text: &str) -> f64 {
    let line = text.lines().find(|l| l.trim_start().starts_with("test ")).unwrap_or_else(|| panic!("{text}"));
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_rate_that_is_too_high_is_lowered_until_the_run_learns() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let ill = "motion --epochs 14 --watch 5 --lr 30 --hidden 24";
    let left_alone = accuracy(&train(here, &format!("{ill} --out alone"), 0));
    let text = train(here, &format!("{ill} --repair --out run"), 0);
    let repaired = accuracy(&text);
    // Chance is 12.5 %.
    assert!(left_alone < 45.0 && repaired > 60.0, "{left_alone} % and {repaired} %: {text}");
    let config = config(&here.join("run"));
    let repairs = config["repairs"].as_array().unwrap();
    assert!(!repairs.is_empty() && repairs.len() <= 5);
    assert_eq!(repairs[0]["prescription"]["action"], "lower_rate");
    assert!(config["settings"]["rate"].as_f64().unwrap() <= 3.1);
    for number in 1..=repairs.len() {
        assert!(here.join(format!("run/before-repair-{number}.health.jsonl")).is_file(), "nothing is lost");
        assert!(text.contains(&format!("repair {number} of ")), "{text}");
    }
    // The log of the run as it is now begins anew and rises.
    assert!(train(here, "doctor run", 0).contains("healthy"));
}

#[test]
fn a_run_that_is_well_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    train(here, "motion --epochs 4 --watch 5 --hidden 16 --out plain", 0);
    train(here, "motion --epochs 4 --watch 5 --hidden 16 --repair --out kept", 0);
    let model = |run: &str| std::fs::read(here.join(run).join("model.onnx")).unwrap();
    assert!(model("plain") == model("kept"), "the same bits");
    assert_eq!(config(&here.join("kept"))["repairs"], Value::Null);
    assert!(here.join("kept/healthy.ckpt").is_file());
}

#[test]
fn what_no_program_can_cure_ends_the_run_with_what_a_person_may_do() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    // Penalties that outweigh the loss at any rate.
    let text = train(here, "motion --epochs 14 --watch 5 --hidden 8 --l1 1 --l2 1 --repair --out run", 1);
    let repairs = config(&here.join("run"))["repairs"].as_array().unwrap().len();
    assert!((1..=5).contains(&repairs), "{text}");
    // The run has AdamW, standardized inputs and orthogonal states.
    for has in ["Use AdamW", "Standardize", "orthogonal"] {
        assert!(!text.contains(has), "{has}: {text}");
    }
    let end = format!("{repairs} repairs were made, and nothing is left to try");
    assert!(text.contains(&end) && text.contains("\n  All that the doctor knows against it is done already"), "{text}");
}

#[test]
fn a_net_that_begins_wrong_begins_again() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let dense = |keys: &str| format!("[[layer]]\nkind = \"dense\"\n{keys}\n");
    let hidden = dense("outputs = 32\nactivation = \"tanh\"\ninit = { kind = \"normal\", std = 5 }").repeat(4);
    let net = format!("[[layer]]\nkind = \"flatten\"\n{hidden}{}", dense(""));
    std::fs::write(here.join("net.toml"), net).unwrap();
    let ill = "motion --epochs 14 --watch 5 --net net.toml";
    let left_alone = accuracy(&train(here, &format!("{ill} --out alone"), 0));
    let text = train(here, &format!("{ill} --repair --out run"), 0);
    let repaired = accuracy(&text);
    assert!(repaired > left_alone + 15.0, "{left_alone} % and {repaired} %: {text}");
    let config = config(&here.join("run"));
    assert_eq!(config["repairs"][0]["from_step"], 0);
    assert_eq!(config["repairs"][0]["prescription"]["action"], "reinitialize");
    let name = "net.toml is as it was; what was trained is in config.json";
    assert_eq!(config["task"]["net"][1]["init"]["kind"], "glorot-uniform", "{name}");
}
