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

mod settings;
/// The nearest f32.
#[expect(clippy::cast_possible_truncation, reason = "rounding is what is wanted")]
fn nearest(x: f64) -> f32 {
    x as f32
}

#[cfg(test)]
mod tests;

use microfft::Complex32;

use super::{Error, quantize};
pub(super) use settings::FIXED;
pub use settings::{LogMelSettings, MAX_BANDS, MAX_FFT};

/// In [`LogMel::segments`]: the bin lies in no triangle.
const OUTSIDE: u8 = u8::MAX;

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
            *w = nearest(0.5 - 0.5 * libm::cos(turn));
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
                self.segments[k] = u8::try_from(segment).unwrap_or(u8::MAX); // at most MAX_BANDS
                self.rises[k] = nearest((f - pair[0]) / (pair[1] - pair[0]));
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

    /// The clip policy, for trainer, converter and board: a clip is one decision of `frames` frames. A shorter one gets
    /// silence in front (a recurrent network then hears the end of the word last), of a longer one the beginning counts: who
    /// wants to hear all of it cuts it first. Calls `each(index, values)` for every frame; starts from an empty frame and leaves one.
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
