//! The doctor beside a run: writes down what it sees, says what it thinks, keeps the report.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use escarp_media::visible;

use super::{
    diagnose::Doctor,
    diagnosis::Diagnosis,
    known::Known,
    log::{self, HealthLog},
    record::Observation,
    report,
    strip::{Style, strip},
    thresholds::Thresholds,
    verdict::{Illness, Verdict},
};
use crate::{
    error::TrainError,
    run::{
        events::Events,
        files::write_atomically,
        folder::{HEALTH, REPORT},
        progress::Progress,
    },
};

/// Watches a run and its folder.
pub struct Live {
    folder: PathBuf,
    known: Arc<dyn Known>,
    log: HealthLog,
    doctor: Doctor,
    /// What is wrong now.
    verdicts: Vec<Verdict>,
    /// What has been said: a verdict is news once, also one that goes and comes again.
    said: Vec<Illness>,
}

impl Live {
    /// Watches the run in `folder` from `step` on; what was observed before is read again.
    ///
    /// # Errors
    /// A log that cannot be read or written.
    pub fn start(folder: &Path, known: Arc<dyn Known>, step: u64) -> Result<Self, TrainError> {
        HealthLog::rewind(folder, step)?;
        let mut doctor = Doctor::new(Thresholds::default()).knowing(Some(known.clone()));
        if anything(folder) {
            log::each(folder, |observation| doctor.observe(&observation))?;
        }
        let verdicts = doctor.verdicts();
        let said = verdicts.iter().map(|verdict| verdict.illness).collect();
        Ok(Self { folder: folder.into(), known, log: HealthLog::open(folder)?, doctor, verdicts, said })
    }

    /// Writes an observation down, shows it, and says what is new about the run's health.
    ///
    /// # Errors
    /// A log that cannot be written.
    pub fn take(
        &mut self,
        observation: &Observation,
        events: &mut Events,
        progress: &mut Progress,
    ) -> Result<(), TrainError> {
        let observation = self.log.append(observation)?;
        let scalars = observation.scalars();
        let scalars: Vec<(&str, f64)> = scalars.iter().map(|(tag, value)| (tag.as_str(), *value)).collect();
        events.scalars(observation.step, &scalars)?;
        self.doctor.observe(&observation);
        progress.health(strip(&observation, Style::of(progress.is_terminal())));
        let verdicts = self.doctor.verdicts();
        for verdict in &verdicts {
            if !self.said.contains(&verdict.illness) {
                progress.line(sentence(verdict));
                self.said.push(verdict.illness);
            }
        }
        self.verdicts = verdicts;
        Ok(())
    }

    /// What is wrong now.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// Writes the report, and returns what it says of the run as a whole in a line; `None` if there is nothing to report.
    ///
    /// # Errors
    /// A report that cannot be written.
    pub fn report(&self) -> Result<Option<String>, TrainError> {
        if !anything(&self.folder) {
            return Ok(None);
        }
        let (diagnosis, _) = Diagnosis::read(&self.folder, Some(self.known.clone()))?;
        let path = self.folder.join(REPORT);
        write_atomically(&path, report::html(&diagnosis, &self.folder.display().to_string()).as_bytes())?;
        Ok(Some(format!("doctor: {}", diagnosis.last_word())))
    }
}

/// Whether the log of the run in `folder` holds an observation.
fn anything(folder: &Path) -> bool {
    std::fs::metadata(folder.join(HEALTH)).is_ok_and(|file| file.len() > 0)
}

/// A verdict in a line or two.
pub(crate) fn sentence(verdict: &Verdict) -> String {
    let cure = &verdict.advice()[0];
    format!(
        "doctor: {} since step {}: {}. {cure}",
        verdict.illness.name(),
        verdict.since_step,
        visible(verdict.evidence.trim_end_matches('.'))
    )
}
