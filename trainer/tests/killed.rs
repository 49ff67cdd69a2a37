//! `kill -9` at any moment: the run that is resumed after each ends with the bits of one that was left alone.
//!
//! A kill loses the steps since the last checkpoint, which is written after every epoch; they are done again. Nothing
//! here depends on when the kills hit: whatever they leave must be continued to the same end.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use escarp_trainer::checkpoint::Checkpoint;
use escarp_trainer::data::draw::{Purpose, stream};
use escarp_trainer::generate::{Counts, gestures, images};
use escarp_trainer::run_folder::EpochMetrics;
use rand::RngExt;

const EPOCHS: usize = 8;
/// In a run; two moments in three are at the end of an epoch, when files are written.
const KILLS: u32 = 15;

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

/// Starts the program and kills it at moment `number`; false if it ended by itself before, as it should.
fn kill(arguments: &[&str], folder: &Path, number: u32, whole: Duration) -> bool {
    let mut rng = stream(1, Purpose::Study, 0, number);
    let run = folder.join("killed");
    let done = lines(&run);
    let mut child = program(arguments, folder).spawn().unwrap();
    if number.is_multiple_of(3) {
        std::thread::sleep(whole.mul_f64(rng.random_range(0.0..0.5)));
    } else {
        // The line of metrics comes first; best.ckpt, model.onnx and last.ckpt follow.
        while child.try_wait().unwrap().is_none() && lines(&run) <= done {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(Duration::from_micros(rng.random_range(0..5000)));
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
    let health = std::fs::read_to_string(run.join("health.jsonl")).unwrap();
    Left { numbers, model: std::fs::read(run.join("model.onnx")).unwrap(), epochs: epochs.collect(), health }
}

fn survives(task: &str, flags: &str, folder: &Path) {
    let epochs = EPOCHS.to_string();
    let begin = |out: &'static str| {
        let mut all = vec![task, "--data", "train", "--epochs", &epochs, "--watch", "3", "--out", out];
        all.extend(flags.split(' '));
        all
    };
    let whole = run(&begin("whole"), folder);
    let resume = [task, "--resume", "killed"];
    let mut killed = 0;
    for number in 0..KILLS {
        // Before the settings are written there is nothing to continue: it begins.
        let there = folder.join("killed/config.json").exists();
        let arguments = if there { resume.to_vec() } else { begin("killed") };
        killed += usize::from(kill(&arguments, folder, number, whole));
    }
    // The first few at least, which leave most of the run to be done.
    assert!(killed >= 3, "{killed} kills came in time");
    run(&resume, folder);
    let (whole, pieces) = (result(&folder.join("whole")), result(&folder.join("killed")));
    assert_eq!(pieces.epochs.iter().map(|m| m[0]).collect::<Vec<_>>(), (1..=EPOCHS as u64).collect::<Vec<_>>());
    assert_eq!(whole.epochs, pieces.epochs);
    assert!(whole == pieces, "weights, model or health");
    let names =
        std::fs::read_dir(folder.join("killed")).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with(".tmp")).collect::<Vec<_>>(), [""; 0], "half files are removed");
}

#[test]
fn a_recurrent_run_survives_kills() {
    let folder = tempfile::tempdir().unwrap();
    gestures::write(folder.path(), 1, Counts { train: 12, test: 0 }).unwrap();
    survives("motion", "--hidden 6 --batch 8 --average 0.9", folder.path());
}

#[test]
fn a_residual_run_survives_kills() {
    let folder = tempfile::tempdir().unwrap();
    images::write(folder.path(), 1, Counts { train: 4, test: 0 }).unwrap();
    survives("image", "--width 2 --size 16 --batch 8 --validation 0.25", folder.path());
}
