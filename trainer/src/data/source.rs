//! Which files are for training and which for testing.

use std::path::PathBuf;

use escarp_media::{Csv, Folder, Kind};
use serde::{Deserialize, Serialize};

use crate::{engine::pattern::Pattern, error::TrainError};

/// Where the samples come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Folder or tar.
    pub data: PathBuf,
    /// A second folder or tar to test on.
    pub test: Option<PathBuf>,
    /// Patterns of files to leave out altogether.
    pub exclude: Vec<String>,
    /// Patterns of files in `data` to test on instead of training on them.
    pub test_match: Vec<String>,
    /// Column of CSV files that has a class for every row; absent: [`Csv::LABEL`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_column: Option<String>,
    /// Columns of CSV files that are channels; empty: by the rule of [`columns`](super::columns).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

/// Listings of the training and the test samples, classes numbered alike.
pub struct Listings {
    /// To train (and validate) on.
    pub train: Folder,
    /// To test on when training is over.
    pub test: Option<Folder>,
}

impl Source {
    /// The column of CSV files that may have a class for every row.
    pub fn label_column(&self) -> &str {
        self.label_column.as_deref().unwrap_or(Csv::LABEL)
    }

    /// Lists files of which each has a class; reads none.
    pub fn open(&self, kind: Kind) -> Result<Listings, TrainError> {
        self.labelled(self.list(kind)?)
    }

    /// Numbers the classes of a listing of its own; refuses files without.
    pub fn labelled(&self, Listings { train, test }: Listings) -> Result<Listings, TrainError> {
        if train.classes().is_empty() {
            let reason = "its files have no labels: put each class in a folder of its own, or name sound and CSV \
                          files LABEL_anything";
            return Err(TrainError::data(self.data.display(), reason));
        }
        let test = test.map(|test| test.with_classes(train.classes())).transpose()?;
        Ok(Listings { train, test })
    }

    /// Lists files, whatever folders and names say of classes.
    pub fn list(&self, kind: Kind) -> Result<Listings, TrainError> {
        let exclude = patterns("--exclude", &self.exclude)?;
        let held_out = patterns("--test-match", &self.test_match)?;
        let mut train = Folder::open(&self.data, kind)?;
        for (flag, pattern) in
            exclude.iter().map(|p| ("--exclude", p)).chain(held_out.iter().map(|p| ("--test-match", p)))
        {
            if !train.entries().iter().any(|e| pattern.matches(&e.name)) {
                let reason = format!("no file in {} matches `{pattern}`", self.data.display());
                return Err(TrainError::Usage { flag, reason });
            }
        }
        let matches = |patterns: &[Pattern], name: &str| patterns.iter().any(|p| p.matches(name));
        let test = match &self.test {
            Some(path) => {
                let mut test = Folder::open(path, kind)?;
                test.retain(|e| !matches(&exclude, &e.name));
                Some(test)
            }
            None if held_out.is_empty() => None,
            None => {
                let mut test = Folder::open(&self.data, kind)?;
                test.retain(|e| matches(&held_out, &e.name) && !matches(&exclude, &e.name));
                Some(test)
            }
        };
        train.retain(|e| !matches(&exclude, &e.name) && !matches(&held_out, &e.name));
        if test.as_ref().is_some_and(|t| t.entries().is_empty()) {
            return Err(TrainError::data(self.data.display(), "no test samples are left after --exclude"));
        }
        Ok(Listings { train, test })
    }
}

fn patterns(flag: &'static str, texts: &[String]) -> Result<Vec<Pattern>, TrainError> {
    texts.iter().map(|t| Pattern::new(t).map_err(|reason| TrainError::Usage { flag, reason })).collect()
}

/// The class of each sample of a listing that has labels.
pub fn classes(folder: &Folder) -> Vec<u16> {
    // Listings without labels are refused by `Source::open`, more than 65,535 classes by `check_classes`.
    folder.entries().iter().map(|e| e.label.unwrap_or(0) as u16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        folder
    }

    fn names(folder: &Folder) -> Vec<&str> {
        folder.entries().iter().map(|e| e.name.as_str()).collect()
    }

    #[test]
    fn speakers_can_be_held_out_or_left_out() {
        let folder = files(&["1_ann_0.wav", "1_bob_0.wav", "1_eve_0.wav", "2_ann_0.wav", "2_bob_0.wav", "2_eve_0.wav"]);
        let source = Source {
            data: folder.path().into(),
            test_match: vec!["*_bob_*".into()],
            exclude: vec!["*_eve_*".into()],
            ..Source::default()
        };
        let listings = source.open(Kind::Sound).unwrap();
        assert_eq!(names(&listings.train), ["1_ann_0.wav", "2_ann_0.wav"]);
        assert_eq!(names(&listings.test.unwrap()), ["1_bob_0.wav", "2_bob_0.wav"]);
        let nobody = Source { test_match: vec!["*_zoe_*".into()], ..source };
        assert!(matches!(nobody.open(Kind::Sound), Err(TrainError::Usage { flag: "--test-match", .. })));
    }

    #[test]
    fn test_labels_must_be_known_and_take_the_training_numbers() {
        let train = files(&["ant/1.png", "bee/1.png", "cat/1.png"]);
        let test = files(&["cat/1.png", "bee/1.png"]);
        let open = |test: &tempfile::TempDir| {
            let source = Source { data: train.path().into(), test: Some(test.path().into()), ..Source::default() };
            source.open(Kind::Image)
        };
        assert_eq!(classes(&open(&test).unwrap().test.unwrap()), [1, 2]);
        let stranger = files(&["cat/1.png", "dog/1.png"]);
        assert!(open(&stranger).err().unwrap().to_string().contains("dog"));
    }

    #[test]
    fn an_empty_class_folder_is_named() {
        let folder = files(&["ant/1.png", "bee/notes.txt"]);
        let source = Source { data: folder.path().into(), ..Source::default() };
        assert!(source.open(Kind::Image).err().unwrap().to_string().contains("'bee'"));
    }
}
