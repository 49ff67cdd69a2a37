//! Windows of sensor samples from CSV recordings or the generator, and their augmentation.

use std::ops::Range;

use escarp_media::{Csv, Folder};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{Samples, source, standard::Standard};
use crate::{data::generate::gestures, error::TrainError};

/// How much stronger or weaker a movement becomes by augmentation.
pub(super) const STRENGTHS: Range<f32> = 0.85..1.15;
/// White noise that augmentation adds, as a share of each channel's spread.
pub(super) const NOISE: Range<f32> = 0.0..0.05;

/// Samples that were cut out of recordings.
pub trait Recorded: Samples {
    /// Statistics of each channel over the chosen samples.
    fn statistics(&self, indices: &[u32]) -> Standard;

    /// Sets the standardization and whether training samples vary.
    fn prepare(&mut self, standard: &Standard, augment: bool);

    /// A checksum of values, classes and recordings: a continued run must see the same data.
    fn fingerprint(&self) -> u32;

    /// Which recording each sample is of, counted from 0, in rising order.
    fn recordings(&self) -> &[u32];
}

/// Windows of one length.
pub struct Motion {
    /// Frames, channels.
    shape: [usize; 2],
    /// `[n, frames, channels]`, as recorded.
    values: Vec<f32>,
    classes: Vec<u16>,
    /// Which recording each window is of.
    recordings: Vec<u32>,
    standard: Standard,
    augment: bool,
}

impl Motion {
    /// Cuts the recordings of a listing into windows of `frames` samples, each half a window after the last; a recording
    /// shorter than one window is an error, and so is a class for every row in the column `column`.
    pub fn cut(folder: &Folder, column: &str, recordings: &[Csv], frames: usize) -> Result<Self, TrainError> {
        let channels = recordings.first().map_or(0, |csv| csv.channels);
        let mut motion = Self::new([frames, channels]);
        for (index, (recording, class)) in recordings.iter().zip(source::classes(folder)).enumerate() {
            if recording.labels.is_some() {
                return Err(rows_have_classes(folder, column, index));
            }
            if recording.rows() < frames {
                let reason = format!("{} rows; a window is {frames} (--frames)", recording.rows());
                return Err(TrainError::data(folder.locate(index), reason));
            }
            for window in recording.windows(frames, frames.div_ceil(2)) {
                motion.values.extend_from_slice(window);
                motion.classes.push(class);
                motion.recordings.push(index as u32); // listings are shorter
            }
        }
        Ok(motion)
    }

    /// The generated gestures, each a recording of one window: part 0 to train on, part 1 to test on.
    pub fn builtin(seed: u64, part: u32, per_class: u32) -> Self {
        let classes = gestures::LABELS.len();
        let windows: Vec<Vec<f32>> = (0..per_class * classes as u32)
            .into_par_iter()
            .map(|i| gestures::window(seed, part, i as usize % classes, i / classes as u32))
            .collect();
        let numbers = (0..windows.len()).map(|i| (i % classes) as u16).collect();
        let recordings = (0..windows.len() as u32).collect();
        let none = Self::new([gestures::FRAMES, gestures::AXES]);
        Self { values: windows.concat(), classes: numbers, recordings, ..none }
    }

    fn new(shape: [usize; 2]) -> Self {
        let standard = Standard { mean: vec![0.0; shape[1]], std: vec![1.0; shape[1]] };
        let (values, classes, recordings) = (Vec::new(), Vec::new(), Vec::new());
        Self { shape, values, classes, recordings, standard, augment: false }
    }
}

impl Recorded for Motion {
    fn statistics(&self, indices: &[u32]) -> Standard {
        let length = self.shape[0] * self.shape[1];
        let windows = indices.iter().flat_map(|&i| &self.values[i as usize * length..][..length]);
        Standard::of(self.shape[1], windows.copied())
    }

    fn prepare(&mut self, standard: &Standard, augment: bool) {
        (self.standard, self.augment) = (standard.clone(), augment);
    }

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

impl Samples for Motion {
    fn classes(&self) -> &[u16] {
        &self.classes
    }

    fn groups(&self) -> Option<&[u32]> {
        Some(&self.recordings)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Augmentation: speed and onset (a random piece of the time axis, stretched by up to 15 % and
    /// moved by up to a tenth of the window, ends held), strength by up to 15 % and white noise of up
    /// to 5 % of each channel's spread.
    fn write(&self, index: usize, augment: Option<&mut ChaCha8Rng>, out: &mut [f32]) {
        let [frames, channels] = self.shape;
        let window = &self.values[index * out.len()..][..out.len()];
        let Some(rng) = augment.filter(|_| self.augment) else {
            out.copy_from_slice(window);
            return self.standard.apply(out);
        };
        let speed = rng.random_range(0.85..1.15f32);
        let start = frames as f32 * rng.random_range(-0.1..0.1f32);
        let gain = rng.random_range(STRENGTHS);
        let noise = rng.random_range(NOISE);
        for (frame, row) in out.chunks_exact_mut(channels).enumerate() {
            let at = (start + speed * frame as f32).clamp(0.0, (frames - 1) as f32);
            let (low, share) = (at as usize, at.fract());
            let high = (low + 1).min(frames - 1);
            for (c, out) in row.iter_mut().enumerate() {
                let (a, b) = (window[low * channels + c], window[high * channels + c]);
                *out = gain * (a + share * (b - a));
            }
        }
        self.standard.apply(out);
        add_noise(out, noise, rng);
    }
}

/// The error of a recording with a class for every row where one for each window is wanted.
pub fn rows_have_classes(folder: &Folder, column: &str, index: usize) -> TrainError {
    let reason = format!(
        "its rows have classes (column `{column}`), and this net tells one class of a window; for a class of every frame \
         take a net such as --net gru-tagger, or else leave the column out"
    );
    TrainError::data(folder.locate(index), reason)
}

/// Adds white noise of about this deviation.
pub(super) fn add_noise(values: &mut [f32], noise: f32, rng: &mut ChaCha8Rng) {
    values.iter_mut().for_each(|v| *v += noise * rng.random_range(-1.7..1.7f32));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::columns;
    use escarp_media::Kind;

    fn recordings(files: &[(&str, String)]) -> (tempfile::TempDir, Folder) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let listing = Folder::open(folder.path(), Kind::Table).unwrap();
        (folder, listing)
    }

    fn rows(n: usize) -> String {
        (0..n).map(|i| format!("{},{},0\n", i % 7, i * 2)).collect()
    }

    fn cut(listing: &Folder) -> Result<Motion, String> {
        let all = ["1".to_owned(), "2".into(), "3".into()];
        let read = columns::read(listing, Csv::LABEL, &all);
        read.and_then(|read| Motion::cut(listing, Csv::LABEL, &read.tables, 8)).map_err(|e| e.to_string())
    }

    #[test]
    fn recordings_are_cut_into_overlapping_windows() {
        let (_folder, listing) = recordings(&[("a/1.csv", rows(8)), ("b/1.csv", rows(17))]);
        let motion = cut(&listing).unwrap();
        assert_eq!((motion.classes(), motion.recordings()), (&[0, 1, 1, 1][..], &[0, 1, 1, 1][..]));
        let mut window = [0.0; 24];
        motion.write(2, None, &mut window);
        assert_eq!(window[..3], [4.0, 8.0, 0.0]);
    }

    #[test]
    fn bad_recordings_are_named_with_their_line() {
        let error = |files: &[(&str, String)]| {
            let (_folder, listing) = recordings(files);
            cut(&listing).err().unwrap()
        };
        let nan = error(&[("a/1.csv", rows(8)), ("b/1.csv", "1,2,3\n1,NaN,3\n".into())]);
        assert!(nan.contains("b/1.csv") && nan.contains("line 2"), "{nan}");
        let short = error(&[("a/1.csv", rows(8)), ("b/1.csv", rows(7))]);
        assert!(short.contains("b/1.csv") && short.contains("7 rows; a window is 8"), "{short}");
        let labelled = ["a/1.csv", "b/1.csv"].map(|name| (name, "x,y,z,label\n1,2,3,up\n".into()));
        let labelled = error(&labelled);
        assert!(labelled.contains("a/1.csv") && labelled.contains("--net gru-tagger"), "{labelled}");
    }
}
