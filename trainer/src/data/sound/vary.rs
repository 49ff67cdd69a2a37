//! Augmentation of sound: another speaker, another room, another microphone.
//!
//! A network trained on few voices learns the voices. So each training clip is played at another
//! speed (which also moves pitch and formants), through another tilt of the spectrum, louder or
//! softer, earlier or later, over some noise; then parts of its features are masked (Park et al.,
//! "SpecAugment", 2019).

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Slowest and fastest playback.
const SPEED: std::ops::Range<f32> = 0.8..1.25;

/// Widest mask: a sixth of the bands, an eighth of the frames; two of each kind at most.
const MASKED_BANDS: usize = 6;
const MASKED_FRAMES: usize = 8;

/// A varied clip of `length` samples.
pub fn samples(clip: &[i16], length: usize, rng: &mut ChaCha8Rng) -> Vec<i16> {
    let speed = rng.random_range(SPEED);
    let mut sound = played(clip, speed);
    sound.truncate(length);
    tilt(&mut sound, rng.random_range(-0.4..0.7f32));

    // Ends at the end, as unvaried clips do, or anywhere.
    let room = length - sound.len();
    let start = if rng.random() { room } else { rng.random_range(0..=room) };

    let rms = (sound.iter().map(|s| s * s).sum::<f32>() / sound.len().max(1) as f32).sqrt();
    // Distance and microphone: between two speakers of one data set the level differs by 20 dB already.
    let gain = libm::powf(10.0, rng.random_range(-1.6..0.4f32)); // -32 to 8 dB
    let noise = match rng.random::<bool>() {
        true => rms * gain * libm::powf(10.0, rng.random_range(-2.5..-0.4f32)), // 50 to 8 dB below
        false => 0.0,
    };
    let mut varied = vec![0f32; length];
    varied[start..start + sound.len()].iter_mut().zip(&sound).for_each(|(v, s)| *v = gain * s);
    // A float becomes the nearest i16 within the range: the cast saturates, as a microphone does.
    varied.iter().map(|v| (v + noise * rng.random_range(-1.7..1.7f32)).round() as i16).collect()
}

/// The clip `speed` times as fast, linearly interpolated.
fn played(clip: &[i16], speed: f32) -> Vec<f32> {
    let at = |i: usize| f32::from(*clip.get(i).unwrap_or(&0));
    let length = (clip.len() as f32 / speed) as usize;
    (0..length)
        .map(|i| {
            let from = i as f32 * speed;
            at(from as usize) + from.fract() * (at(from as usize + 1) - at(from as usize))
        })
        .collect()
}

/// `y[t] = x[t] - amount x[t - 1]`: above 0 lifts the treble, below 0 the bass.
fn tilt(sound: &mut [f32], amount: f32) {
    let mut last = 0.0;
    for x in sound {
        (last, *x) = (*x, *x - amount * last);
    }
}

/// Sets up to two runs of bands and two of frames to the mean, 0.
pub fn mask(features: &mut [f32], bands: usize, rng: &mut ChaCha8Rng) {
    let frames = features.len() / bands;
    for _ in 0..rng.random_range(0..=2u32) {
        let width = rng.random_range(1..=MASKED_BANDS.min(bands / 4).max(1));
        let from = rng.random_range(0..=bands - width);
        features.chunks_exact_mut(bands).for_each(|frame| frame[from..from + width].fill(0.0));
    }
    for _ in 0..rng.random_range(0..=2u32) {
        let length = rng.random_range(1..=MASKED_FRAMES.min(frames / 4).max(1));
        let from = rng.random_range(0..=frames - length);
        features[from * bands..(from + length) * bands].fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn playing_faster_raises_the_pitch() {
        let clip: Vec<i16> = (0..800).map(|i| if i % 40 < 20 { 1000 } else { -1000 }).collect();
        let crossings = |s: &[f32]| s.windows(2).filter(|w| w[0].signum() != w[1].signum()).count() as f32;
        let (slow, fast) = (played(&clip, 0.8), played(&clip, 1.25));
        assert_eq!((slow.len(), fast.len()), (1000, 640));
        let pitch = |s: &[f32]| crossings(s) / s.len() as f32;
        assert!((pitch(&fast) / pitch(&slow) - 1.25 / 0.8).abs() < 0.1);
    }

    #[test]
    fn clips_of_any_length_fill_the_window() {
        for n in [0, 1, 100, 5240, 20_000] {
            for seed in 0..20 {
                let varied = samples(&vec![500; n], 5240, &mut ChaCha8Rng::seed_from_u64(seed));
                assert_eq!(varied.len(), 5240);
            }
        }
    }

    #[test]
    fn masks_cover_some_and_never_most() {
        let mut touched = 0;
        for seed in 0..100 {
            let mut features = vec![1.0; 64 * 32];
            mask(&mut features, 32, &mut ChaCha8Rng::seed_from_u64(seed));
            let masked = features.iter().filter(|&&f| f == 0.0).count();
            assert!(masked < features.len() / 2 + features.len() / 8);
            touched += usize::from(masked > 0);
        }
        assert!(touched > 50);
    }
}
