//! Generated recordings: what the accelerometer of [`gestures`](super::gestures) would read while several gestures follow
//! each other, with rest between them, and which gesture it is in each of its samples.
//!
//! The device is held alike through a recording; the gestures are those that last, so that their samples can be told. Each
//! sets in within a tenth of a second. How a gesture begins says little of which it is: a net that answers every sample
//! must err on some of the first ones.

use std::{f32::consts::TAU, path::Path};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{
    Counts,
    gestures::{AXES, Held, Movement, RATE},
    normal, write_parts,
};
use crate::{
    engine::random::{Purpose, stream},
    error::TrainError,
};

/// The classes in alphabetical order.
pub const LABELS: [&str; 5] = ["circle-left", "circle-right", "figure-eight", IDLE, "shake"];

const IDLE: &str = "idle";

/// Recordings that `escarp-train motion --net gru-tagger` trains and tests on by itself.
pub const COUNTS: Counts = Counts { train: 160, test: 40 };

/// Samples in which a gesture sets in and dies down.
const RAMP: f32 = 5.0;

/// Recording `index` of `part` (0 training, 1 test): `[samples, AXES]` in g, and the class of each sample.
pub fn recording(seed: u64, part: u32, index: u32) -> (Vec<f32>, Vec<u16>) {
    let rng = &mut stream(seed, Purpose::Recordings, part, index);
    let held = Held::new(rng);
    let noise = rng.random_range(0.01..0.06);
    let drift = (rng.random_range(0.05..0.4f32), rng.random_range(0.0..TAU), rng.random_range(0.0..0.1f32));
    let (mut samples, mut classes) = (Vec::new(), Vec::new());
    let mut add = |class: usize, length: u32, rng: &mut ChaCha8Rng| {
        let movement = Movement::new(rng);
        for frame in 0..length {
            let strength = (1.0f32).min((frame + 1) as f32 / RAMP).min((length - frame) as f32 / RAMP);
            let [x, y, z] = movement.at(LABELS[class], frame as f32 / RATE);
            let t = classes.len() as f32 / RATE;
            let sway = drift.2 * libm::sinf(TAU * drift.0 * t + drift.1);
            let read = held.turned([strength * x + sway, strength * y, 1.0 + strength * (z - 1.0)]);
            samples.extend(read.map(|a| a + noise * normal(rng)));
            classes.push(class as u16);
        }
    };
    let idle = LABELS.iter().position(|label| *label == IDLE).expect("one of them");
    add(idle, rng.random_range(10..50), rng);
    for _ in 0..rng.random_range(2..7) {
        // Any but rest.
        let gesture = (idle + rng.random_range(1..LABELS.len() as u64) as usize) % LABELS.len();
        add(gesture, rng.random_range(50..120), rng);
        add(idle, rng.random_range(10..50), rng);
    }
    (samples, classes)
}

/// Writes the recordings as CSV (`x,y,z` in g and `label`, one line a sample) into `folder/train` and `folder/test`.
pub fn write(folder: &Path, seed: u64, counts: Counts) -> Result<(), TrainError> {
    write_parts(folder, counts, |part, index| {
        let (samples, classes) = recording(seed, part, index);
        let row = |(v, class): (&[f32], &u16)| format!("{},{},{},{}\n", v[0], v[1], v[2], LABELS[usize::from(*class)]);
        let rows = samples.chunks_exact(AXES).zip(&classes).map(row);
        let text: String = std::iter::once("x,y,z,label\n".to_owned()).chain(rows).collect();
        Ok((format!("{index:04}.csv"), text.into_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gestures_follow_each_other_with_rest_between() {
        let mut lengths = std::collections::BTreeSet::new();
        for index in 0..20 {
            let (samples, classes) = recording(0, 0, index);
            assert_eq!(samples.len(), AXES * classes.len());
            lengths.insert(classes.len());
            let mut pieces = classes.clone();
            pieces.dedup();
            assert!(pieces.len() >= 5 && pieces.iter().step_by(2).all(|&class| LABELS[usize::from(class)] == IDLE));
            assert!(pieces.iter().skip(1).step_by(2).all(|&class| LABELS[usize::from(class)] != IDLE));
        }
        assert!(lengths.len() > 10, "all of different lengths");
        assert_eq!(recording(0, 1, 3), recording(0, 1, 3));
        assert_ne!(recording(0, 1, 3), recording(0, 0, 3));
    }
}
