//! `escarp-train study NAME`: does what is not yet done, writes everything down, prints the tables.

use std::{path::Path, time::Instant};

use escarp_media::visible;

use super::{
    Cell, Study, origin,
    page::Page,
    pictures::Pictures,
    results::{Outcome, Record, Results},
    table::{Table, tables},
    training::Session,
};
use crate::{
    error::TrainError,
    nets::NetError,
    run::{files::write_atomically, progress::Progress},
};

/// What the user asked for.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Which study.
    pub study: &'a Study,
    /// All of it, or what takes seconds.
    pub full: bool,
    /// Where results are and go.
    pub folder: &'a Path,
    /// Of all random numbers.
    pub seed: u64,
    /// Folder or tar of images, for a study that learns from images; the quick form has built-in ones without it.
    pub data: Option<&'a Path>,
}

impl Order<'_> {
    /// Runs the cells that `folder` has no result of, in their order, and prints; false if `stop` ended it before. What
    /// is done is kept.
    ///
    /// # Errors
    /// Files that cannot be read or written, images that are missing or not wanted.
    pub fn run(&self, stop: &dyn Fn() -> bool) -> Result<bool, TrainError> {
        let &Self { study, full, folder, seed, .. } = self;
        let pictures = self.pictures()?;
        let data = pictures.as_ref().map(Pictures::name);
        std::fs::create_dir_all(folder).map_err(TrainError::io(folder))?;
        let mut results = Results::open(folder)?;
        let cells = (study.cells)(full);
        results.check(&cells, seed, data.as_deref())?;
        let mut progress = Progress::new();
        let mut finished = true;
        for (i, cell) in cells.iter().enumerate() {
            if results.of(cell, seed).is_some() {
                continue;
            }
            let title = format!("{}/{} {}, {}", i + 1, cells.len(), cell.row, cell.column);
            progress.start(title.clone(), cell.recipe.steps());
            let began = Instant::now();
            let mut session = Session { stop, progress: &mut progress, pictures: pictures.as_ref() };
            let outcome = match cell.recipe.run(seed, &mut session) {
                Err(TrainError::Net(NetError::Interrupted)) => None,
                ended => ended?,
            };
            let Some(outcome) = outcome else {
                finished = false;
                break;
            };
            let record = self.record(cell, outcome, data.clone(), began);
            progress.line(format!("{title}: {}", figures(study, &record)));
            results.add(record)?;
            self.write(&cells, &results)?;
        }
        progress.clear();
        for table in self.write(&cells, &results)? {
            println!("{}", table.text());
        }
        for line in (study.summary)(&self.done(&cells, &results)) {
            println!("{line}");
        }
        let (done, all) = (self.done(&cells, &results).len(), cells.len());
        match finished {
            true => println!("{}", visible(folder.join("study.html").display())),
            false => println!("interrupted; {done} of {all} cells are kept; the same command goes on"),
        }
        Ok(finished)
    }

    /// The images that the study learns from, if from any.
    fn pictures(&self) -> Result<Option<Pictures>, TrainError> {
        let usage =
            |reason: &str| TrainError::Usage { flag: "--data", reason: format!("study {} {reason}", self.study.name) };
        match (self.study.images(self.full), self.data) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(usage("makes its own data; leave it out")),
            (Some(_), None) if self.full => Err(usage("learns from images: name a folder or tar of CIFAR-10")),
            (Some(count), data) => Pictures::new(data, count).map(Some),
        }
    }

    fn done<'r>(&self, cells: &[Cell], results: &'r Results) -> Vec<&'r Record> {
        cells.iter().filter_map(|cell| results.of(cell, self.seed)).collect()
    }

    /// Writes `results.md` and `study.html`; returns the tables.
    fn write(&self, cells: &[Cell], results: &Results) -> Result<Vec<Table>, TrainError> {
        let &Self { study, full, folder, seed, .. } = self;
        let tables = tables(study, cells, |cell| results.of(cell, seed));
        let records = self.done(cells, results);
        let page = Page { study, full, cells: cells.len(), records: &records, tables: &tables, seed };
        write_atomically(&folder.join("results.md"), page.markdown().as_bytes())?;
        write_atomically(&folder.join("study.html"), page.html().as_bytes())?;
        Ok(tables)
    }

    fn record(&self, cell: &Cell, Outcome { figures, curve }: Outcome, data: Option<String>, began: Instant) -> Record {
        let Cell { row, column, recipe } = cell.clone();
        Record {
            row,
            column,
            recipe,
            seed: self.seed,
            figures,
            curve,
            data,
            seconds: (began.elapsed().as_secs_f64() * 10.0).round() / 10.0,
            version: env!("CARGO_PKG_VERSION").into(),
            machine: origin::machine(),
            date: origin::date(),
        }
    }
}

/// In one line.
fn figures(study: &Study, record: &Record) -> String {
    let text = |figure: &super::Figure| format!("{} {}", figure.key, figure.written(record));
    study.figures.iter().map(text).collect::<Vec<_>>().join(", ")
}
