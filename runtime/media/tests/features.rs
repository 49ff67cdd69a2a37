//! The log-mel front end against features that an independent implementation (NumPy, `f64`) computed from the same clips.

mod shared;

use escarp_media::{Folder, Kind, Npy, Pcm, read_file};
use escarp_runtime::frontend::{LogMel, LogMelSettings, Norm};

#[test]
fn spoken_digits() {
    let (Some(clips), Some(rnn)) = (shared::shared("data/fsdd/fsdd.tar"), shared::shared("models/rnn")) else { return };
    let array = |name| Npy::decode(&read_file(&rnn.join(name), 1 << 28).unwrap()).unwrap();
    let (want, norm) = (array("fsdd-test250.features.npy"), array("norm.npy").to_f32());
    assert_eq!(want.shape, [250, 64, 32]);
    let labels = array("fsdd-test250.labels.npy").to_f32();
    let settings = LogMelSettings {
        sample_rate: 8000,
        frame: 200,
        hop: 80,
        fft: 256,
        frames: 64,
        low_hz: 20.0,
        high_hz: 4000.0,
        floor: 1e-6,
        norm: Norm::new(&norm[..32], &norm[32..]),
    };
    let mut mel = LogMel::new(&settings).unwrap();

    let mut folder = Folder::open(clips, Kind::Sound).unwrap();
    assert_eq!((folder.len(), folder.classes().len()), (2500, 10));
    // The official test split: index 0 to 4 of each speaker and digit.
    folder.retain(|e| e.name.trim_end_matches(".wav").rsplit('_').next().unwrap().parse::<u32>().unwrap() < 5);
    assert_eq!(folder.len(), 250);

    let want = want.to_f32();
    let (mut worst, mut sum) = (0.0f32, 0.0);
    let mut got = [0.0; 64 * 32];
    for ((sample, want), label) in folder.samples().zip(want.chunks_exact(64 * 32)).zip(labels) {
        let sample = sample.unwrap();
        assert_eq!(sample.label, Some(label as usize), "{}", sample.name);
        let pcm = Pcm::decode(&sample.bytes).unwrap();
        assert_eq!(pcm.rate, 8000);
        mel.clip_f32(&pcm.samples, &mut got).unwrap();
        for (g, w) in got.iter().zip(want) {
            worst = worst.max((g - w).abs());
            sum += f64::from((g - w).abs());
        }
    }
    println!("max |difference| {worst:e}, mean {:e}", sum / 512_000.0);
    assert!(worst < 1e-3, "{worst}");
}
