//! What defines the log-mel features, its bytes and its ranges.

use crate::frontend::{Error, Norm, error::require};

/// Longest transform.
pub const MAX_FFT: usize = 1024;
/// Most mel bands.
pub const MAX_BANDS: usize = 64;
/// Bytes of the fields between head and norm in a meta entry.
pub(in crate::frontend) const FIXED: usize = 24;

/// Everything that defines the features.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogMelSettings<'a> {
    /// Hz, 1 to 768 000.
    pub sample_rate: u32,
    /// Samples in a frame, 2 to `fft`.
    pub frame: u16,
    /// Samples from one frame to the next, 1 to `frame`.
    pub hop: u16,
    /// 64, 128, 256, 512 or 1024.
    pub fft: u16,
    /// Frames in a decision.
    pub frames: u16,
    /// Lowest edge of the filter bank, Hz, at least 0.
    pub low_hz: f32,
    /// Highest edge, Hz, above `low_hz`, at most half the sample rate.
    pub high_hz: f32,
    /// Added to the energies; above 0, so that silence has a logarithm.
    pub floor: f32,
    /// Of the logarithms of each of 1 to [`MAX_BANDS`] bands.
    pub norm: Norm<'a>,
}

impl<'a> LogMelSettings<'a> {
    /// Samples that make one decision: `(frames - 1) * hop + frame`.
    #[must_use]
    pub fn clip_len(&self) -> usize {
        usize::from(self.frames).saturating_sub(1) * usize::from(self.hop) + usize::from(self.frame)
    }

    pub(in crate::frontend) fn parse(fields: &[u8], norm: Norm<'a>) -> Result<Self, Error> {
        let (words, _) = fields.as_chunks::<4>();
        let &[rate, frame_hop, fft_frames, low, high, floor] = words else {
            return Err(Error::Length { needed: FIXED, got: fields.len() });
        };
        let halves = |[a, b, c, d]: [u8; 4]| (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        let ((frame, hop), (fft, frames)) = (halves(frame_hop), halves(fft_frames));
        Ok(LogMelSettings {
            sample_rate: u32::from_le_bytes(rate),
            frame,
            hop,
            fft,
            frames,
            low_hz: f32::from_le_bytes(low),
            high_hz: f32::from_le_bytes(high),
            floor: f32::from_le_bytes(floor),
            norm,
        })
    }

    /// Writes fields and norm into a slice of their length.
    pub(in crate::frontend) fn emit(&self, out: &mut [u8]) {
        let (fields, norm) = out.split_at_mut(FIXED);
        let pair = |a: u16, b: u16| (u32::from(a) | u32::from(b) << 16).to_le_bytes();
        let (words, _) = fields.as_chunks_mut::<4>();
        let values = [
            self.sample_rate.to_le_bytes(),
            pair(self.frame, self.hop),
            pair(self.fft, self.frames),
            self.low_hz.to_le_bytes(),
            self.high_hz.to_le_bytes(),
            self.floor.to_le_bytes(),
        ];
        words.copy_from_slice(&values);
        self.norm.emit(norm);
    }

    pub(in crate::frontend) fn check(&self) -> Result<(), Error> {
        require((1..=768_000).contains(&self.sample_rate), "sample rate", "1 to 768000 Hz")?;
        require(matches!(self.fft, 64 | 128 | 256 | 512 | 1024), "fft", "64, 128, 256, 512 or 1024")?;
        require((2..=self.fft).contains(&self.frame), "frame", "2 to fft samples")?;
        require((1..=self.frame).contains(&self.hop), "hop", "1 to frame samples")?;
        require(self.frames > 0, "frames", "at least 1")?;
        require(self.low_hz >= 0.0 && self.low_hz < self.high_hz, "low edge", "at least 0 and below the high edge")?;
        require(f64::from(self.high_hz) * 2.0 <= self.sample_rate.into(), "high edge", "at most half the sample rate")?;
        require(self.floor.is_normal() && self.floor > 0.0, "floor", "finite and above 0")?;
        require((1..=MAX_BANDS).contains(&self.norm.len()), "number of bands", "1 to 64")?;
        self.norm.check()
    }
}
