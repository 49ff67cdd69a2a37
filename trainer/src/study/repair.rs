//! `repair`: broken trainings left alone, repaired as the doctor says, and repaired at random.

mod faults;

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::{
    Cell, Figure, Form, Outcome, Recipe, Record, Study,
    chart::{Horizontal, Line, Panel},
    training::Session,
};
use crate::{
    app::{prescribed, trial},
    config::Config,
    doctor::{
        diagnose::Doctor,
        log,
        thresholds::Thresholds,
        verdict::{Illness, Init, Prescription, Replacement, Severity},
    },
    engine::random::{Purpose, stream},
    error::TrainError,
    fit,
    run::{folder::RunFolder, progress::Progress},
};
use faults::{Fault, all};

/// The study.
pub const STUDY: Study = Study {
    name: "repair",
    shows: "Trainings that are broken in 20 ways, with several seeds, and 6 healthy kinds, all as users start them and on \
            the built-in data. Left alone: does the doctor call the run ill before its end (detected), and at once by the fault \
            or by what the fault brings about in this net (named; the names are in faults.rs)? Repaired: `--repair`. At \
            random: the doctor calls as well, but what is done is drawn from all prescriptions there are, in the same \
            number of attempts; arXiv 2301.11568 found that to be as good as published repair tools, so it is what counts. \
            Learned: the net that the run leaves reaches four fifths of a healthy training's accuracy; a run that ends in \
            an error has learned nothing. Among the healthy, detected is a false alarm.",
    rows: "training",
    figures: &[
        Figure { key: "learned", title: "Learned, share of trainings", form: Form::Percent },
        Figure { key: "accuracy", title: "Right on test samples, mean", form: Form::Percent },
        Figure { key: "detected", title: "Called ill, share of trainings", form: Form::Percent },
        Figure { key: "named", title: "Called ill by a right name, share of trainings", form: Form::Percent },
        Figure { key: "repairs", title: "Repairs, mean", form: Form::Scientific },
    ],
    cells,
    panels,
    summary,
};

/// What happens to an ill training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Treatment {
    /// Nothing.
    None,
    /// What the doctor says.
    Prescribed,
    /// Anything.
    Random,
}

const TREATMENTS: [(&str, Treatment); 3] =
    [("left alone", Treatment::None), ("repaired", Treatment::Prescribed), ("at random", Treatment::Random)];

/// Trainings of one fault under one treatment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repair {
    /// What is broken, by its name.
    pub fault: String,
    /// Checksum of its settings: results of others are not taken for these.
    pub settings: u32,
    /// What is done.
    pub treatment: Treatment,
    /// How many are trained.
    pub draws: u32,
}

/// The quick form: one that a setting cures, one that a net cures, one that is well.
const QUICK: [&str; 3] = ["4 ReLU layers, SGD at 5", "8 sigmoid layers", "healthy: 4 ReLU layers"];

fn cells(full: bool) -> Vec<Cell> {
    let chosen = all().into_iter().filter(|fault| full || QUICK.contains(&fault.name));
    let of = |fault: Fault| {
        let settings = checksum(&fault.config);
        TREATMENTS.map(|(column, treatment)| {
            let draws = if full { 5 } else { 1 };
            let recipe = Repair { fault: fault.name.into(), settings, treatment, draws };
            Cell { row: fault.name.into(), column: column.into(), recipe: Recipe::Repair(recipe) }
        })
    };
    chosen.flat_map(of).collect()
}

/// Of what the faults differ in: not of all settings, or every new flag would make old results another study's.
fn checksum(config: &Config) -> u32 {
    let Config { task, settings, .. } = config;
    let parts = (task.net(), &settings.rule, settings.rate, &settings.clip, settings.epochs, settings.batch);
    crc32fast::hash(&serde_json::to_vec(&parts).unwrap_or_default())
}

/// What came of one training.
struct Trial {
    accuracy: f64,
    /// The first illness that it was called ill of.
    illness: Option<Illness>,
    repairs: usize,
}

impl Repair {
    /// Trainings, as far as progress counts them.
    pub(super) fn steps(&self) -> u64 {
        self.draws.into()
    }

    pub(super) fn run(&self, seed: u64, session: &mut Session) -> Result<Option<Outcome>, TrainError> {
        let Some(fault) = all().into_iter().find(|fault| fault.name == self.fault) else {
            let reason = format!("there is no training `{}` to repair", self.fault);
            return Err(TrainError::Usage { flag: "study", reason });
        };
        let mut trials = Vec::new();
        for draw in 0..self.draws {
            let Some(trial) = self.trial(&fault, seed, draw, session)? else { return Ok(None) };
            trials.push(trial);
            session.progress.step(u64::from(draw) + 1, format_args!(""));
        }
        let share = |of: &dyn Fn(&Trial) -> f64| trials.iter().map(of).sum::<f64>() / trials.len() as f64;
        let named = |t: &Trial| t.illness.is_some_and(|illness| fault.names.contains(&illness));
        let figures = [
            ("learned", share(&|t| f64::from(t.accuracy >= fault.goal))),
            ("accuracy", share(&|t| t.accuracy)),
            ("detected", share(&|t| f64::from(t.illness.is_some()))),
            ("named", share(&|t| f64::from(named(t)))),
            ("repairs", share(&|t| t.repairs as f64)),
        ];
        let curve = trials.iter().enumerate().map(|(i, t)| (i as u64 + 1, t.accuracy)).collect();
        Ok(Some(Outcome::new(figures, curve)))
    }

    /// One training from its beginning to its end, in a folder that is thrown away.
    fn trial(&self, fault: &Fault, seed: u64, draw: u32, session: &Session) -> Result<Option<Trial>, TrainError> {
        let folder = tempfile::tempdir().map_err(TrainError::io(std::env::temp_dir()))?;
        let run = folder.path().join("run");
        let mut config = fault.config.clone();
        config.settings.seed = stream_seed(seed, draw);
        config.settings.repair = self.treatment != Treatment::None;
        let at_random = |_: &_, repairs: usize| {
            let mut all = PRESCRIPTIONS.to_vec();
            all.shuffle(&mut stream(config.settings.seed, Purpose::Study, 0, repairs as u32));
            all
        };
        let stop = |_| (session.stop)();
        let mut quiet = Progress::quiet();
        let ended = match self.treatment {
            Treatment::Random => trial(&config, &run, &at_random, &mut quiet, &stop),
            Treatment::None | Treatment::Prescribed => trial(&config, &run, &prescribed, &mut quiet, &stop),
        };
        let accuracy = match ended {
            Ok(fit::Outcome::Interrupted { .. }) => return Ok(None),
            Ok(fit::Outcome::Finished { test, .. }) => test.map_or(0.0, |t| t.accuracy()),
            Ok(fit::Outcome::Ill(_)) | Err(TrainError::Diverged { .. } | TrainError::Incurable { .. }) => 0.0,
            Err(error) => return Err(error),
        };
        let (_, after) = RunFolder::open::<Config>(&run)?;
        let illness = match self.treatment {
            Treatment::None => {
                // As it was told while the run went on: a rate that falls to nothing lets the worst run end in peace.
                let mut doctor = Doctor::new(Thresholds::default());
                log::read(&run)?.iter().find_map(|observation| {
                    doctor.observe(observation);
                    doctor.verdicts().iter().find(|v| v.severity > Severity::Warning).map(|v| v.illness)
                })
            }
            Treatment::Prescribed | Treatment::Random => after.repairs.first().map(|repair| repair.illness),
        };
        Ok(Some(Trial { accuracy, illness, repairs: after.repairs.len() }))
    }
}

/// Neighbouring seeds give other initial weights, order and split alike.
fn stream_seed(seed: u64, draw: u32) -> u64 {
    seed * 1000 + u64::from(draw)
}

/// All that could be prescribed and that a program can do, with its usual numbers.
const PRESCRIPTIONS: [Prescription; 13] = [
    Prescription::LowerRate { factor: 0.1 },
    Prescription::RaiseRate { factor: 10.0 },
    Prescription::WarmUp,
    Prescription::ClipGlobalNorm { limit: 1.0 },
    Prescription::Reinitialize { init: Init::He },
    Prescription::Reinitialize { init: Init::Glorot },
    Prescription::Reinitialize { init: Init::Orthogonal },
    Prescription::ReplaceActivation { to: Replacement::Relu },
    Prescription::ReplaceActivation { to: Replacement::LeakyRelu },
    Prescription::AddNorm,
    Prescription::GatedCell,
    Prescription::AdaptiveOptimizer,
    Prescription::LargerBatch { factor: 2 },
];

fn healthy(row: &str) -> bool {
    row.starts_with("healthy")
}

/// Shares of all trainings.
fn summary(records: &[&Record]) -> Vec<String> {
    // All cells have as many trainings.
    let mean = |column: &str, well: bool, key: &str| {
        let of = records.iter().filter(|r| r.column == column && healthy(&r.row) == well);
        let values: Vec<f64> = of.filter_map(|r| r.figures.get(key).copied().flatten()).collect();
        let trainings: u64 = records
            .iter()
            .filter(|r| r.column == column && healthy(&r.row) == well)
            .map(|r| r.curve.len() as u64)
            .sum();
        (100.0 * values.iter().sum::<f64>() / values.len().max(1) as f64, trainings)
    };
    let mut lines = Vec::new();
    let (detected, trainings) = mean("left alone", false, "detected");
    let (named, _) = mean("left alone", false, "named");
    lines.push(format!("{trainings} broken trainings: {detected:.1} % are called ill, {named:.1} % by a right name"));
    for (column, _) in TREATMENTS {
        let (learned, trainings) = mean(column, false, "learned");
        lines.push(format!("broken and {column}: {learned:.1} % of {trainings} trainings learn"));
    }
    for column in ["left alone", "repaired"] {
        let ((alarms, trainings), (learned, _)) = (mean(column, true, "detected"), mean(column, true, "learned"));
        lines.push(format!(
            "healthy and {column}: {alarms:.1} % of {trainings} trainings are called ill, {learned:.1} % learn"
        ));
    }
    lines
}

/// The accuracies of all broken trainings in rising order.
fn panels(records: &[&Record]) -> Vec<Panel> {
    let line = |(column, _): (&str, Treatment)| {
        let of = records.iter().filter(|r| r.column == column && !healthy(&r.row));
        let mut all: Vec<f64> = of.flat_map(|r| r.curve.iter().filter_map(|(_, accuracy)| *accuracy)).collect();
        all.sort_by(f64::total_cmp);
        Line { name: column.into(), points: all.into_iter().enumerate().map(|(i, a)| (i as f64 + 1.0, a)).collect() }
    };
    vec![Panel {
        title: "broken trainings, the worst first".into(),
        horizontal: Horizontal::Linear("trainings"),
        vertical: "right on test samples",
        lines: TREATMENTS.map(line).into(),
        level: Some(("guessing", 0.125)),
    }]
}
