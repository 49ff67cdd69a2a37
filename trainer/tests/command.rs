//! The program itself: exit codes, messages, Ctrl-C.

mod program;

use std::{
    io::Read,
    process::{Command, Stdio},
    time::Duration,
};

use escarp_trainer::data::generate::{Counts, gestures, images};
use program::{program, run, says};

#[test]
fn wrong_usage_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    says(&run(&["image"], here, 2), &["--data"]);
    says(&run(&["motion", "--epochs", "0"], here, 2), &["--epochs", "1 to 100000"]);
    says(&run(&["study"], here, 0), &["memory: ", "repair: "]);
    says(&run(&["study", "luck"], here, 2), &["luck", "memory", "repair"]);
    says(&run(&["image", "--data", "x", "--model", "resnet9"], here, 2), &["resnet8"]);
    says(&run(&["sound", "--resume", "nowhere"], here, 2), &["nowhere", "config.json"]);
    std::fs::create_dir_all(here.join("taken/inside")).unwrap();
    says(&run(&["motion", "--out", "taken"], here, 2), &["taken already exists", "--resume", "--out"]);
    says(&run(&["generate", "images", "--out", ".", "--train", "1", "--test", "0"], here, 0), &[]);
    says(&run(&["generate", "images", "--out", "."], here, 2), &["train already exists"]);
}

#[test]
fn bad_data_end_with_1_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    images::write(here, 0, Counts { train: 2, test: 1 }).unwrap();
    let image = |wanted: &[&str]| {
        says(&run(&["image", "--data", "train", "--test", "test", "--epochs", "1"], here, 1), wanted);
        assert!(!here.join("runs").exists(), "no run folder for data that cannot be trained on");
    };
    std::fs::write(here.join("train/star/0001.png"), b"\xff\xd8\xff\xe0 no picture").unwrap();
    image(&["star/0001.png", "JPEG"]);
    std::fs::remove_file(here.join("train/star/0001.png")).unwrap();
    image(&["`star` has 1"]);
    std::fs::remove_file(here.join("train/star/0000.png")).unwrap();
    image(&["'star' is empty"]);
    std::fs::remove_dir(here.join("train/star")).unwrap();
    image(&["'star' is not one of"]);
    says(&run(&["image", "--data", "missing"], here, 1), &["missing"]);

    let one = here.join("one/only");
    std::fs::create_dir_all(&one).unwrap();
    std::fs::write(one.join("a.csv"), "1,2,3\n3,1,2\n".repeat(32)).unwrap();
    says(&run(&["motion", "--data", "one"], here, 1), &["two or more classes", "only `only`"]);
}

#[test]
fn files_of_a_nan_are_named_with_the_line() {
    let folder = tempfile::tempdir().unwrap();
    gestures::write(folder.path(), 0, Counts { train: 2, test: 0 }).unwrap();
    let bad = folder.path().join("train/idle/0001.csv");
    let text = std::fs::read_to_string(&bad).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    std::fs::write(&bad, [&lines[..10], &["0.1,NaN,0.2"], &lines[11..]].concat().join("\n")).unwrap();
    says(&run(&["motion", "--data", "train"], folder.path(), 1), &["idle/0001.csv", "line 11"]);
}

/// Ctrl-C saves; what is saved can be continued and leaves a model.
#[cfg(unix)]
#[test]
fn an_interruption_saves_and_says_how_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let arguments = ["motion", "--epochs", "3", "--hidden", "8", "--out", "run", "--minutes", "0.2"];
    let mut child = program(&arguments, here).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // The first checkpoint is written when everything is set up.
    while !here.join("run/last.ckpt").exists() {
        assert_eq!(child.try_wait().unwrap(), None, "still running");
        std::thread::sleep(Duration::from_millis(5));
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    says(&text, &["interrupted and saved", "escarp-train motion --resume run"]);
    let wrong = run(&["image", "--resume", "run"], here, 2);
    says(&wrong, &["run is a run of `motion`", "escarp-train motion --resume run"]);
    says(&run(&["motion", "--resume", "run"], here, 0), &["validation", "test", "model.onnx"]);
    for file in ["model.onnx", "best.ckpt", "last.ckpt", "metrics.jsonl", "config.json"] {
        assert!(here.join("run").join(file).metadata().unwrap().len() > 0, "{file}");
    }
}

#[test]
fn a_run_that_diverges_leaves_its_diagnosis() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    // Each step turns every weight into -99 of itself.
    let endless =
        "motion --epochs 2 --optimizer sgd --lr 100 --weight-decay 1 --no-clip --hidden 8 --schedule constant";
    let endless: Vec<&str> = endless.split(' ').collect();
    let text = run(&endless, here, 1);
    says(&text, &["diverged at epoch 1", "first in", "--lr"]);
    // The step that failed is in the log although it was not one of those that are looked at.
    let diagnosis = run(&["doctor", "runs/motion", "--report", "x.html"], here, 0);
    says(&diagnosis, &["not finite"]);
    let report = |path: &str| std::fs::read_to_string(here.join(path)).unwrap();
    says(&report("runs/motion/report.html"), &["<svg", "gru1"]);
    says(&report("x.html"), &["<svg", "gru1"]);
}

/// A log of anybody's may name layers as it likes: the terminal and the page get names, no commands.
#[test]
fn names_in_a_log_are_shown_and_not_obeyed() {
    let folder = tempfile::tempdir().unwrap();
    let line = |step: u32| {
        format!(
            r#"{{"step":{step},"loss":2.3,"layers":[{{"name":"a\u001b[31m\u0007\u202e\nhealthy","kind":"dense","gradient_norm":1e-30,"weight_norm":1.0,"non_finite":"weights"}}]}}"#
        )
    };
    std::fs::write(folder.path().join("evil.jsonl"), line(0) + "\n" + &line(20) + "\n").unwrap();
    let text = run(&["doctor", "evil.jsonl", "--report", "x.html"], folder.path(), 0);
    says(&text, &[r"a\u{1b}[31m\u{7}\u{202e}\nhealthy"]);
    let page = std::fs::read_to_string(folder.path().join("x.html")).unwrap();
    for shown in [&text, &page] {
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{shown:?}");
    }
    assert!(!text.contains("\nhealthy"), "{text}");
    std::fs::create_dir_all(folder.path().join("data/a\u{1b}[2J")).unwrap();
    let text = run(&["image", "--data", "data"], folder.path(), 1);
    says(&text, &[r"a\u{1b}[2J"]);
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn jacobians_are_told_of_runs_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    run(&["motion", "--hidden", "6", "--epochs", "1", "--out", "gru"], here, 0);
    let text = run(&["doctor", "gru", "--jacobians"], here, 0);
    says(&text, &["outputs by inputs: ", "gru1, last state by that of so many steps before: ", " (1), ", " (63)"]);
    let value: serde_json::Value =
        serde_json::from_str(&run(&["doctor", "gru", "--jacobians", "--json"], here, 0)).unwrap();
    assert_eq!(value["jacobians"]["output_by_input"].as_array().unwrap().len(), 8);
    assert_eq!(value["jacobians"]["recurrent"][0]["largest"].as_array().unwrap().len(), 63);
    assert!(!run(&["doctor", "gru"], here, 0).contains("Jacobian"), "only on demand");
    says(&run(&["doctor", "gru/health.jsonl", "--jacobians"], here, 2), &["--jacobians", "run folder"]);
    std::fs::remove_file(here.join("gru/last.ckpt")).unwrap();
    says(&run(&["doctor", "gru", "--jacobians"], here, 1), &["last.ckpt"]);
}

#[test]
fn a_net_that_the_converter_refuses_is_named_before_training() {
    let folder = tempfile::tempdir().unwrap();
    let text = run(&["motion", "--net", "lstm", "--hidden", "4", "--epochs", "1"], folder.path(), 0);
    says(&text, &["escarp-convert cannot pack this net yet", "lstm1"]);
    let text = run(&["motion", "--hidden", "4", "--epochs", "1", "--out", "gru"], folder.path(), 0);
    assert!(!text.contains("cannot pack"), "{text}");
}

/// What is wrong with a net's file is wrong usage, whether TOML, layers or the end of the net show it.
#[test]
fn a_net_file_that_is_wrong_is_named_and_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let refused = |net: &str, wanted: &[&str]| {
        std::fs::write(here.join("mine.toml"), net).unwrap();
        says(&run(&["motion", "--net", "mine.toml"], here, 2), wanted);
        assert!(!here.join("runs").exists(), "nothing is left behind");
    };
    let flat = "[[layer]]\nkind = \"flatten\"\n\n";
    refused("[[layer]\n", &["mine.toml, line 1"]);
    refused("[[layer]]\nkind = \"danse\"\n", &["mine.toml, line 2", "`danse`", "`dense`"]);
    refused("[[layer]]\nkind = \"softmax\"\n", &["mine.toml, line 2", "leave it out"]);
    refused(
        "[[layer]]\nkind = \"embedding\"\noutputs = 3\n\n[[layer]]\nkind = \"dense\"\n",
        &["`embedding1`", "tokens"],
    );
    for end in ["sigmoid", "tanh", "relu"] {
        let says = ["mine.toml", "`head`", end, "softmax (of one number a sigmoid)", "leave its `activation` out"];
        let says = says.map(|word| if word == "relu" { "a ReLU" } else { word });
        refused(&format!("{flat}[[layer]]\nkind = \"dense\"\nname = \"head\"\nactivation = \"{end}\"\n"), &says);
    }
    refused(
        &format!("{flat}[[layer]]\nkind = \"dense\"\n\n[[layer]]\nkind = \"dropout\"\n"),
        &["mine.toml", "`dropout3`", "leave it out"],
    );
    // An edited run is held to it too.
    run(&["motion", "--hidden", "4", "--epochs", "1", "--out", "run"], here, 0);
    let config = std::fs::read_to_string(here.join("run/config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["task"]["net"][1]["activation"] = "tanh".into();
    std::fs::write(here.join("run/config.json"), config.to_string()).unwrap();
    says(&run(&["motion", "--resume", "run"], here, 2), &["`head`", "a tanh"]);
}

/// Of so few steps 3 looks were taken, and the report ended two thirds of the way.
#[test]
fn a_short_run_is_looked_at_often_and_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    // 2160 windows to train on: 15 epochs of 4 steps.
    let steps = |run: &str| -> Vec<u64> {
        let log = std::fs::read_to_string(here.join(run).join("health.jsonl")).unwrap();
        let step = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_u64().unwrap();
        log.lines().map(step).collect()
    };
    let flags = |epochs, out| ["motion", "--hidden", "4", "--batch", "512", "--epochs", epochs, "--out", out];
    let text = run(&flags("15", "run"), here, 0);
    let seen = steps("run");
    assert!(seen.len() >= 30 && seen.last() == Some(&59), "{seen:?}");
    says(&text, &["doctor: healthy, by 31 observations"]);
    says(&run(&["doctor", "run"], here, 0), &["healthy: "]);
    // Too few to tell by: that is said, and not taken for health.
    let text = run(&flags("1", "short"), here, 0);
    assert_eq!(steps("short"), [0, 1, 2, 3]);
    says(&text, &["doctor: cannot tell whether this run is well: 4 observations", "8 with a loss are needed"]);
    let report = std::fs::read_to_string(here.join("short/report.html")).unwrap();
    says(&report, &["<h2>cannot tell</h2>", "8 with a loss are needed"]);
    says(&run(&["doctor", "short"], here, 0), &["cannot tell: 4 observations"]);
}
