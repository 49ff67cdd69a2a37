//! What came of a study's cells, in `results.jsonl`: one record a line.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Cell, Recipe};
use crate::{error::TrainError, run::files::write_atomically};

/// What one cell gave. Numbers have six digits; those that are not finite are `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// By name.
    pub figures: BTreeMap<String, Option<f64>>,
    /// Of the picture: where and what.
    pub curve: Vec<(u64, Option<f64>)>,
}

impl Outcome {
    /// Figures by their names, and a curve.
    pub fn new<'a>(figures: impl IntoIterator<Item = (&'a str, f64)>, curve: Vec<(u64, f64)>) -> Self {
        let figures = figures.into_iter().map(|(key, v)| (key.to_owned(), number(v))).collect();
        Self { figures, curve: curve.into_iter().map(|(at, v)| (at, number(v))).collect() }
    }
}

/// JSON has no NaN, and nobody reads seventeen digits.
fn number(v: f64) -> Option<f64> {
    if v.is_finite() { format!("{v:.5e}").parse().ok() } else { None }
}

/// One line of `results.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Heading of its row.
    pub row: String,
    /// Heading of its column.
    pub column: String,
    /// What was done.
    pub recipe: Recipe,
    /// All random numbers follow from it.
    pub seed: u64,
    /// By name; null where not finite.
    pub figures: BTreeMap<String, Option<f64>>,
    /// Of the picture.
    pub curve: Vec<(u64, Option<f64>)>,
    /// The pictures that it learned from, if from any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub data: Option<String>,
    /// How long it took.
    pub seconds: f64,
    /// Of this program.
    pub version: String,
    /// Processor, threads, system.
    pub machine: String,
    /// The day it was finished, UTC.
    pub date: String,
}

/// The file and its records.
#[derive(Debug)]
pub struct Results {
    path: PathBuf,
    records: Vec<Record>,
}

impl Results {
    /// The records of `folder`, none if there is no file yet.
    ///
    /// # Errors
    /// A line that is no record, by file and line.
    pub fn open(folder: &Path) -> Result<Self, TrainError> {
        let path = folder.join("results.jsonl");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
            Err(e) => return Err(TrainError::io(path)(e)),
        };
        let read = |(i, line): (usize, &str)| {
            let at = format!("{}, line {}", path.display(), i + 1);
            serde_json::from_str(line).map_err(|e| TrainError::data(at, format!("no record of a study: {e}")))
        };
        let records = text.lines().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Self { path, records })
    }

    /// Refuses records of a cell with other pictures than `data`: a table must be of one data set.
    ///
    /// # Errors
    /// Such a record.
    pub fn check(&self, cells: &[Cell], seed: u64, data: Option<&str>) -> Result<(), TrainError> {
        let other = |record: &&Record| record.data.as_deref() != data;
        match cells.iter().filter_map(|cell| self.of(cell, seed)).find(other) {
            None => Ok(()),
            Some(record) => {
                let [theirs, ours] = [record.data.as_deref(), data].map(|d| d.unwrap_or("none"));
                let reason = format!("holds results of other images ({theirs}; --data is {ours}); take another --out");
                Err(TrainError::data(self.path.display(), reason))
            }
        }
    }

    /// The record of a cell, if it is done.
    pub fn of(&self, cell: &Cell, seed: u64) -> Option<&Record> {
        self.records.iter().find(|r| r.recipe == cell.recipe && r.seed == seed)
    }

    /// Adds a record to the file. Those of other seeds and recipes stay.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn add(&mut self, record: Record) -> Result<(), TrainError> {
        self.records.push(record);
        let line = |r| serde_json::to_string(r).expect("numbers, texts, lists") + "\n";
        write_atomically(&self.path, self.records.iter().map(line).collect::<String>().as_bytes())
    }
}
