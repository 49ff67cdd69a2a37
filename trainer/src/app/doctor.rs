//! `escarp-train doctor LOG`: reads, diagnoses, prints.

use std::{io::IsTerminal, path::PathBuf, sync::Arc};

use escarp_media::{visible, visible_lines};

use crate::{
    config::known::KnownRun,
    doctor::{diagnosis::Diagnosis, jacobians::Jacobians, known::Known, report, strip::Style},
    error::TrainError,
    run::files::write_atomically,
};

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
        let known = KnownRun::beside(log).unwrap_or_else(|reason| {
            eprintln!("escarp-train: note: {}; a prescription may be what the run does already", visible(&reason));
            None
        });
        let (diagnosis, cut) = Diagnosis::read(log, known.map(|known| Arc::new(known) as Arc<dyn Known>))?;
        if let Some(line) = cut {
            eprintln!("escarp-train: {}: line {line} is cut off and was left out", visible(log.display()));
        }
        if let (Some(line), Some(_)) = (diagnosis.shortened(), report) {
            eprintln!("escarp-train: note: in the report {line}");
        }
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
