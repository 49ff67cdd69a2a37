//! What runs on floats gives the same bits on every machine: hashes that x86-64 and aarch64 both reproduce. A change of
//! these numbers is a change of what every trained network hears.

use escarp_media::resample;
use escarp_runtime::frontend::{LogMel, LogMelSettings, Norm, PixelSettings};

/// FNV-1a, 64 bits.
fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// Numerical Recipes' linear congruential generator.
fn noise(count: usize) -> Vec<i16> {
    let mut state = 12_345u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 17) as i16 - 16_384
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn log_mel() {
    let norm = Norm::new(&[-3.25; 40], &[1.7; 40]);
    for (fft, want) in [(256, 0xafe1_88fc_010e_d160), (512, 0x6f5f_2d72_2e38_47e4), (1024, 0xed90_0edf_8b70_ed96)] {
        let settings = LogMelSettings {
            sample_rate: 16_000,
            frame: fft * 3 / 4,
            hop: fft / 4,
            fft,
            frames: 50,
            low_hz: 60.0,
            high_hz: 7600.0,
            floor: 1e-6,
            norm,
        };
        let mut features = vec![0.0; 50 * 40];
        LogMel::new(&settings).unwrap().clip_f32(&noise(8000), &mut features).unwrap();
        assert_eq!(hash(features.iter().flat_map(|v| v.to_le_bytes())), want, "fft {fft}");
    }
}

#[test]
fn resampling() {
    for (from, to, want) in [
        (8000, 16_000, 0x3310_e603_aec5_4ab7),
        (44_100, 16_000, 0x965a_5345_a224_9750),
        (48_001, 8000, 0xb011_b497_8adb_fbbb),
    ] {
        let samples = resample(&noise(4000), from, to);
        assert_eq!(hash(samples.iter().flat_map(|v| v.to_le_bytes())), want, "{from} -> {to}");
    }
}

#[test]
fn pixels() {
    let settings = PixelSettings { norm: Norm::new(&[0.4914, 0.4822, 0.4465], &[0.247, 0.2435, 0.2616]) };
    let values = (0..=255).flat_map(|p| (0..3).map(move |c| settings.value(p, c)));
    assert_eq!(hash(values.flat_map(f32::to_le_bytes)), 0x74db_2469_4278_518b);
}
