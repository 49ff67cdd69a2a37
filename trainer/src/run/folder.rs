//! The folder that a run leaves behind.
//!
//! | file | what |
//! |---|---|
//! | `config.json` | all settings; `--resume` reads them |
//! | `last.ckpt`, `best.ckpt` | [checkpoints](crate::run::checkpoint): the latest state, the one kept by its validation accuracy |
//! | `model.onnx` | the best network so far |
//! | `vocabulary.txt` | of texts: the words, one a line; the line, counted from 0, is the number that stands for it |
//! | `metrics.jsonl` | one JSON object for each epoch |
//! | `healthy.ckpt`, `before-repair-N.*` | with `--repair`: where to go back to, and what was measured before |
//! | `repair.json` | the settings of a [repair](crate::app::repair) that was cut short: `--resume` makes it |
//! | `health.jsonl`, `report.html` | what the doctor saw, and what it thinks |
//! | `events.out.tfevents.*` | the same and more for TensorBoard |

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    error::TrainError,
    run::files::{is_leftover, remove, remove_leftovers, write_atomically},
};

/// The exported network.
pub const MODEL: &str = "model.onnx";

/// The doctor's log.
pub const HEALTH: &str = "health.jsonl";

/// The doctor's report.
pub const REPORT: &str = "report.html";

const CONFIG: &str = "config.json";
const LAST: &str = "last.ckpt";
const BEST: &str = "best.ckpt";
const HEALTHY: &str = "healthy.ckpt";
const VOCABULARY: &str = "vocabulary.txt";
const METRICS: &str = "metrics.jsonl";
const PENDING: &str = "repair.json";

/// All that is written whole or not at all.
const WHOLE: &[&str] = &[CONFIG, LAST, BEST, HEALTHY, MODEL, VOCABULARY, METRICS, PENDING, HEALTH, REPORT];

/// Paths of one run.
#[derive(Clone, Debug)]
pub struct RunFolder(PathBuf);

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Counted from 1.
    pub epoch: u32,
    /// Steps done at its end.
    pub step: u64,
    /// Seconds of training at its end, over all sessions of the run.
    pub seconds: f64,
    /// Learning rate of its last step.
    pub rate: f64,
    /// Mean loss over the epoch's training batches, label smoothing included.
    pub train_loss: f64,
    /// Of the augmented training samples, 0 to 1.
    pub train_accuracy: f64,
    /// Mean over the steps of the norm of all gradients, before clipping.
    pub gradient_norm: f64,
    /// The largest of them.
    pub gradient_norm_max: f64,
    /// Training samples a second.
    pub samples_per_second: f64,
    /// Mean cross-entropy on the validation data; absent without validation data.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation_loss: Option<f64>,
    /// Accuracy on the validation data, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation_accuracy: Option<f64>,
}

impl EpochMetrics {
    /// For TensorBoard.
    pub fn scalars(&self) -> Vec<(&'static str, f64)> {
        let mut scalars = vec![
            ("loss/train", self.train_loss),
            ("accuracy/train", self.train_accuracy),
            ("gradient_norm/mean", self.gradient_norm),
            ("gradient_norm/max", self.gradient_norm_max),
            ("samples_per_second", self.samples_per_second),
        ];
        scalars.extend(self.validation_loss.map(|loss| ("loss/validation", loss)));
        scalars.extend(self.validation_accuracy.map(|accuracy| ("accuracy/validation", accuracy)));
        scalars
    }
}

impl RunFolder {
    /// Refuses a folder that exists and is not empty but for what a killed program left.
    pub fn check_free(folder: &Path) -> Result<(), TrainError> {
        match std::fs::read_dir(folder) {
            Ok(mut entries) => match entries.find(|entry| !entry.as_ref().is_ok_and(|entry| is_leftover(entry, WHOLE)))
            {
                None => Ok(()),
                Some(_) => Err(TrainError::RunExists(folder.into())),
            },
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(TrainError::io(folder)(e)),
        }
    }

    /// Makes a new folder with the run's settings in it; an existing one that is not empty is refused.
    pub fn create(folder: &Path, config: &impl Serialize) -> Result<Self, TrainError> {
        Self::check_free(folder)?;
        std::fs::create_dir_all(folder).map_err(TrainError::io(folder))?;
        remove_leftovers(folder, WHOLE)?;
        let run = Self(folder.into());
        run.rewrite(config)?;
        Ok(run)
    }

    /// Opens a run to continue it, with its settings.
    pub fn open<C: DeserializeOwned>(folder: &Path) -> Result<(Self, C), TrainError> {
        let run = Self(folder.into());
        let Some(config) = run.read(&run.config())? else {
            return Err(run.no_run("no run of escarp-train here (config.json is missing)".into()));
        };
        remove_leftovers(folder, WHOLE)?;
        Ok((run, config))
    }

    /// The settings of the run in `folder`, where nothing is touched; `None` if there are none.
    ///
    /// # Errors
    /// A `config.json` that cannot be read, or is none of escarp-train's.
    pub fn settings<C: DeserializeOwned>(folder: &Path) -> Result<Option<C>, TrainError> {
        let run = Self(folder.into());
        run.read(&run.config())
    }

    /// Settings; `None` if there is no such file.
    fn read<C: DeserializeOwned>(&self, path: &Path) -> Result<Option<C>, TrainError> {
        let name = path.file_name().unwrap_or_default().display();
        match std::fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|e| self.no_run(format!("{name}: {e}"))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(TrainError::io(path)(e)),
        }
    }

    fn no_run(&self, reason: String) -> TrainError {
        TrainError::NoRun { folder: self.0.clone(), reason }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn config(&self) -> PathBuf {
        self.0.join(CONFIG)
    }

    /// The latest state.
    pub fn last(&self) -> PathBuf {
        self.0.join(LAST)
    }

    /// The best state on validation data.
    pub fn best(&self) -> PathBuf {
        self.0.join(BEST)
    }

    /// The last state in which the doctor found nothing; written by runs that are to be repaired.
    pub fn healthy(&self) -> PathBuf {
        self.0.join(HEALTHY)
    }

    /// Replaces the run's settings.
    pub fn rewrite(&self, config: &impl Serialize) -> Result<(), TrainError> {
        self.write(&self.config(), config)
    }

    fn write(&self, path: &Path, config: &impl Serialize) -> Result<(), TrainError> {
        let text = serde_json::to_string_pretty(config).map_err(|e| self.no_run(e.to_string()))?;
        write_atomically(path, (text + "\n").as_bytes())
    }

    fn pending(&self) -> PathBuf {
        self.0.join(PENDING)
    }

    /// Writes down the settings that a repair will give the run.
    pub fn plan_repair(&self, config: &impl Serialize) -> Result<(), TrainError> {
        self.write(&self.pending(), config)
    }

    /// The settings of a repair that was cut short, if one was.
    pub fn planned_repair<C: DeserializeOwned>(&self) -> Result<Option<C>, TrainError> {
        self.read(&self.pending())
    }

    /// The repair is made.
    pub fn repair_made(&self) -> Result<(), TrainError> {
        remove(&self.pending())
    }

    /// Keeps what has been measured so far under names with `number`, so that a repaired run does not write over it.
    pub fn set_aside(&self, number: usize) -> Result<(), TrainError> {
        for name in [METRICS, HEALTH, REPORT] {
            let (from, to) = (self.0.join(name), self.0.join(format!("before-repair-{number}.{name}")));
            if from.exists() {
                std::fs::copy(&from, &to).map_err(TrainError::io(&from))?;
            }
        }
        Ok(())
    }

    /// The exported network.
    pub fn model(&self) -> PathBuf {
        self.0.join(MODEL)
    }

    /// The words that have numbers.
    pub fn vocabulary(&self) -> PathBuf {
        self.0.join(VOCABULARY)
    }

    fn metrics(&self) -> PathBuf {
        self.0.join(METRICS)
    }

    /// Adds a line to `metrics.jsonl`.
    pub fn append(&self, metrics: &EpochMetrics) -> Result<(), TrainError> {
        let path = self.metrics();
        let line = serde_json::to_string(metrics).map_err(|e| self.no_run(e.to_string()))? + "\n";
        let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(TrainError::io(&path))?;
        file.write_all(line.as_bytes()).map_err(TrainError::io(&path))
    }

    /// Drops the lines beyond `step`: a run that died between its checkpoint and its end will write
    /// them again.
    pub fn rewind(&self, step: u64) -> Result<(), TrainError> {
        let path = self.metrics();
        if !path.exists() {
            return Ok(());
        }
        let file = BufReader::new(File::open(&path).map_err(TrainError::io(&path))?);
        let mut kept = String::new();
        for line in file.lines() {
            let line = line.map_err(TrainError::io(&path))?;
            match serde_json::from_str::<EpochMetrics>(&line) {
                Ok(metrics) if metrics.step <= step => kept += &(line + "\n"),
                _ => break,
            }
        }
        write_atomically(&path, kept.as_bytes())
    }

    /// All lines of `metrics.jsonl`.
    pub fn history(&self) -> Result<Vec<EpochMetrics>, TrainError> {
        let path = self.metrics();
        let text = std::fs::read_to_string(&path).map_err(TrainError::io(&path))?;
        text.lines()
            .map(|line| serde_json::from_str(line).map_err(|e| TrainError::data(path.display(), e.to_string())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(step: u64) -> EpochMetrics {
        EpochMetrics {
            epoch: step as u32 / 10,
            step,
            seconds: 1.5,
            rate: 0.1,
            train_loss: 2.0,
            train_accuracy: 0.5,
            gradient_norm: 1.0,
            gradient_norm_max: 3.0,
            samples_per_second: 100.0,
            validation_loss: Some(1.9),
            validation_accuracy: None,
        }
    }

    #[test]
    fn an_existing_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        RunFolder::create(&path, &42).unwrap();
        assert!(matches!(RunFolder::create(&path, &42), Err(TrainError::RunExists(p)) if p == path));
        let (_, config) = RunFolder::open::<i32>(&path).unwrap();
        assert_eq!(config, 42);
        assert!(matches!(RunFolder::open::<i32>(folder.path()), Err(TrainError::NoRun { .. })));
        assert!(matches!(RunFolder::open::<String>(&path), Err(TrainError::NoRun { .. })));
    }

    /// What a killed program of ours left is removed; what anybody else put there is neither removed nor overlooked.
    #[test]
    fn only_our_half_written_files_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let ours = [".escarp-last.ckpt.AbCd12.part", ".escarp-config.json.000000.part"];
        ours.iter().for_each(|name| std::fs::write(path.join(name), "half").unwrap());
        RunFolder::create(path, &42).unwrap();
        ours.iter().for_each(|name| assert!(!path.join(name).exists(), "{name}"));
        let foreign = [".tmp", ".tmp-notes", ".tmpAbCd12", ".escarp-thesis.txt.AbCd12.part"];
        foreign.iter().for_each(|name| std::fs::write(path.join(name), "mine").unwrap());
        std::fs::write(path.join(ours[0]), "half").unwrap();
        RunFolder::open::<i32>(path).unwrap();
        assert!(!path.join(ours[0]).exists());
        foreign.iter().for_each(|name| assert!(path.join(name).exists(), "{name} is gone"));
        std::fs::remove_file(path.join("config.json")).unwrap();
        assert!(matches!(RunFolder::create(path, &42), Err(TrainError::RunExists(_))), "the folder is not free");
        foreign.iter().for_each(|name| assert_eq!(std::fs::read(path.join(name)).unwrap(), b"mine"));
    }

    #[test]
    fn rewinding_forgets_what_lies_beyond_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::create(&folder.path().join("run"), &0).unwrap();
        for step in [10, 20, 30] {
            run.append(&metrics(step)).unwrap();
        }
        run.rewind(20).unwrap();
        assert_eq!(run.history().unwrap(), [metrics(10), metrics(20)]);
    }
}
