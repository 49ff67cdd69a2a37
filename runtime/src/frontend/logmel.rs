//! Streaming log-mel energies of PCM sound.
//!
//! With samples `x = s / 32768`, a frame of `L` samples every `H`, a transform of length `N >= L` (zeros behind), rate `R`:
//!
//! * window: periodic Hann, `w[n] = 1/2 - 1/2 cos(2 pi n / L)`
//! * power: `P[k] = |sum_n w[n] x[n] exp(-2 pi i k n / N)|^2`, `k = 0..=N/2`
//! * mel scale (HTK): `mel(f) = 2595 log10(1 + f / 700)`; `B + 2` points equally far apart from `mel(low)` to `mel(high)`,
//!   back in Hz `p_0 .. p_(B+1)`
//! * band `b`: a triangle from 0 at `p_b` over 1 at `p_(b+1)` to 0 at `p_(b+2)`, taken at the exact frequency `k R / N`
//! * `value = (ln(energy_b + floor) - mean_b) / std_b`
//!
//! A bin between two neighbouring points lies in two triangles at most, rising in one and falling in the other, and the two
//! weights sum to 1: so one number for each bin is the whole filter bank.

use microfft::Complex32;

use super::error::require;
use super::{Error, Norm, quantize};

/// Longest transform.
pub const MAX_FFT: usize = 1024;
/// Most mel bands.
pub const MAX_BANDS: usize = 64;
/// Bytes of the fields between head and norm in a meta entry.
pub(super) const FIXED: usize = 24;
/// In [`LogMel::segments`]: the bin lies in no triangle.
const OUTSIDE: u8 = u8::MAX;

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

    pub(super) fn parse(fields: &[u8], norm: Norm<'a>) -> Result<Self, Error> {
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
    pub(super) fn emit(&self, out: &mut [u8]) {
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

    pub(super) fn check(&self) -> Result<(), Error> {
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

/// The running front end: about 13 KiB, no heap.
#[derive(Clone, Debug)]
pub struct LogMel {
    frame: usize,
    hop: usize,
    fft: usize,
    frames: usize,
    clip_len: usize,
    bands: usize,
    floor: f32,
    mean: [f32; MAX_BANDS],
    std: [f32; MAX_BANDS],
    /// `[frame]`
    window: [f32; MAX_FFT],
    /// `[fft / 2 + 1]`: bin `k` lies between the points `p_segment` and `p_(segment + 1)`, or [`OUTSIDE`].
    segments: [u8; MAX_FFT / 2 + 1],
    /// `[fft / 2 + 1]`: its weight in the rising triangle `segment`; in the falling one, `segment - 1`, it has `1 - rise`.
    rises: [f32; MAX_FFT / 2 + 1],
    /// The samples of the frame that is being collected.
    samples: [i16; MAX_FFT],
    filled: usize,
    buffer: [f32; MAX_FFT],
    values: [f32; MAX_BANDS],
}

impl LogMel {
    /// Window and filter bank.
    ///
    /// # Errors
    /// Those of [`super::FrontEnd::check`].
    pub fn new(settings: &LogMelSettings<'_>) -> Result<Self, Error> {
        settings.check()?;
        let mut mel = LogMel {
            frame: settings.frame.into(),
            hop: settings.hop.into(),
            fft: settings.fft.into(),
            frames: settings.frames.into(),
            clip_len: settings.clip_len(),
            bands: settings.norm.len(),
            floor: settings.floor,
            mean: [0.0; MAX_BANDS],
            std: [1.0; MAX_BANDS],
            window: [0.0; MAX_FFT],
            segments: [OUTSIDE; MAX_FFT / 2 + 1],
            rises: [0.0; MAX_FFT / 2 + 1],
            samples: [0; MAX_FFT],
            filled: 0,
            buffer: [0.0; MAX_FFT],
            values: [0.0; MAX_BANDS],
        };
        for (b, (mean, std)) in mel.mean.iter_mut().zip(&mut mel.std).enumerate().take(mel.bands) {
            (*mean, *std) = (settings.norm.mean(b), settings.norm.std(b));
        }
        for (n, w) in mel.window.iter_mut().enumerate().take(mel.frame) {
            let turn = 2.0 * core::f64::consts::PI * n as f64 / mel.frame as f64;
            *w = (0.5 - 0.5 * libm::cos(turn)) as f32;
        }
        mel.build_bank(settings);
        Ok(mel)
    }

    fn build_bank(&mut self, settings: &LogMelSettings<'_>) {
        let to_mel = |f: f64| 2595.0 * libm::log10(1.0 + f / 700.0);
        let to_hz = |m: f64| 700.0 * (libm::pow(10.0, m / 2595.0) - 1.0);
        let (low, high) = (to_mel(settings.low_hz.into()), to_mel(settings.high_hz.into()));
        let mut points = [0.0; MAX_BANDS + 2];
        for (i, p) in points.iter_mut().enumerate().take(self.bands + 2) {
            *p = to_hz(low + (high - low) * i as f64 / (self.bands + 1) as f64);
        }
        for k in 0..=self.fft / 2 {
            let f = k as f64 * f64::from(settings.sample_rate) / self.fft as f64;
            let pairs = points[..self.bands + 2].windows(2);
            if let Some((segment, pair)) = pairs.enumerate().find(|(_, pair)| pair[0] <= f && f < pair[1]) {
                self.segments[k] = segment as u8; // at most MAX_BANDS
                self.rises[k] = ((f - pair[0]) / (pair[1] - pair[0])) as f32;
            }
        }
    }

    /// Number of bands in a frame's values.
    #[must_use]
    pub fn bands(&self) -> usize {
        self.bands
    }

    /// Forgets the samples of an unfinished frame.
    pub fn reset(&mut self) {
        self.filled = 0;
    }

    /// Takes samples from the front of `pcm` until a frame is complete, then returns its normalized values, `[bands]`.
    /// `None` when `pcm` is used up:
    ///
    /// ```
    /// # use escarp_runtime::frontend::{LogMel, LogMelSettings, Norm};
    /// # let settings = LogMelSettings { sample_rate: 8000, frame: 200, hop: 80, fft: 256, frames: 1, low_hz: 20.0,
    /// #     high_hz: 4000.0, floor: 1e-6, norm: Norm::new(&[0.0; 32], &[1.0; 32]) };
    /// let mut mel = LogMel::new(&settings)?;
    /// let mut microphone: &[i16] = &[0; 1000];
    /// let mut frames = 0;
    /// while let Some(values) = mel.push(&mut microphone) {
    ///     assert_eq!(values.len(), 32);
    ///     frames += 1;
    /// }
    /// assert_eq!(frames, 11); // (1000 - 200) / 80 + 1
    /// # Ok::<(), escarp_runtime::frontend::Error>(())
    /// ```
    pub fn push(&mut self, pcm: &mut &[i16]) -> Option<&[f32]> {
        let (now, later) = pcm.split_at(pcm.len().min(self.frame - self.filled));
        self.samples[self.filled..][..now.len()].copy_from_slice(now);
        self.filled += now.len();
        *pcm = later;
        if self.filled < self.frame {
            return None;
        }
        self.transform();
        self.samples.copy_within(self.hop..self.frame, 0);
        self.filled = self.frame - self.hop;
        Some(&self.values[..self.bands])
    }

    /// `samples` to `values`.
    fn transform(&mut self) {
        self.buffer.fill(0.0);
        for ((x, &s), &w) in self.buffer.iter_mut().zip(&self.samples[..self.frame]).zip(&self.window) {
            *x = f32::from(s) / 32768.0 * w;
        }
        let mut energies = [0.0f32; MAX_BANDS];
        let (segments, rises) = (&self.segments, &self.rises);
        let mut add = |k: usize, power: f32| {
            let (segment, rise) = (usize::from(segments[k]), rises[k]);
            if let Some(e) = energies.get_mut(segment) {
                *e += rise * power;
            }
            if let Some(e) = segment.checked_sub(1).and_then(|s| energies.get_mut(s)) {
                *e += (1.0 - rise) * power;
            }
        };
        let spectrum = fft(&mut self.buffer, self.fft);
        // A real transform's bins 0 and N/2 are real; the first carries both.
        let [dc, rest @ ..] = spectrum else { return };
        add(0, dc.re * dc.re);
        for (k, c) in rest.iter().enumerate() {
            add(k + 1, c.re * c.re + c.im * c.im);
        }
        add(self.fft / 2, dc.im * dc.im);
        for (b, v) in self.values.iter_mut().enumerate().take(self.bands) {
            *v = (libm::logf(energies[b] + self.floor) - self.mean[b]) / self.std[b];
        }
    }

    /// The clip policy, for trainer, converter and board: a whole recording is one decision of `frames` frames. A shorter
    /// one gets silence in front (a recurrent network then hears the end of the word last), of a longer one the beginning
    /// counts. Calls `each(index, values)` for every frame; starts from an empty frame and leaves one.
    pub fn clip(&mut self, pcm: &[i16], mut each: impl FnMut(usize, &[f32])) {
        const SILENCE: [i16; 256] = [0; 256];
        self.reset();
        let mut pcm = &pcm[..pcm.len().min(self.clip_len)];
        let mut missing = self.clip_len - pcm.len();
        let mut index = 0;
        while index < self.frames {
            let mut silence = &SILENCE[..missing.min(SILENCE.len())];
            let before = silence.len();
            let complete = if before > 0 {
                let complete = self.push(&mut silence).is_some();
                missing -= before - silence.len();
                complete
            } else {
                self.push(&mut pcm).is_some()
            };
            if complete {
                each(index, &self.values[..self.bands]);
                index += 1;
            }
        }
        self.reset();
    }

    /// [`LogMel::clip`] as a float array `[frames][bands]`.
    ///
    /// # Errors
    /// [`Error::Length`] if `out` has another length.
    pub fn clip_f32(&mut self, pcm: &[i16], out: &mut [f32]) -> Result<(), Error> {
        self.check_clip(out.len())?;
        let bands = self.bands;
        self.clip(pcm, |index, values| out[index * bands..][..bands].copy_from_slice(values));
        Ok(())
    }

    /// [`LogMel::clip`] quantized, `[frames][bands]`.
    ///
    /// # Errors
    /// [`Error::Length`] if `out` has another length.
    pub fn clip_i8(&mut self, pcm: &[i16], scale: f32, zero_point: i8, out: &mut [i8]) -> Result<(), Error> {
        self.check_clip(out.len())?;
        let bands = self.bands;
        self.clip(pcm, |index, values| {
            for (q, &v) in out[index * bands..].iter_mut().zip(values) {
                *q = quantize(v, scale, zero_point);
            }
        });
        Ok(())
    }

    fn check_clip(&self, got: usize) -> Result<(), Error> {
        let needed = self.frames * self.bands;
        if got == needed { Ok(()) } else { Err(Error::Length { needed, got }) }
    }
}

/// Bins `0..n/2` of the real transform of the first `n` values; the imaginary part of bin 0 holds bin `n/2`.
fn fft(buffer: &mut [f32; MAX_FFT], n: usize) -> &[Complex32] {
    use microfft::real::{rfft_64, rfft_128, rfft_256, rfft_512, rfft_1024};
    match n {
        64 => buffer.first_chunk_mut().map(|b| &rfft_64(b)[..]),
        128 => buffer.first_chunk_mut().map(|b| &rfft_128(b)[..]),
        256 => buffer.first_chunk_mut().map(|b| &rfft_256(b)[..]),
        512 => buffer.first_chunk_mut().map(|b| &rfft_512(b)[..]),
        _ => Some(&rfft_1024(buffer)[..]),
    }
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings<'a>(norm: Norm<'a>) -> LogMelSettings<'a> {
        LogMelSettings {
            sample_rate: 8000,
            frame: 200,
            hop: 80,
            fft: 256,
            frames: 3,
            low_hz: 20.0,
            high_hz: 4000.0,
            floor: 1e-6,
            norm,
        }
    }

    /// The definition above, slowly and in f64.
    fn reference(s: &LogMelSettings<'_>, frame: &[i16], band: usize) -> f64 {
        use core::f64::consts::PI;
        let mel = |f: f64| 2595.0 * libm::log10(1.0 + f / 700.0);
        let (low, high) = (mel(s.low_hz.into()), mel(s.high_hz.into()));
        let point = |i: usize| {
            let m = low + (high - low) * i as f64 / (s.norm.len() + 1) as f64;
            700.0 * (libm::pow(10.0, m / 2595.0) - 1.0)
        };
        let (a, b, c) = (point(band), point(band + 1), point(band + 2));
        let n = f64::from(s.fft);
        let energy: f64 = (0..=s.fft / 2).fold(0.0, |sum, k| {
            let (mut re, mut im) = (0.0, 0.0);
            for (i, &x) in frame.iter().enumerate() {
                let w = 0.5 - 0.5 * libm::cos(2.0 * PI * i as f64 / frame.len() as f64);
                let angle = -2.0 * PI * f64::from(k) * i as f64 / n;
                re += f64::from(x) / 32768.0 * w * libm::cos(angle);
                im += f64::from(x) / 32768.0 * w * libm::sin(angle);
            }
            let f = f64::from(k) * f64::from(s.sample_rate) / n;
            sum + ((f - a) / (b - a)).min((c - f) / (c - b)).max(0.0) * (re * re + im * im)
        });
        (libm::log(energy + f64::from(s.floor)) - f64::from(s.norm.mean(band))) / f64::from(s.norm.std(band))
    }

    /// Noise from a linear congruential generator, so that the test needs no data.
    fn noise<const N: usize>() -> [i16; N] {
        let mut state = 1u32;
        core::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 18) as i16 - 8192
        })
    }

    #[test]
    fn equals_the_definition() {
        let pcm = noise::<1024>();
        for fft in [64, 128, 256, 512, 1024] {
            let s = LogMelSettings { fft, frame: fft * 3 / 4, hop: 20, ..settings(Norm::new(&[1.0; 20], &[2.0; 20])) };
            let mut mel = LogMel::new(&s).unwrap();
            let got = mel.push(&mut &pcm[..]).unwrap();
            for (band, &v) in got.iter().enumerate() {
                let want = reference(&s, &pcm[..usize::from(s.frame)], band);
                assert!((f64::from(v) - want).abs() < 1e-5, "fft {fft} band {band}: {v} {want}");
            }
        }
    }

    #[test]
    fn pieces_of_any_size_give_the_same_frames() {
        let pcm = noise::<1000>();
        let mut whole = LogMel::new(&settings(Norm::new(&[0.0; 32], &[1.0; 32]))).unwrap();
        for piece in [1, 7, 80, 199, 201, 1000] {
            whole.reset();
            let mut parts = whole.clone();
            let mut rest = &pcm[..];
            let mut count = 0;
            for mut chunk in pcm.chunks(piece) {
                while let Some(values) = parts.push(&mut chunk) {
                    assert_eq!(whole.push(&mut rest), Some(values));
                    count += 1;
                }
            }
            assert_eq!((count, whole.push(&mut rest)), (11, None));
        }
    }

    #[test]
    fn short_clips_are_padded_in_front_and_long_ones_cut_behind() {
        let s = settings(Norm::new(&[0.0; 32], &[1.0; 32]));
        assert_eq!(s.clip_len(), 360);
        let (mut mel, pcm) = (LogMel::new(&s).unwrap(), noise::<500>());
        let mut padded = [0; 360];
        padded[260..].copy_from_slice(&pcm[..100]);
        let (mut a, mut b) = ([0.0; 96], [0.0; 96]);
        mel.clip_f32(&pcm[..100], &mut a).unwrap();
        mel.clip_f32(&padded, &mut b).unwrap();
        assert_eq!(a, b);
        assert_eq!(a[0], libm::logf(1e-6));
        mel.clip_f32(&pcm, &mut a).unwrap();
        mel.clip_f32(&pcm[..360], &mut b).unwrap();
        assert_eq!(a, b);
        let mut q = [0; 96];
        mel.clip_i8(&pcm, 0.1, -3, &mut q).unwrap();
        assert!(q.iter().zip(&a).all(|(&q, &v)| q == quantize(v, 0.1, -3)));
        assert_eq!(mel.clip_f32(&pcm, &mut a[1..]), Err(Error::Length { needed: 96, got: 95 }));
        mel.clip_f32(&[], &mut a).unwrap();
        assert!(a.iter().all(|&v| v == a[0]));
    }

    #[test]
    fn unusable_settings_are_named() {
        let good = settings(Norm::new(&[0.0; 32], &[1.0; 32]));
        let name = |s: LogMelSettings<'_>| match LogMel::new(&s).map(|_| ()) {
            Err(Error::Field { name, .. }) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(name(LogMelSettings { sample_rate: 0, ..good }), "sample rate");
        assert_eq!(name(LogMelSettings { fft: 2048, ..good }), "fft");
        assert_eq!(name(LogMelSettings { frame: 257, ..good }), "frame");
        assert_eq!(name(LogMelSettings { hop: 0, ..good }), "hop");
        assert_eq!(name(LogMelSettings { frames: 0, ..good }), "frames");
        assert_eq!(name(LogMelSettings { low_hz: f32::NAN, ..good }), "low edge");
        assert_eq!(name(LogMelSettings { high_hz: 4001.0, ..good }), "high edge");
        assert_eq!(name(LogMelSettings { floor: 0.0, ..good }), "floor");
        assert_eq!(name(LogMelSettings { norm: Norm::new(&[0.0; 65], &[1.0; 65]), ..good }), "number of bands");
        assert_eq!(name(LogMelSettings { norm: Norm::new(&[0.0; 2], &[1.0, -1.0]), ..good }), "std");
    }
}
