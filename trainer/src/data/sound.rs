//! Sound clips as PCM in memory; features through the runtime's own log-mel front end.

use std::{cmp::Reverse, collections::BTreeMap, ops::RangeInclusive};

use escarp_media::{Folder, Pcm};
use escarp_runtime::frontend::{FrontEnd, LogMel, LogMelSettings, MAX_BANDS, MAX_FFT, Norm};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Samples, source, standard::Standard};
use crate::error::TrainError;

mod vary;

/// Hz that the front end is made for: frames of 25 ms must fit its transform.
pub const RATES: RangeInclusive<u32> = 4000..=40_000;

/// Mel bands that the front end can hold.
pub const BANDS: RangeInclusive<usize> = 1..=MAX_BANDS;

/// Hz that clips are brought to at most unless told: what tells sounds apart lies below half of it.
const MOST: u32 = 16_000;

/// What is added to each band's energy before the logarithm.
const FLOOR: f32 = 1e-6;

/// Lower edge of the filter bank, Hz: mains hum and rumble lie below.
const LOW_HZ: f32 = 20.0;

/// The front end, without the statistics of its bands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Features {
    /// Hz that clips are resampled to.
    pub rate: u32,
    /// Samples in a frame.
    pub frame: u16,
    /// Samples from one frame to the next.
    pub hop: u16,
    /// Mel bands.
    pub bands: usize,
    /// Frames in a decision.
    pub frames: u16,
}

impl Features {
    /// Frames of 25 ms every 10 ms.
    pub fn new(rate: u32, bands: usize, frames: u16) -> Result<Self, TrainError> {
        let samples = |thousandths: u32| (rate.saturating_mul(thousandths) / 1000) as usize;
        let (frame, hop) = (samples(25), samples(10));
        if !RATES.contains(&rate) || frame > MAX_FFT {
            let reason = format!("{rate} Hz; {} to {} are supported", RATES.start(), RATES.end());
            return Err(TrainError::Usage { flag: "--rate", reason });
        }
        let features = Self { rate, frame: frame as u16, hop: hop as u16, bands, frames };
        let standard = Standard { mean: vec![0.0; bands], std: vec![1.0; bands] };
        let front_end = FrontEnd::LogMel(features.settings(&standard));
        front_end.check().map_err(|e| TrainError::Usage { flag: "--bands, --frames", reason: e.to_string() })?;
        Ok(features)
    }

    /// The runtime's settings with the bands' statistics.
    pub fn settings<'a>(&self, standard: &'a Standard) -> LogMelSettings<'a> {
        LogMelSettings {
            sample_rate: self.rate,
            frame: self.frame,
            hop: self.hop,
            fft: self.fft(),
            frames: self.frames,
            low_hz: LOW_HZ,
            high_hz: self.rate as f32 / 2.0,
            floor: FLOOR,
            norm: Norm::new(&standard.mean, &standard.std),
        }
    }

    /// What the ONNX metadata say.
    pub fn metadata(&self, standard: &Standard) -> escarp_converter::metadata::FrontEnd {
        let settings = self.settings(standard);
        escarp_converter::metadata::FrontEnd::LogMel {
            sample_rate: settings.sample_rate,
            frame: settings.frame,
            hop: settings.hop,
            fft: settings.fft,
            low_hz: settings.low_hz,
            high_hz: settings.high_hz,
            floor: settings.floor,
            frames: settings.frames,
            mean: standard.mean.clone(),
            std: standard.std.clone(),
        }
    }

    fn fft(&self) -> u16 {
        self.frame.next_power_of_two().max(64)
    }

    fn clip_len(&self) -> usize {
        (usize::from(self.frames) - 1) * usize::from(self.hop) + usize::from(self.frame)
    }
}

/// Decoded clips of one rate.
pub struct Sounds {
    clips: Vec<Vec<i16>>,
    classes: Vec<u16>,
    prepared: Option<Prepared>,
}

/// What was decoded, and at which rate.
pub struct Decoded {
    /// The clips.
    pub sounds: Sounds,
    /// Hz of all of them.
    pub rate: u32,
    /// Other rates that files had, rising, and how many had them.
    pub resampled: Vec<(u32, usize)>,
}

/// Clips become inputs.
struct Prepared {
    features: Features,
    /// Frames, bands.
    shape: [usize; 2],
    mel: LogMel,
    augment: bool,
}

impl Sounds {
    /// Decodes a listing in parallel; without `rate` that of most clips holds, 16 kHz at most and no less than the front end
    /// takes, and of two that are of as many the lower. Clips of another rate are resampled.
    pub fn decode(folder: &Folder, rate: Option<u32>) -> Result<Decoded, TrainError> {
        let read = |index: usize| -> Result<Pcm, TrainError> {
            let sample = folder.read(index)?;
            Ok(Pcm::decode(&sample.bytes).map_err(|e| e.in_file(folder.locate(index)))?)
        };
        // All first: of several wrong files the first is named, whichever thread is the fastest.
        let decoded: Vec<Result<Pcm, TrainError>> = (0..folder.len()).into_par_iter().map(read).collect();
        let decoded: Vec<Pcm> = decoded.into_iter().collect::<Result<_, _>>()?;
        let mut rates = BTreeMap::<u32, usize>::new();
        decoded.iter().for_each(|pcm| *rates.entry(pcm.rate).or_default() += 1);
        let usual = rates.iter().max_by_key(|&(&rate, &clips)| (clips, Reverse(rate)));
        let rate = rate.unwrap_or_else(|| usual.map_or(MOST, |(&rate, _)| rate.clamp(*RATES.start(), MOST)));
        let clips = decoded
            .into_par_iter()
            .enumerate()
            .map(|(index, pcm)| Ok(pcm.at_rate(rate).map_err(|e| e.in_file(folder.locate(index)))?.samples))
            .collect::<Result<Vec<_>, TrainError>>()?;
        rates.remove(&rate);
        Ok(Decoded {
            sounds: Self { clips, classes: source::classes(folder), prepared: None },
            rate,
            resampled: rates.into_iter().collect(),
        })
    }

    /// Frames (in steps of 8, 128 at most) that hold 19 of 20 clips whole.
    pub fn usual_frames(&self, rate: u32) -> u16 {
        let mut lengths: Vec<usize> = self.clips.iter().map(Vec::len).collect();
        lengths.sort_unstable();
        let usual = lengths[lengths.len() * 19 / 20] as f32 / (rate as f32 / 100.0);
        ((usual / 8.0).round() as u16 * 8).clamp(16, 128)
    }

    /// Statistics of each band over the chosen clips.
    pub fn statistics(&self, features: &Features, indices: &[u32]) -> Result<Standard, TrainError> {
        let neutral = Standard { mean: vec![0.0; features.bands], std: vec![1.0; features.bands] };
        let mel = mel(features, &neutral)?;
        let length = usize::from(features.frames) * features.bands;
        let values: Vec<Vec<f32>> = indices
            .par_iter()
            .map(|&i| {
                let mut out = vec![0.0; length];
                clip(&mel, &self.clips[i as usize], &mut out);
                out
            })
            .collect();
        Ok(Standard::of(features.bands, values.into_iter().flatten()))
    }

    /// Sets the front end and whether training clips vary.
    pub fn prepare(&mut self, features: &Features, standard: &Standard, augment: bool) -> Result<(), TrainError> {
        let shape = [usize::from(features.frames), features.bands];
        self.prepared = Some(Prepared { features: features.clone(), shape, mel: mel(features, standard)?, augment });
        Ok(())
    }

    /// A checksum of samples and classes: a continued run must see the same data.
    pub fn fingerprint(&self) -> u32 {
        let mut hash = crc32fast::Hasher::new();
        for (clip, class) in self.clips.iter().zip(&self.classes) {
            clip.iter().for_each(|s| hash.update(&s.to_le_bytes()));
            hash.update(&class.to_le_bytes());
        }
        hash.finalize()
    }
}

fn mel(features: &Features, standard: &Standard) -> Result<LogMel, TrainError> {
    LogMel::new(&features.settings(standard)).map_err(|e| TrainError::data("log-mel front end", e.to_string()))
}

fn clip(mel: &LogMel, samples: &[i16], out: &mut [f32]) {
    mel.clone().clip_f32(samples, out).expect("as long as frames times bands");
}

impl Samples for Sounds {
    fn classes(&self) -> &[u16] {
        &self.classes
    }

    fn shape(&self) -> &[usize] {
        self.prepared.as_ref().map_or(&[0, 0], |p| &p.shape)
    }

    fn write(&self, index: usize, augment: Option<&mut ChaCha8Rng>, out: &mut [f32]) {
        let prepared = self.prepared.as_ref().expect("prepare() comes before training");
        let Prepared { features, mel, .. } = prepared;
        match augment.filter(|_| prepared.augment) {
            None => clip(mel, &self.clips[index], out),
            Some(rng) => {
                clip(mel, &vary::samples(&self.clips[index], features.clip_len(), rng), out);
                vary::mask(out, features.bands, rng);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use escarp_media::Kind;

    fn sine(hz: f32, rate: u32, n: usize) -> Pcm {
        let sample = |i: usize| (8000.0 * libm::sinf(std::f32::consts::TAU * hz * i as f32 / rate as f32)) as i16;
        Pcm { rate, samples: (0..n).map(sample).collect() }
    }

    fn folder(files: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, Folder) {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, bytes)| std::fs::write(folder.path().join(name), bytes).unwrap());
        let listing = Folder::open(folder.path(), Kind::Sound).unwrap();
        (folder, listing)
    }

    #[test]
    fn the_settings_of_fsdd_come_out_by_themselves() {
        let features = Features::new(8000, 32, 64).unwrap();
        assert_eq!((features.frame, features.hop, features.fft(), features.clip_len()), (200, 80, 256, 5240));
        assert!(Features::new(8000, 65, 64).is_err());
        assert!(Features::new(100, 32, 64).is_err());
        assert!(Features::new(8000, 32, 0).is_err());
    }

    #[test]
    fn clips_are_brought_to_one_rate_and_heard() {
        let (_folder, listing) = folder(&[
            ("low_a_0.wav", sine(300.0, 8000, 5240).encode().unwrap()),
            ("low_a_1.wav", sine(300.0, 16_000, 10_480).encode().unwrap()),
            ("high_a_0.wav", sine(3000.0, 8000, 5240).encode().unwrap()),
        ]);
        let Decoded { mut sounds, rate, resampled } = Sounds::decode(&listing, Some(8000)).unwrap();
        assert_eq!((rate, sounds.classes(), &resampled[..]), (8000, &[0, 1, 1][..], &[(16_000, 1)][..]));
        assert!(sounds.clips.iter().all(|c| c.len().abs_diff(5240) < 3), "resampled");
        let features = Features::new(8000, 16, 64).unwrap();
        let standard = sounds.statistics(&features, &[0, 1, 2]).unwrap();
        sounds.prepare(&features, &standard, false).unwrap();
        let loudest = |index| {
            let mut out = vec![0.0; 64 * 16];
            sounds.write(index, None, &mut out);
            let middle = &out[32 * 16..33 * 16];
            (0..16).max_by(|&a, &b| middle[a].total_cmp(&middle[b])).unwrap()
        };
        assert!(loudest(0) > loudest(1));
        assert_eq!(loudest(1), loudest(2));
    }

    #[test]
    fn the_rate_of_most_clips_is_that_of_the_data_set() {
        let decoded = |rates: &[u32]| {
            let clips = rates.iter().map(|&rate| sine(300.0, rate, rate as usize / 4).encode().unwrap());
            let names = ["a_x_0.wav", "a_x_1.wav", "b_x_0.wav", "b_x_1.wav", "b_x_2.wav"];
            let (_folder, listing) = folder(&names.into_iter().zip(clips).collect::<Vec<_>>());
            let Decoded { sounds, rate, resampled } = Sounds::decode(&listing, None).unwrap();
            assert!(sounds.clips.iter().all(|clip| clip.len().abs_diff(rate as usize / 4) < 3), "all at {rate} Hz");
            (rate, resampled)
        };
        // The first file's 16 kHz would fill the rest with silence above 4 kHz.
        assert_eq!(decoded(&[16_000, 8000, 8000, 11_025, 8000]), (8000, vec![(11_025, 1), (16_000, 1)]));
        assert_eq!(decoded(&[16_000, 8000, 16_000, 8000]).0, 8000, "of as many the lower");
        assert_eq!(decoded(&[48_000, 48_000, 8000]), (16_000, vec![(8000, 1), (48_000, 2)]));
        assert_eq!(
            decoded(&[2000, 2000, 8000]),
            (4000, vec![(2000, 2), (8000, 1)]),
            "the lowest that the front end takes"
        );
    }

    #[test]
    fn corrupt_headers_and_impossible_rates_are_named() {
        let mut impossible = sine(300.0, 8000, 100).encode().unwrap();
        impossible[24..28].copy_from_slice(&0u32.to_le_bytes());
        for bytes in [b"RIFF rubbish".to_vec(), impossible] {
            let good = sine(300.0, 8000, 100).encode().unwrap();
            let (_folder, listing) = folder(&[("a_x_0.wav", good), ("b_x_0.wav", bytes)]);
            let error = Sounds::decode(&listing, None).err().unwrap().to_string();
            assert!(error.contains("b_x_0.wav") && error.contains("WAV"), "{error}");
        }
    }
}
