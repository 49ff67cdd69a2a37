//! Pieces of sensor recordings with a class for every frame.
//!
//! Recordings are cut into pieces one after the other, so that every frame counts once. The last piece of a recording, or a
//! recording shorter than a piece, has fewer frames than the net's input: its length says how many count, and what lies
//! behind them is no part of statistics, loss or accuracy.

use std::collections::BTreeSet;

use escarp_media::{Csv, Folder, RowLabel, RowLabels};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{
    NO_CLASS, Samples,
    motion::{self, NOISE, Recorded, STRENGTHS},
    standard::Standard,
};
use crate::{
    data::generate::{gestures::AXES, recordings},
    error::TrainError,
};

/// Pieces of one length at most.
pub struct Tagged {
    /// Frames, channels.
    shape: [usize; 2],
    /// `[n, frames, channels]`, as recorded; zeros behind a piece's end.
    values: Vec<f32>,
    /// `[n, frames]`
    classes: Vec<u16>,
    /// Frames of each piece that count.
    lengths: Vec<usize>,
    /// Which recording each piece is of.
    recordings: Vec<u32>,
    standard: Standard,
    augment: bool,
}

impl Tagged {
    /// Cuts the recordings of a listing, whose column `column` names the class of every row, into pieces of `frames`
    /// samples. The classes are `labels` or, if none are given, those that the recordings name, in alphabetical order.
    /// Returns the classes too.
    ///
    /// # Errors
    /// A file without such a column, or with another class, with the line.
    pub fn cut(
        folder: &Folder,
        column: &str,
        recordings: &[Csv],
        frames: usize,
        labels: Option<&[String]>,
    ) -> Result<(Self, Vec<String>), TrainError> {
        let missing = |index| {
            let reason = format!(
                "no column `{column}` in a header line; a net that answers every frame learns from the class of every row \
                 (--label-column names the column)"
            );
            TrainError::data(folder.locate(index), reason)
        };
        let rows = recordings.iter().enumerate();
        let rows: Vec<&RowLabels> =
            rows.map(|(index, csv)| csv.labels.as_ref().ok_or_else(|| missing(index))).collect::<Result<_, _>>()?;
        let found = || rows.iter().flat_map(|rows| &rows.names).map(|label| label.name.clone());
        let labels = labels.map_or_else(|| Vec::from_iter(BTreeSet::from_iter(found())), <[String]>::to_vec);
        let mut tagged = Self::new([frames, recordings.first().map_or(0, |csv| csv.channels)]);
        for (index, (csv, rows)) in recordings.iter().zip(&rows).enumerate() {
            let classes = numbers(rows, &labels).map_err(|reason| TrainError::data(folder.locate(index), reason))?;
            tagged.push(&csv.values, &classes);
        }
        Ok((tagged, labels))
    }

    /// The generated recordings: part 0 to train on, part 1 to test on.
    pub fn builtin(seed: u64, part: u32, count: u32, frames: usize) -> Self {
        let all: Vec<_> = (0..count).into_par_iter().map(|i| recordings::recording(seed, part, i)).collect();
        let mut tagged = Self::new([frames, AXES]);
        all.iter().for_each(|(values, classes)| tagged.push(values, classes));
        tagged
    }

    fn new(shape: [usize; 2]) -> Self {
        let standard = Standard { mean: vec![0.0; shape[1]], std: vec![1.0; shape[1]] };
        let (values, classes, lengths, recordings) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { shape, values, classes, lengths, recordings, standard, augment: false }
    }

    /// Adds a recording `[frames, channels]` and the class of each of its frames.
    fn push(&mut self, values: &[f32], classes: &[u16]) {
        let [frames, channels] = self.shape;
        let recording = self.recordings.last().map_or(0, |last| last + 1);
        for (values, classes) in values.chunks(frames * channels).zip(classes.chunks(frames)) {
            self.values.extend_from_slice(values);
            self.classes.extend_from_slice(classes);
            self.lengths.push(classes.len());
            self.recordings.push(recording);
            self.values.resize(self.lengths.len() * frames * channels, 0.0);
            self.classes.resize(self.lengths.len() * frames, NO_CLASS);
        }
    }

    /// What was recorded in a piece.
    fn counted(&self, index: usize) -> &[f32] {
        let [frames, channels] = self.shape;
        &self.values[index * frames * channels..][..self.lengths[index] * channels]
    }
}

impl Recorded for Tagged {
    /// Statistics of each channel over the frames of the chosen pieces that count.
    fn statistics(&self, indices: &[u32]) -> Standard {
        let frames = indices.iter().flat_map(|&i| self.counted(i as usize));
        Standard::of(self.shape[1], frames.copied())
    }

    fn prepare(&mut self, standard: &Standard, augment: bool) {
        (self.standard, self.augment) = (standard.clone(), augment);
    }

    /// A checksum of values, classes and lengths: a continued run must see the same data.
    fn fingerprint(&self) -> u32 {
        let mut hash = crc32fast::Hasher::new();
        self.values.iter().for_each(|v| hash.update(&v.to_le_bytes()));
        self.classes.iter().for_each(|c| hash.update(&c.to_le_bytes()));
        self.recordings.iter().for_each(|r| hash.update(&r.to_le_bytes()));
        hash.finalize()
    }

    fn recordings(&self) -> &[u32] {
        &self.recordings
    }
}

/// The place of each row's label in the sorted `labels`.
fn numbers(rows: &RowLabels, labels: &[String]) -> Result<Vec<u16>, String> {
    let place = |label: &RowLabel| match labels.binary_search(&label.name) {
        // More classes than have numbers are refused before anything is made of them.
        Ok(place) => Ok(place as u16),
        Err(_) => {
            let RowLabel { name, line } = label;
            Err(format!("line {line}: label `{name}` is not one of the training data's: {}", labels.join(", ")))
        }
    };
    let places = rows.names.iter().map(place).collect::<Result<Vec<u16>, String>>()?;
    Ok(rows.rows.iter().map(|&row| places[usize::from(row)]).collect())
}

impl Samples for Tagged {
    fn classes(&self) -> &[u16] {
        &self.classes
    }

    fn lengths(&self) -> Option<&[usize]> {
        Some(&self.lengths)
    }

    fn groups(&self) -> Option<&[u32]> {
        Some(&self.recordings)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Augmentation: strength and noise as those of [`Motion`](super::motion::Motion), but time stays, and with it the
    /// class of each frame.
    fn write(&self, index: usize, augment: Option<&mut ChaCha8Rng>, out: &mut [f32]) {
        let recorded = self.counted(index);
        let (counted, behind) = out.split_at_mut(recorded.len());
        counted.copy_from_slice(recorded);
        behind.fill(0.0);
        let Some(rng) = augment.filter(|_| self.augment) else { return self.standard.apply(counted) };
        let (gain, noise) = (rng.random_range(STRENGTHS), rng.random_range(NOISE));
        counted.iter_mut().for_each(|v| *v *= gain);
        self.standard.apply(counted);
        motion::add_noise(counted, noise, rng);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data::columns,
        engine::random::{Purpose, stream},
    };
    use escarp_media::Kind;

    #[test]
    fn the_last_piece_of_a_recording_keeps_its_length() {
        let folder = tempfile::tempdir().unwrap();
        let rows = |n: usize, label: &str| (0..n).map(|i| format!("{i},{label}\n")).collect::<String>();
        std::fs::write(folder.path().join("1.csv"), format!("x,label\n{}{}", rows(3, "b"), rows(2, "a"))).unwrap();
        std::fs::write(folder.path().join("2.csv"), format!("x,label\n{}", rows(2, "c"))).unwrap();
        let listing = Folder::open(folder.path(), Kind::Table).unwrap();
        let read = columns::read(&listing, Csv::LABEL, &["x".into()]).unwrap();
        let (mut tagged, labels) = Tagged::cut(&listing, Csv::LABEL, &read.tables, 3, None).unwrap();
        assert_eq!(labels, ["a", "b", "c"]);
        assert_eq!((tagged.lengths().unwrap(), tagged.recordings()), (&[3, 2, 2][..], &[0, 0, 1][..]));
        assert_eq!(tagged.classes(), [1, 1, 1, 0, 0, NO_CLASS, 2, 2, NO_CLASS]);
        assert_eq!((tagged.classes_of(1), tagged.count()), (&[0, 0][..], 3));

        // Zeros behind the end are no part of the mean, and stay zero.
        let standard = tagged.statistics(&[0, 1, 2]);
        assert_eq!(standard, Standard::of(1, [0.0, 1.0, 2.0, 0.0, 1.0, 0.0, 1.0]));
        tagged.prepare(&standard, true);
        let mut rng = stream(0, Purpose::Augment, 0, 0);
        for augment in [None, Some(&mut rng)] {
            let mut out = [9.0; 3];
            tagged.write(1, augment, &mut out);
            assert!(out[0] != 0.0 && out[1] != 0.0 && out[2] == 0.0, "{out:?}");
        }
    }
}
