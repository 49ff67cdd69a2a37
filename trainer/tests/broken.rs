//! Trainings that are broken on purpose, with the real program: what is said of them, and what is left behind.

mod program;

use std::path::Path;

use program::{run as program_run, says};

/// A net of `layers` dense layers, whose hidden ones say `keys`.
fn dense(folder: &Path, layers: usize, keys: &str) {
    let hidden = format!("[[layer]]\nkind = \"dense\"\noutputs = 32\n{keys}\n").repeat(layers - 1);
    let text = format!("[[layer]]\nkind = \"flatten\"\n{hidden}[[layer]]\nkind = \"dense\"\n");
    std::fs::write(folder.join("net.toml"), text).unwrap();
}

const RELU: &str = "activation = \"relu\"\ninit = \"he-normal\"";

/// What the program prints, when it ends with `code`.
fn run(folder: &Path, flags: &str, code: i32) -> String {
    program_run(&flags.split(' ').collect::<Vec<_>>(), folder, code)
}

#[test]
fn numbers_lost_between_two_looks_are_blamed_on_the_rate() {
    let folder = tempfile::tempdir().unwrap();
    dense(folder.path(), 9, RELU);
    let text = run(folder.path(), "motion --epochs 4 --net net.toml --optimizer sgd --lr 2 --no-clip --out run", 1);
    says(&text, &["doctor: learning rate too high", "weights had grown", "--lr (now 2);"]);
    assert!(!text.contains("a lower --clip"), "nothing is clipped: {text}");
}

/// One step, whose loss is finite; what it leaves is not.
#[test]
fn a_net_that_is_lost_on_the_validation_samples_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    dense(folder.path(), 24, "init = \"he-normal\"");
    let flags = "motion --epochs 1 --batch 2048 --net net.toml --optimizer sgd --schedule constant --lr 100 --no-clip";
    let text = run(folder.path(), &format!("{flags} --out run"), 1);
    says(&text, &["diverged at epoch 1, step 1", "doctor: learning rate too high"]);
    for file in ["model.onnx", "best.ckpt"] {
        assert!(!folder.path().join("run").join(file).exists(), "{file}");
    }
}

#[test]
fn weights_that_are_too_large_are_told_before_the_first_step() {
    let folder = tempfile::tempdir().unwrap();
    // Each layer by itself is of He's size but one.
    dense(folder.path(), 9, RELU);
    let net = std::fs::read_to_string(folder.path().join("net.toml")).unwrap();
    let second = net.match_indices("\"he-normal\"").nth(1).unwrap().0;
    let net =
        format!("{}{}", &net[..second], net[second..].replacen("\"he-normal\"", "{ kind = \"normal\", std = 100 }", 1));
    std::fs::write(folder.path().join("net.toml"), net).unwrap();
    // Also where no doctor watches.
    for watch in [0, 20] {
        let flags = format!("motion --epochs 1 --batch 2048 --watch {watch} --net net.toml --lr 1e-9 --out run{watch}");
        let text = run(folder.path(), &flags, 1);
        says(&text, &["doctor: initial weights too large since step 0: the signal's deviation", "is of no use"]);
    }
}

/// Its loss falls by factors, and the plan ends far above a guess.
#[test]
fn a_run_that_ends_far_above_a_guess_is_not_healthy() {
    let folder = tempfile::tempdir().unwrap();
    dense(folder.path(), 5, "activation = \"relu\"\ninit = { kind = \"constant\", value = 3 }");
    run(folder.path(), "motion --epochs 8 --net net.toml --lr 0.001 --out run", 0);
    let text = run(folder.path(), "doctor run", 0);
    says(&text, &["ill:", "initial weights too large"]);
}

/// Clipping and lower rates do not cure what the recurrent weights do in every step: other weights do.
#[test]
fn what_has_not_helped_is_not_tried_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let rnn = "[[layer]]\nkind = \"rnn\"\nhidden = 48\nrecurrent_init = { kind = \"orthogonal\", gain = 3 }\n";
    std::fs::write(folder.path().join("net.toml"), format!("{rnn}[[layer]]\nkind = \"dense\"\n")).unwrap();
    run(folder.path(), "motion --epochs 12 --net net.toml --no-clip --repair --out run", 0);
    let config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("run/config.json")).unwrap()).unwrap();
    let repairs = config["repairs"].as_array().unwrap();
    assert!(repairs.iter().any(|r| r["prescription"]["action"] == "reinitialize"), "{repairs:?}");
}
