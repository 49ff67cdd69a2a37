//! Run folders that somebody has edited: whatever stands in a field that `--resume` reads, it goes on or says what is wrong.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

use escarp_trainer::{
    app,
    data::generate::{Counts, gestures, images},
    error::TrainError,
    fit::Outcome,
    run::checkpoint::Checkpoint,
};
use serde_json::{Value, json};

/// Such as no run writes them.
fn extremes() -> Vec<Value> {
    let texts = [
        "0",
        "1",
        "-1",
        "65535",
        "4294967295",
        "9223372036854775807",
        "18446744073709551615",
        // In bits these are infinity and a NaN.
        "9218868437227405312",
        "9221120237041090560",
        "-1e308",
        "1e308",
        "null",
        "\"\"",
        "[]",
    ];
    texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
}

/// Pointers to all values that hold no others, and to all lists and objects.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| pointers(value, &format!("{at}/{key}"), found)),
        Value::Array(all) => all.iter().enumerate().for_each(|(i, value)| pointers(value, &format!("{at}/{i}"), found)),
        _ => {}
    }
}

/// Goes on for two steps at most; a panic or a long wait fails the test.
fn resume(run: &Path, task: &str, what: &str) -> Result<Outcome, TrainError> {
    let asked = std::cell::Cell::new(0);
    let stop = |_| {
        asked.set(asked.get() + 1);
        asked.get() > 2
    };
    let begun = Instant::now();
    let ended = catch_unwind(AssertUnwindSafe(|| app::resume(run, task, &stop)));
    assert!(begun.elapsed() < Duration::from_secs(20), "{what} took {:?}", begun.elapsed());
    ended.unwrap_or_else(|_| panic!("a panic: {what}"))
}

/// Of a checkpoint.
type Arrays = Vec<(String, Vec<f32>)>;

/// A small run that was stopped in its second epoch, and the files that it goes on from.
struct Stopped {
    folder: tempfile::TempDir,
    task: &'static str,
    config: Value,
    checkpoint: Checkpoint<Value>,
}

impl Stopped {
    fn new(task: &'static str, flags: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        match task {
            "image" => images::write(folder.path(), 1, Counts { train: 4, test: 0 }).unwrap(),
            _ => gestures::write(folder.path(), 1, Counts { train: 4, test: 0 }).unwrap(),
        }
        let run = folder.path().join("run");
        let train = |out: &Path, flags: &[&str]| {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_escarp-train"));
            command.arg(task).arg("--data").arg(folder.path().join("train")).arg("--out").arg(out).args(flags);
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        let mut all: Vec<&str> = flags.split(' ').collect();
        let base = folder.path().join("base");
        let trained = base.join("best.ckpt");
        if all.contains(&"--qat") {
            all.retain(|flag| *flag != "--qat");
            train(&base, &all);
            all.extend(["--qat", "--init-from", trained.to_str().unwrap()]);
        }
        train(&run, &all);
        let read = |name: &str| std::fs::read(run.join(name)).unwrap();
        let mut config: Value = serde_json::from_slice(&read("config.json")).unwrap();
        // As if it had been stopped after the first of its epochs.
        config["settings"]["epochs"] = json!(3);
        let mut checkpoint = Checkpoint::<Value>::load(&run.join("last.ckpt")).unwrap();
        let plan = &mut checkpoint.header["plan"];
        let step = plan["step"].as_u64().unwrap();
        (plan["total"], plan["left"]) = (json!(3 * step), json!(3 * step));
        let stopped = Self { folder, task, config, checkpoint };
        stopped.put(&stopped.config, &stopped.checkpoint);
        assert!(matches!(stopped.resume("as it was"), Ok(Outcome::Interrupted { .. })), "a sound run goes on");
        stopped
    }

    fn run(&self) -> std::path::PathBuf {
        self.folder.path().join("run")
    }

    fn put(&self, config: &Value, checkpoint: &Checkpoint<Value>) {
        std::fs::write(self.run().join("config.json"), config.to_string()).unwrap();
        checkpoint.save(&self.run().join("last.ckpt")).unwrap();
    }

    fn resume(&self, what: &str) -> Result<Outcome, TrainError> {
        resume(&self.run(), self.task, what)
    }

    /// Every field of the settings.
    fn edit_config(&self) {
        let mut fields = Vec::new();
        pointers(&self.config, "", &mut fields);
        for field in fields {
            for value in extremes() {
                let mut config = self.config.clone();
                *config.pointer_mut(&field).unwrap() = value.clone();
                self.put(&config, &self.checkpoint);
                drop(self.resume(&format!("config.json, {field} = {value}")));
            }
        }
    }

    /// Every field of the header, and every array.
    fn edit_checkpoint(&self) {
        let mut fields = Vec::new();
        pointers(&self.checkpoint.header, "", &mut fields);
        for field in fields {
            for value in extremes() {
                let mut checkpoint = self.checkpoint.clone();
                *checkpoint.header.pointer_mut(&field).unwrap() = value.clone();
                self.put(&self.config, &checkpoint);
                drop(self.resume(&format!("last.ckpt, {field} = {value}")));
            }
        }
        for at in 0..self.checkpoint.arrays.len() {
            let name = self.checkpoint.arrays[at].0.clone();
            let edited = |what: &str, edit: &dyn Fn(&mut Arrays)| {
                let mut checkpoint = self.checkpoint.clone();
                edit(&mut checkpoint.arrays);
                self.put(&self.config, &checkpoint);
                self.resume(&format!("last.ckpt, {name} {what}"))
            };
            let shorter = edited("shorter", &|all| {
                let _ = all[at].1.pop();
            });
            let longer = edited("longer", &|all| all[at].1.push(1.0));
            let none = edited("missing", &|all| drop(all.remove(at)));
            let empty = edited("empty", &|all| all[at].1.clear());
            let renamed = edited("renamed", &|all| all[at].0 += "0");
            for error in [shorter, longer, none, empty, renamed] {
                assert!(matches!(error, Err(TrainError::Checkpoint { .. })), "{name}: {error:?}");
            }
            for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -f32::MAX, f32::MIN_POSITIVE, 0.0, -1.0]
            {
                drop(edited(&format!("all {value}"), &|all| all[at].1.fill(value)));
            }
        }
    }
}

const IMAGE: &str =
    "--epochs 1 --batch 8 --size 16 --width 2 --model resnet8 --mixup 0.4 --average 0.9 --clip 1 --watch 1";
const MOTION: &str = "--epochs 1 --batch 8 --hidden 3 --minutes 5 --warm-up 2 --repair --freeze gru1.recurrent";

#[test]
fn edited_settings_of_a_run_on_images_end_in_no_panic() {
    Stopped::new("image", IMAGE).edit_config();
}

#[test]
fn edited_checkpoints_of_a_run_on_images_end_in_no_panic() {
    Stopped::new("image", IMAGE).edit_checkpoint();
}

#[test]
fn edited_settings_of_a_run_on_motion_end_in_no_panic() {
    Stopped::new("motion", MOTION).edit_config();
}

#[test]
fn edited_checkpoints_of_a_run_on_motion_end_in_no_panic() {
    Stopped::new("motion", MOTION).edit_checkpoint();
}

/// Its checkpoint has the ranges of all tensors too.
#[test]
fn edited_checkpoints_of_a_run_for_int8_end_in_no_panic() {
    Stopped::new("motion", "--epochs 1 --batch 8 --hidden 3 --qat").edit_checkpoint();
}

/// What they were found by.
#[test]
fn counts_that_no_run_comes_to_are_named() {
    let stopped = Stopped::new("motion", MOTION);
    let most = json!(u64::MAX);
    for (field, says) in [
        ("/elapsed", "elapsed = 18446744073709551615; allowed: 0 to 4398046511104"),
        ("/plan/total", "plan.total"),
        ("/plan/step", "plan.step"),
        ("/plan/left", "plan.left"),
        ("/plan/clock", "plan.clock"),
        ("/plan/from/0", "plan.from.0"),
        ("/plan/from/1", "plan.from.1 is NaN in bits"),
        ("/best/peak", "best.peak"),
        ("/optimizer_steps", "optimizer_steps"),
        ("/sums/loss", "sums.loss is no finite number"),
        ("/sums/seen", "sums.seen"),
    ] {
        let mut checkpoint = stopped.checkpoint.clone();
        *checkpoint.header.pointer_mut(field).unwrap_or_else(|| panic!("no {field}")) = most.clone();
        stopped.put(&stopped.config, &checkpoint);
        let error = stopped.resume(field).unwrap_err().to_string();
        assert!(error.contains("last.ckpt") && error.contains(says), "`{says}` in: {error}");
    }
    let stopped = Stopped::new("image", IMAGE);
    for (field, value, says) in [
        ("/task/augmentation/shift", json!(u32::MAX), "task.augmentation.shift must be 0 to 512, not 4294967295"),
        ("/task/augmentation/cutout", json!(u64::MAX), "task.augmentation.cutout must be 0 to 512"),
        ("/task/augmentation/colour", json!(-1.0), "task.augmentation.colour must be 0 to 1, not -1"),
    ] {
        let mut config = stopped.config.clone();
        *config.pointer_mut(field).unwrap() = value;
        stopped.put(&config, &stopped.checkpoint);
        let error = stopped.resume(field).unwrap_err().to_string();
        assert!(error.contains("config.json") && error.contains(says), "`{says}` in: {error}");
    }
}
