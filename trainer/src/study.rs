//! Studies: experiments on vanishing and exploding gradients that anybody can repeat, `escarp-train study NAME`.
//!
//! A study is a table of cells; each cell is one training with a [`Recipe`] and gives a [`Record`]. Records are kept in
//! `results.jsonl` as they come, so that an interrupted study goes on where it was.

mod adding;
mod chart;
mod clip;
pub mod command;
mod depth;
mod memory;
mod origin;
mod page;
mod pictures;
mod repair;
mod residual;
pub mod results;
mod table;
pub(crate) mod training;

use serde::{Deserialize, Serialize};

use crate::error::TrainError;
pub use chart::{Horizontal, Line, Panel};
use pictures::Count;
pub use results::{Outcome, Record};
use training::Session;

/// What a study is and how it is shown.
#[derive(Clone, Copy, Debug)]
pub struct Study {
    /// What the user types.
    pub name: &'static str,
    /// What is done and what must come of it, with sources.
    pub shows: &'static str,
    /// What the rows of the tables are.
    pub rows: &'static str,
    /// One table for each.
    pub figures: &'static [Figure],
    /// The cells of the full form, or of the quick one.
    pub cells: fn(full: bool) -> Vec<Cell>,
    /// The picture.
    pub panels: fn(&[&Record]) -> Vec<Panel>,
    /// What the tables come to, in sentences, where they do not say it.
    pub summary: fn(&[&Record]) -> Vec<String>,
}

/// All studies.
pub const STUDIES: &[Study] = &[memory::STUDY, clip::STUDY, depth::STUDY, residual::STUDY, repair::STUDY];

impl Study {
    /// The study called `name`.
    pub fn find(name: &str) -> Option<&'static Self> {
        STUDIES.iter().find(|study| study.name == name)
    }

    /// The pictures that it learns from, if from any.
    pub(crate) fn images(&self, full: bool) -> Option<Count> {
        (self.cells)(full).first().and_then(|cell| cell.recipe.images())
    }
}

/// A figure of every cell.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its name in `results.jsonl`.
    pub key: &'static str,
    /// Above its table, with the unit.
    pub title: &'static str,
    /// How it is written.
    pub form: Form,
}

/// How a figure is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Three digits, or powers of ten where those say nothing.
    Scientific,
    /// A whole number.
    Count,
    /// A share, as per cent.
    Percent,
}

/// One training and its place in the tables.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Heading of its row.
    pub row: String,
    /// Heading of its column.
    pub column: String,
    /// What is trained, and how.
    pub recipe: Recipe,
}

/// All that a cell's result depends on besides the seed: results of another recipe are not taken for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "study", rename_all = "kebab-case")]
pub enum Recipe {
    /// Of the study `memory`.
    Memory(memory::Memory),
    /// Of the study `clip`.
    Clip(clip::Clipping),
    /// Of the study `depth`.
    Depth(depth::Depth),
    /// Of the study `residual`.
    Residual(residual::Residual),
    /// Of the study `repair`.
    Repair(repair::Repair),
}

impl Recipe {
    /// Does it; `None` if asked to stop.
    ///
    /// # Errors
    /// A recipe whose net cannot be built or fed.
    pub fn run(&self, seed: u64, session: &mut Session) -> Result<Option<Outcome>, TrainError> {
        match self {
            Self::Memory(recipe) => recipe.run(seed, session),
            Self::Clip(recipe) => recipe.run(seed, session),
            Self::Depth(recipe) => recipe.run(seed, session),
            Self::Repair(recipe) => recipe.run(seed, session),
            Self::Residual(recipe) => recipe.run(seed, session),
        }
    }

    /// The pictures that it asks for, [`Session::pictures`].
    fn images(&self) -> Option<Count> {
        match self {
            Self::Residual(recipe) => Some(recipe.images),
            Self::Memory(_) | Self::Clip(_) | Self::Depth(_) | Self::Repair(_) => None,
        }
    }

    /// Steps it takes at most.
    fn steps(&self) -> u64 {
        match self {
            Self::Memory(recipe) => recipe.training.steps,
            Self::Clip(recipe) => recipe.training.steps,
            Self::Depth(recipe) => recipe.training.steps,
            Self::Residual(recipe) => recipe.steps(),
            Self::Repair(recipe) => recipe.steps(),
        }
    }
}
