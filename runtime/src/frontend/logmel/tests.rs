//! The definition computed slowly, streaming in pieces, the clip policy, refused settings.

use super::*;
use crate::frontend::Norm;

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
