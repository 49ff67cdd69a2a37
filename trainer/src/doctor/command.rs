//! `escarp-train doctor LOG`: reads, diagnoses, prints.

use std::fmt::Write;
use std::io::IsTerminal;
use std::path::PathBuf;

use escarp_media::{visible, visible_lines};
use serde_json::json;

use super::diagnose::Doctor;
use super::episode::Episode;
use super::jacobians::Jacobians;
use super::log;
use super::record::Observation;
use super::report;
use super::strip::{Style, strip};
use super::thresholds::Thresholds;
use super::verdict::Verdict;
use crate::error::TrainError;
use crate::files::write_atomically;

/// A log with what follows from it.
pub struct Diagnosis {
    /// What was observed; at least one observation.
    pub observations: Vec<Observation>,
    /// What is wrong.
    pub verdicts: Vec<Verdict>,
    /// What was wrong before, and is no longer.
    pub earlier: Vec<Episode>,
    /// One sentence on the run as a whole.
    pub summary: String,
    /// `None` if there is too little to tell by.
    pub healthy: Option<bool>,
}

impl Diagnosis {
    /// Of observations in the order of their steps.
    pub fn of(observations: Vec<Observation>) -> Self {
        let doctor = Doctor::of(Thresholds::default(), &observations);
        let verdicts = doctor.verdicts();
        let healthy = (!verdicts.is_empty() || doctor.can_tell()).then_some(verdicts.is_empty());
        let earlier = Episode::all(&observations);
        Self { observations, earlier, summary: doctor.summary(), verdicts, healthy }
    }

    /// `healthy`, `cannot tell yet`, or nothing where the verdicts speak.
    pub fn headline(&self) -> &'static str {
        match self.healthy {
            Some(true) => "healthy",
            Some(false) => "ill",
            None => "cannot tell yet",
        }
    }

    /// For a terminal or a file.
    pub fn text(&self, style: Style) -> String {
        let mut out = format!("{}: {}\n", self.headline(), visible(&self.summary));
        for verdict in &self.verdicts {
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "{} ({}, since step {})\n  evidence: {}",
                verdict.illness.name(),
                verdict.severity.name(),
                verdict.since_step,
                visible(&verdict.evidence)
            );
            if !verdict.layers.is_empty() {
                let _ = writeln!(out, "  layers: {}", visible(verdict.layers.join(", ")));
            }
            for (i, prescription) in verdict.prescriptions.iter().enumerate() {
                let _ = writeln!(out, "  {}: {}", if i == 0 { "do" } else { "or" }, prescription.sentence());
            }
        }
        for episode in &self.earlier {
            let _ = writeln!(out, "earlier: {}", episode.text());
        }
        let last = self.observations.last().map(|o| strip(o, style)).unwrap_or_default();
        if !last.is_empty() {
            out += &format!("last step, {last}\n");
        }
        out
    }

    /// For machines.
    pub fn json(&self, jacobians: Option<&Jacobians>) -> String {
        let verdicts = self.verdicts.iter().map(|verdict| {
            let sentences: Vec<String> = verdict.prescriptions.iter().map(|p| p.sentence()).collect();
            let mut value = json!(verdict);
            value["sentences"] = json!(sentences);
            value
        });
        let verdicts: Vec<_> = verdicts.collect();
        let observations = self.observations.len();
        let mut value = json!({ "healthy": self.healthy, "summary": self.summary, "observations": observations, "verdicts": verdicts });
        let earlier =
            self.earlier.iter().map(|e| json!({ "illness": e.illness, "from_step": e.from, "to_step": e.to }));
        value["earlier"] = earlier.collect();
        if let Some(jacobians) = jacobians {
            value["jacobians"] = json!(jacobians);
        }
        format!("{value:#}\n")
    }
}

/// What is asked of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The file, or the run folder.
    pub log: PathBuf,
    /// Where to write the page.
    pub report: Option<PathBuf>,
    /// Also the Jacobians of the run's net.
    pub jacobians: bool,
    /// Print JSON.
    pub json: bool,
}

impl Order {
    /// Prints the diagnosis and writes the report if a file for it is named.
    ///
    /// # Errors
    /// A log or checkpoint that cannot be read, a report that cannot be written.
    pub fn run(&self) -> Result<(), TrainError> {
        let Self { log, report, jacobians, json } = self;
        if *jacobians && !log.is_dir() {
            let reason = "needs a run folder of escarp-train, whose net it looks at".into();
            return Err(TrainError::Usage { flag: "--jacobians", reason });
        }
        let (observations, cut) = log::read_whole(log)?;
        if let Some(line) = cut {
            eprintln!("escarp-train: {}: line {line} is cut off and was left out", visible(log.display()));
        }
        let diagnosis = Diagnosis::of(observations);
        let jacobians = jacobians.then(|| Jacobians::of_run(log)).transpose()?;
        if let Some(path) = report {
            write_atomically(path, report::html(&diagnosis, &log.display().to_string()).as_bytes())?;
        }
        match json {
            true => print!("{}", diagnosis.json(jacobians.as_ref())),
            false => {
                print!("{}", diagnosis.text(Style::of(std::io::stdout().is_terminal())));
                print!("{}", jacobians.map_or(String::new(), |j| visible_lines(j.text()).to_string()));
            }
        }
        Ok(())
    }
}
