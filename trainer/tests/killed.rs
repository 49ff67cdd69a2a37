//! `kill -9` at any moment: the run that is resumed after each ends with the bits of one that was left alone.
//!
//! A kill loses the steps since the last checkpoint, which is written after every epoch; they are done again. Nothing
//! here depends on when the kills hit: whatever they leave must be continued to the same end.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use escarp_trainer::{
    data::generate::{Counts, gestures, images},
    engine::random::{Purpose, stream},
    run::{checkpoint::Checkpoint, folder::EpochMetrics},
};
use rand::RngExt;

/// In a run.
const KILLS: u32 = 24;

fn program(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_escarp-train"));
    command.args(arguments).args(["--threads", "1"]).current_dir(folder);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Runs to the end; returns how long it took.
fn run(arguments: &[&str], folder: &Path) -> Duration {
    let began = Instant::now();
    let output = program(arguments, folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    began.elapsed()
}

fn lines(run: &Path) -> usize {
    std::fs::read(run.join("metrics.jsonl")).map_or(0, |text| text.iter().filter(|b| **b == b'\n').count())
}

/// What repairs have set aside so far.
fn set_aside(run: &Path) -> Vec<String> {
    let mut names = names(run);
    names.retain(|name| name.starts_with("before-repair-"));
    names
}

fn names(run: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(run) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Starts the program and kills it at moment `number`: anywhere, at the end of an epoch, when files are written, or at the
/// next repair. False if it ended by itself before, as it should.
fn kill(arguments: &[&str], folder: &Path, number: u32, whole: Duration) -> bool {
    let mut rng = stream(1, Purpose::Study, 0, number);
    let run = folder.join("killed");
    let done = (lines(&run), set_aside(&run).len());
    let mut child = program(arguments, folder).spawn().unwrap();
    let mut wait_for = |sign: &dyn Fn() -> bool, longest| {
        while child.try_wait().unwrap().is_none() && !sign() {
            std::thread::sleep(Duration::from_micros(100));
        }
        std::thread::sleep(Duration::from_micros(rng.random_range(0..longest)));
    };
    match number % 4 {
        0 => std::thread::sleep(whole.mul_f64(rng.random_range(0.0..0.5))),
        // The line of metrics comes first; best.ckpt, model.onnx and last.ckpt follow.
        1 | 2 => wait_for(&|| lines(&run) > done.0, 5000),
        // What was measured comes first; the state to go on from and the settings follow.
        _ => wait_for(&|| set_aside(&run).len() > done.1, 2000),
    }
    // On Unix this is SIGKILL.
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let killed = output.status.code().is_none();
    assert!(killed || output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    killed
}

/// All that must be the same.
#[derive(PartialEq)]
struct Left {
    /// Of the last checkpoint, as bits.
    numbers: Vec<(String, Vec<u32>)>,
    model: Vec<u8>,
    /// Number, steps and the bits of both losses.
    epochs: Vec<[u64; 4]>,
    health: String,
    /// What was done and why, and what was measured before.
    repairs: serde_json::Value,
    before: Vec<(String, String)>,
    /// Of all files but TensorBoard's, of which there is one for each start.
    names: Vec<String>,
}

fn result(run: &Path) -> Left {
    let checkpoint = Checkpoint::<serde_json::Value>::load(&run.join("last.ckpt")).unwrap();
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    let numbers = checkpoint.arrays.into_iter().map(|(name, values)| (name, bits(values))).collect();
    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let epochs = metrics.lines().map(|line| {
        let m: EpochMetrics = serde_json::from_str(line).unwrap();
        [m.epoch.into(), m.step, m.train_loss.to_bits(), m.validation_loss.unwrap().to_bits()]
    });
    let text = |name: &str| std::fs::read_to_string(run.join(name)).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text("config.json")).unwrap();
    let logs = set_aside(run).into_iter().filter(|name| name.ends_with(".health.jsonl"));
    let mut names = names(run);
    names.retain(|name| !name.starts_with("events."));
    Left {
        numbers,
        model: std::fs::read(run.join("model.onnx")).unwrap(),
        epochs: epochs.collect(),
        health: text("health.jsonl"),
        repairs: config["repairs"].take(),
        before: logs.map(|name| (name.clone(), text(&name))).collect(),
        names,
    }
}

/// Kills a run and compares what it comes to with one that was left alone; the steps from which the repairs of both went on.
fn survives(task: &str, epochs: u64, flags: &str, folder: &Path) -> Vec<u64> {
    let count = epochs.to_string();
    let begin = |out: &'static str| {
        let mut all = vec![task, "--data", "train", "--epochs", &count, "--out", out];
        all.extend(flags.split(' '));
        all
    };
    let whole = run(&begin("whole"), folder);
    let resume = [task, "--resume", "killed"];
    let mut killed = 0;
    // On a busy machine a run may be done before it is hit: then another one is.
    for _ in 0..10 {
        killed = 0;
        std::fs::remove_dir_all(folder.join("killed")).ok();
        for number in 0..KILLS {
            // Before the settings are written there is nothing to continue: it begins.
            let there = folder.join("killed/config.json").exists();
            let arguments = if there { resume.to_vec() } else { begin("killed") };
            killed += usize::from(kill(&arguments, folder, number, whole));
        }
        // The first few at least, which leave most of the run to be done.
        if killed >= 3 {
            break;
        }
    }
    assert!(killed >= 3, "{killed} kills came in time, ten times over");
    run(&resume, folder);
    let (whole, pieces) = (result(&folder.join("whole")), result(&folder.join("killed")));
    assert_eq!(pieces.epochs.iter().map(|m| m[0]).collect::<Vec<_>>(), (1..=epochs).collect::<Vec<_>>());
    assert_eq!(whole.repairs, pieces.repairs);
    assert_eq!(whole.epochs, pieces.epochs);
    assert_eq!(whole.names, pieces.names, "half files are removed, and nothing is missing");
    assert!(whole == pieces, "weights, model or health");
    let steps = |repair: &serde_json::Value| repair["from_step"].as_u64().unwrap();
    whole.repairs.as_array().map_or(Vec::new(), |repairs| repairs.iter().map(steps).collect())
}

#[test]
fn a_recurrent_run_survives_kills() {
    let folder = tempfile::tempdir().unwrap();
    gestures::write(folder.path(), 1, Counts { train: 12, test: 0 }).unwrap();
    survives("motion", 8, "--watch 3 --hidden 6 --batch 8 --average 0.9", folder.path());
}

#[test]
fn a_residual_run_survives_kills() {
    let folder = tempfile::tempdir().unwrap();
    images::write(folder.path(), 1, Counts { train: 4, test: 0 }).unwrap();
    survives("image", 8, "--watch 3 --width 2 --size 16 --batch 8 --validation 0.25", folder.path());
}

/// Rates that get too high while they warm up: repairs that go on from a healthy state, and such that begin again.
#[test]
fn a_run_under_repair_survives_kills() {
    let folder = tempfile::tempdir().unwrap();
    gestures::write(folder.path(), 0, Counts { train: 24, test: 0 }).unwrap();
    let ill = "--watch 2 --batch 16 --schedule constant --repair";
    let mut from = Vec::new();
    for flags in [
        // Here the last begins again after one that had gone on with settings of its own.
        "--hidden 10 --seed 1 --optimizer sgd --no-clip --warm-up 250 --lr 100",
        "--hidden 16 --optimizer adamw --warm-up 200 --lr 50",
    ] {
        for run in ["whole", "killed"] {
            std::fs::remove_dir_all(folder.path().join(run)).ok();
        }
        from.extend(survives("motion", 30, &format!("{flags} {ill}"), folder.path()));
    }
    // Which do what depends on the last bits, and so on the machine's vectors.
    assert!(from.contains(&0) && from.iter().any(|&step| step > 0), "repairs from steps {from:?}");
}
