//! Windows of multi-channel sensor samples.

use super::{Error, Norm, error::require, quantize};

/// Bytes of the fields between head and norm in a meta entry.
pub(super) const FIXED: usize = 8;

/// `value = (sample - mean) / std` for each channel, in windows of some frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SensorSettings<'a> {
    /// Frames a second, Hz.
    pub rate: f32,
    /// Frames in a decision.
    pub frames: u16,
    /// For each of 1 to 64 channels, in the sensor's unit.
    pub norm: Norm<'a>,
}

impl<'a> SensorSettings<'a> {
    /// Normalizes `[..][channels]` samples.
    ///
    /// # Errors
    /// [`Error::Length`] if the lengths differ or are no multiple of the channels.
    pub fn normalize(&self, samples: &[f32], out: &mut [f32]) -> Result<(), Error> {
        let channels = self.norm.len();
        require(
            channels > 0 && samples.len().is_multiple_of(channels),
            "number of samples",
            "a multiple of the channels",
        )?;
        if samples.len() != out.len() {
            return Err(Error::Length { needed: samples.len(), got: out.len() });
        }
        for (samples, out) in samples.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
            for (c, (o, &s)) in out.iter_mut().zip(samples).enumerate() {
                *o = self.norm.apply(c, s);
            }
        }
        Ok(())
    }

    pub(super) fn parse(fields: &[u8], norm: Norm<'a>) -> Result<Self, Error> {
        let &[r0, r1, r2, r3, f0, f1, 0, 0] = fields else {
            return Err(Error::Field { name: "bytes after the frames", index: 0, allowed: "0" });
        };
        Ok(SensorSettings { rate: f32::from_le_bytes([r0, r1, r2, r3]), frames: u16::from_le_bytes([f0, f1]), norm })
    }

    /// Writes fields and norm into a slice of their length.
    pub(super) fn emit(&self, out: &mut [u8]) {
        let (fields, norm) = out.split_at_mut(FIXED);
        let [r0, r1, r2, r3] = self.rate.to_le_bytes();
        let [f0, f1] = self.frames.to_le_bytes();
        fields.copy_from_slice(&[r0, r1, r2, r3, f0, f1, 0, 0]);
        self.norm.emit(norm);
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        require(self.rate.is_finite() && self.rate > 0.0, "sensor rate", "finite and above 0")?;
        require(self.frames > 0, "frames", "at least 1")?;
        require((1..=64).contains(&self.norm.len()), "number of channels", "1 to 64")?;
        self.norm.check()
    }
}

/// The last `frames` frames of a running sensor, normalized, in memory that the caller owns.
#[derive(Debug)]
pub struct Sensor<'a, 'r> {
    settings: SensorSettings<'a>,
    /// `[frames][channels]`, the oldest frame at `next` once full.
    ring: &'r mut [f32],
    next: usize,
    filled: usize,
}

impl<'a, 'r> Sensor<'a, 'r> {
    /// An empty window; `ring` has `frames * channels` elements.
    ///
    /// # Errors
    /// Those of [`super::FrontEnd::check`], and [`Error::Length`] for the ring.
    pub fn new(settings: &SensorSettings<'a>, ring: &'r mut [f32]) -> Result<Self, Error> {
        settings.check()?;
        let needed = usize::from(settings.frames) * settings.norm.len();
        if ring.len() != needed {
            return Err(Error::Length { needed, got: ring.len() });
        }
        Ok(Sensor { settings: *settings, ring, next: 0, filled: 0 })
    }

    /// Takes one frame, `[channels]`, in the sensor's unit. `true` if the window is full.
    ///
    /// # Errors
    /// [`Error::Length`]; [`Error::Field`] if a sample is NaN or infinite: the frame is then left out.
    pub fn push(&mut self, frame: &[f32]) -> Result<bool, Error> {
        let channels = self.settings.norm.len();
        if frame.len() != channels {
            return Err(Error::Length { needed: channels, got: frame.len() });
        }
        if let Some(index) = frame.iter().position(|s| !s.is_finite()) {
            return Err(Error::Field { name: "sample", index, allowed: "finite" });
        }
        let frames = usize::from(self.settings.frames);
        self.settings.normalize(frame, &mut self.ring[self.next * channels..][..channels])?;
        self.next = if self.next + 1 == frames { 0 } else { self.next + 1 };
        self.filled = (self.filled + 1).min(frames);
        Ok(self.filled == frames)
    }

    /// The window's values, oldest frame first, `[frames][channels]`; fewer frames until it is full.
    pub fn values(&self) -> impl Iterator<Item = f32> {
        let start = if self.filled * self.settings.norm.len() == self.ring.len() { self.next } else { 0 };
        let (newer, older) = self.ring.split_at(start * self.settings.norm.len());
        older.iter().chain(newer).take(self.filled * self.settings.norm.len()).copied()
    }

    /// The full window as an input tensor of this scale and zero point.
    ///
    /// # Errors
    /// [`Error::Length`] if the window is not full or `out` is not `[frames][channels]`.
    pub fn quantize(&self, scale: f32, zero_point: i8, out: &mut [i8]) -> Result<(), Error> {
        let (needed, have) = (self.ring.len(), self.filled * self.settings.norm.len());
        let got = if have == needed { out.len() } else { have };
        if got != needed {
            return Err(Error::Length { needed, got });
        }
        for (q, v) in out.iter_mut().zip(self.values()) {
            *q = quantize(v, scale, zero_point);
        }
        Ok(())
    }

    /// Forgets all frames.
    pub fn reset(&mut self) {
        (self.next, self.filled) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: SensorSettings =
        SensorSettings { rate: 50.0, frames: 3, norm: Norm::new(&[1.0, 0.0], &[2.0, 0.5]) };

    #[test]
    fn the_last_frames_oldest_first() {
        let mut ring = [f32::NAN; 6];
        let mut sensor = Sensor::new(&SETTINGS, &mut ring).unwrap();
        let mut out = [0; 6];
        assert_eq!(sensor.push(&[1.0, 1.0]), Ok(false));
        assert!(sensor.values().eq([0.0, 2.0]));
        assert_eq!(sensor.push(&[3.0, 2.0]), Ok(false));
        assert!(sensor.quantize(1.0, 0, &mut out).is_err());
        assert_eq!(sensor.push(&[5.0, 3.0]), Ok(true));
        sensor.quantize(1.0, 1, &mut out).unwrap();
        assert_eq!(out, [1, 3, 2, 5, 3, 7]);
        assert_eq!(sensor.push(&[7.0, 4.0]), Ok(true));
        assert!(sensor.values().eq([1.0, 4.0, 2.0, 6.0, 3.0, 8.0]));
        sensor.reset();
        assert_eq!(sensor.values().count(), 0);
    }

    #[test]
    fn bad_frames_leave_the_window_as_it_is() {
        let mut ring = [0.0; 6];
        assert!(Sensor::new(&SETTINGS, &mut ring[..5]).is_err());
        let mut sensor = Sensor::new(&SETTINGS, &mut ring).unwrap();
        assert_eq!(sensor.push(&[1.0]), Err(Error::Length { needed: 2, got: 1 }));
        let nan = Err(Error::Field { name: "sample", index: 1, allowed: "finite" });
        assert_eq!(sensor.push(&[1.0, f32::NAN]), nan);
        assert_eq!(sensor.values().count(), 0);
    }
}
