//! How a recording that is longer than a network's input is decided on: along its whole length, window after window.

use std::{
    fmt::{Display, Formatter, Result},
    ops::Range,
};

use escarp_runtime::frontend::{LogMelSettings, SensorSettings};

/// Where the windows of a recording lie.
///
/// One begins every half window (rounded up to whole frames), as those do that `escarp-train motion` learns from. If the last
/// of these does not reach the end of the recording, one more ends there: it overlaps the one before by more than half. So
/// every frame is decided on, and none is made up. A recording of one window's length or less is one window.
///
/// A frame is a row of a sensor recording, and a frame of the front end of a sound: the up to `hop - 1` samples at the end of a
/// sound that fill no further frame are in no window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Windows {
    unit: Unit,
    /// Samples or rows from one frame to the next, of a frame, and a second.
    step: usize,
    frame: usize,
    rate: f64,
    /// Samples or rows of the recording.
    total: usize,
    /// Frames of the recording, at least 1, and of a window.
    frames: usize,
    length: usize,
}

impl Windows {
    /// Of a sound of so many samples at the front end's rate.
    #[must_use]
    pub fn of_sound(settings: &LogMelSettings<'_>, samples: usize) -> Self {
        let (frame, hop) = (usize::from(settings.frame), usize::from(settings.hop).max(1));
        let frames = samples.saturating_sub(frame) / hop + 1;
        let length = usize::from(settings.frames).max(1);
        Windows {
            unit: Unit::Samples,
            step: hop,
            frame,
            rate: settings.sample_rate.into(),
            total: samples,
            frames,
            length,
        }
    }

    /// Of so many rows of a sensor recording.
    #[must_use]
    pub fn of_rows(settings: &SensorSettings<'_>, rows: usize) -> Self {
        let length = usize::from(settings.frames).max(1);
        Windows {
            unit: Unit::Rows,
            step: 1,
            frame: 1,
            rate: settings.rate.into(),
            total: rows,
            frames: rows.max(1),
            length,
        }
    }

    /// Frames from the beginning of one window to that of the next.
    fn hop(&self) -> usize {
        self.length.div_ceil(2)
    }

    /// How many, at least 1.
    #[must_use]
    pub fn count(&self) -> usize {
        self.frames.saturating_sub(self.length).div_ceil(self.hop()) + 1
    }

    /// The samples or rows of window `index`, counted from 0.
    #[must_use]
    pub fn range(&self, index: usize) -> Range<usize> {
        if self.frames <= self.length {
            return 0..self.total;
        }
        let first = index.saturating_mul(self.hop()).min(self.frames - self.length);
        first * self.step..(first + self.length - 1) * self.step + self.frame
    }

    /// What [`Windows::range`] counts.
    #[must_use]
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// Window `index` in words: `0.320-0.975 s`, of a sensor recording `1.28-2.56 s (rows 65-128)`, counted from 1: the rate
    /// that the model was trained at may not be the recording's.
    #[must_use]
    pub fn place(&self, index: usize) -> String {
        let (from, to) = self.seconds(index);
        match self.unit {
            Unit::Samples => format!("{from:.3}-{to:.3} s"),
            Unit::Rows => {
                let Range { start, end } = self.range(index);
                format!("{from:.2}-{to:.2} s (rows {}-{end})", start + 1)
            }
        }
    }

    /// When window `index` begins and ends, seconds.
    #[must_use]
    pub fn seconds(&self, index: usize) -> (f64, f64) {
        let Range { start, end } = self.range(index);
        (start as f64 / self.rate, end as f64 / self.rate)
    }
}

/// What a recording is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Of sound, at the front end's rate.
    Samples,
    /// Of a sensor recording.
    Rows,
}

/// `12 windows of 0.655 s, one every 0.320 s, in 4.2 s`, and what is special about the last.
impl Display for Windows {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let seconds = |samples: usize| samples as f64 / self.rate;
        let (total, count) = (seconds(self.total), self.count());
        if count == 1 {
            return write!(f, "one window in {total:.3} s");
        }
        let length = seconds((self.length - 1) * self.step + self.frame);
        let hop = seconds(self.hop() * self.step);
        write!(f, "{count} windows of {length:.3} s, one every {hop:.3} s, in {total:.3} s")?;
        if (self.frames - self.length).is_multiple_of(self.hop()) {
            Ok(())
        } else {
            write!(f, "; the last lies at the end")
        }
    }
}

#[cfg(test)]
mod tests {
    use escarp_runtime::frontend::Norm;

    use super::*;

    fn rows(frames: u16, rows: usize) -> Windows {
        Windows::of_rows(&SensorSettings { rate: 50.0, frames, norm: Norm::new(&[0.0], &[1.0]) }, rows)
    }

    fn sound(samples: usize) -> Windows {
        let norm = Norm::new(&[0.0], &[1.0]);
        let (low_hz, high_hz, floor) = (0.0, 4000.0, 1e-6);
        let (sample_rate, frame, hop, fft, frames) = (8000, 200, 80, 256, 5);
        Windows::of_sound(
            &LogMelSettings { sample_rate, frame, hop, fft, frames, low_hz, high_hz, floor, norm },
            samples,
        )
    }

    /// Beginning and end of each window.
    fn ranges(windows: Windows) -> Vec<[usize; 2]> {
        (0..windows.count()).map(|i| windows.range(i)).map(|range| [range.start, range.end]).collect()
    }

    #[test]
    fn every_row_is_in_a_window_and_none_is_made_up() {
        assert_eq!(ranges(rows(4, 4)), [[0, 4]]);
        assert_eq!(ranges(rows(4, 8)), [[0, 4], [2, 6], [4, 8]]);
        assert_eq!(ranges(rows(4, 9)), [[0, 4], [2, 6], [4, 8], [5, 9]]);
        assert_eq!(ranges(rows(5, 11)), [[0, 5], [3, 8], [6, 11]]);
        assert_eq!(ranges(rows(1, 3)), [[0, 1], [1, 2], [2, 3]]);
        for (frames, total) in (1..9).flat_map(|f| (f.into()..40).map(move |t| (f, t))) {
            let ranges = ranges(rows(frames, total));
            assert!(ranges.iter().all(|[start, end]| end - start == usize::from(frames) && *end <= total));
            assert!(
                (0..total).all(|row| ranges.iter().any(|[start, end]| (start..end).contains(&&row))),
                "{frames} of {total}"
            );
        }
        assert_eq!(rows(4, 9).seconds(3), (0.1, 0.18));
        assert_eq!(rows(4, 9).place(3), "0.10-0.18 s (rows 6-9)");
    }

    #[test]
    fn sounds_are_cut_at_frames() {
        // A window takes 4 * 80 + 200 = 520 samples.
        assert_eq!(ranges(sound(100)), [[0, 100]]);
        assert_eq!(ranges(sound(599)), [[0, 599]], "79 samples more fill no further frame");
        assert_eq!(ranges(sound(600)), [[0, 520], [80, 600]]);
        assert_eq!(sound(600).place(1), "0.010-0.075 s");
        assert_eq!(ranges(sound(1000)), [[0, 520], [240, 760], [480, 1000]]);
    }

    #[test]
    fn in_words() {
        assert_eq!(rows(4, 4).to_string(), "one window in 0.080 s");
        assert_eq!(rows(4, 8).to_string(), "3 windows of 0.080 s, one every 0.040 s, in 0.160 s");
        assert_eq!(
            sound(600).to_string(),
            "2 windows of 0.065 s, one every 0.030 s, in 0.075 s; the last lies at the end"
        );
    }
}
