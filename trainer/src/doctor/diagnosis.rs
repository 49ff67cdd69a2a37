//! A whole log with what follows from it.

use std::{fmt::Write, path::Path, sync::Arc};

use escarp_media::visible;
use serde_json::json;

use super::{
    diagnose::Doctor,
    episode::{Episode, Episodes},
    jacobians::Jacobians,
    kept::Kept,
    known::Known,
    log,
    record::Observation,
    strip::{Style, strip},
    thresholds::Thresholds,
    verdict::Verdict,
};
use crate::error::TrainError;

/// Layers named in a text; a page and JSON have them all.
const NAMED: usize = 30;

/// What a log says.
pub struct Diagnosis {
    /// What was observed, or of a long log some of it, evenly; at least one observation.
    pub observations: Vec<Observation>,
    /// How many there were.
    pub count: usize,
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
    /// Of a log, which is read once and of which memory holds a part, and of what else is known of the run; with the number
    /// of the log's last line if that is cut off.
    ///
    /// # Errors
    /// As [`log::each`].
    pub fn read(log: &Path, known: Option<Arc<dyn Known>>) -> Result<(Self, Option<usize>), TrainError> {
        let mut doctor = Doctor::new(Thresholds::default()).knowing(known);
        let (mut episodes, mut kept) = (Episodes::default(), Kept::default());
        let cut = log::each(log, |observation| {
            doctor.observe(&observation);
            episodes.follow(&doctor, observation.step);
            kept.push(observation);
        })?;
        let verdicts = doctor.verdicts();
        let healthy = (!verdicts.is_empty() || doctor.can_tell()).then_some(verdicts.is_empty());
        let (count, observations) = kept.end();
        let (earlier, summary) = (episodes.over(&doctor), doctor.summary());
        Ok((Self { observations, count, earlier, summary, verdicts, healthy }, cut))
    }

    /// `healthy`, `ill`, `cannot tell yet`, or of a run that is over `cannot tell`.
    pub fn headline(&self) -> &'static str {
        let last = self.observations.last();
        let over = last.is_some_and(|o| o.planned_steps.is_some_and(|planned| o.step.saturating_add(1) >= planned));
        match self.healthy {
            Some(true) => "healthy",
            Some(false) => "ill",
            None if over => "cannot tell",
            None => "cannot tell yet",
        }
    }

    /// The end of a run in a line.
    pub fn last_word(&self) -> String {
        let of: Vec<&str> = self.verdicts.iter().map(|verdict| verdict.illness.name()).collect();
        match self.healthy {
            Some(true) => format!("healthy, by {} observations", self.count),
            Some(false) => format!("ill at the end: {}", of.join(", ")),
            None => format!("cannot tell whether this run is well: {}", self.summary),
        }
    }

    /// That not all observations are shown, if so.
    pub fn shortened(&self) -> Option<String> {
        let shown = self.observations.len();
        (shown < self.count).then(|| format!("{shown} of {} observations are shown; all were judged", self.count))
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
                let (named, more) = verdict.layers.split_at(verdict.layers.len().min(NAMED));
                let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
                let _ = writeln!(out, "  layers: {}{more}", visible(named.join(", ")));
            }
            for (i, sentence) in verdict.advice().iter().enumerate() {
                let _ = writeln!(out, "  {}: {sentence}", if i == 0 { "do" } else { "or" });
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
        let mut value = json!({ "healthy": self.healthy, "summary": self.summary, "observations": self.count, "verdicts": verdicts });
        let earlier =
            self.earlier.iter().map(|e| json!({ "illness": e.illness, "from_step": e.from, "to_step": e.to }));
        value["earlier"] = earlier.collect();
        if let Some(jacobians) = jacobians {
            value["jacobians"] = json!(jacobians);
        }
        format!("{value:#}\n")
    }
}
