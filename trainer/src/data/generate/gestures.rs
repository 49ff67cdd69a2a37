//! Generated gestures: what a 3-axis accelerometer in a hand or on a wrist would read, in g.
//!
//! The device is held at a random tilt (up to 35 degrees) and a random heading, so that no axis
//! means anything by itself; onset, speed and strength of each movement vary, gravity, a slow drift
//! of the hand and sensor noise are always there. Circles to the left and to the right differ only
//! in the order in which two axes move.

use std::{
    f32::consts::{FRAC_PI_2, TAU},
    path::Path,
};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Counts, normal, write_folders};
use crate::{
    engine::random::{Purpose, stream},
    error::TrainError,
};

/// The classes, in alphabetical order as a folder would list them.
pub const LABELS: [&str; 8] =
    ["circle-left", "circle-right", "double-tap", "figure-eight", "idle", "shake", "tap", "turn-over"];

/// Samples in a window.
pub const FRAMES: usize = 64;

/// Samples a second: a window lasts 1.28 s.
pub const RATE: f32 = 50.0;

/// Axes x, y, z.
pub const AXES: usize = 3;

/// What `escarp-train motion` trains and tests on by itself.
pub const COUNTS: Counts = Counts { train: 300, test: 100 };

/// Per cent of the test windows that softmax regression on the samples stays below; measured 36.8, chance is 12.5.
pub const LINEAR_LIMIT: f64 = 40.0;

type Vector = [f32; 3];

/// Window `index` of `class` in `part` (0 training, 1 test), `[FRAMES, AXES]` in g.
pub fn window(seed: u64, part: u32, class: usize, index: u32) -> Vec<f32> {
    let rng = &mut stream(seed, Purpose::Gestures, part * LABELS.len() as u32 + class as u32, index);
    let held = Held::new(rng);
    let movement = Movement::new(rng);
    let noise = rng.random_range(0.01..0.06);
    let drift = (rng.random_range(0.05..0.4f32), rng.random_range(0.0..TAU), rng.random_range(0.0..0.1f32));
    let mut samples = Vec::with_capacity(FRAMES * AXES);
    for frame in 0..FRAMES {
        let t = frame as f32 / RATE;
        let mut v = movement.at(LABELS[class], t);
        v[0] += drift.2 * libm::sinf(TAU * drift.0 * t + drift.1);
        samples.extend(held.turned(v).map(|a| a + noise * normal(rng)));
    }
    samples
}

/// Writes the windows as CSV (`x,y,z` in g, one line a sample) below `folder/train` and `folder/test`.
pub fn write(folder: &Path, seed: u64, counts: Counts) -> Result<(), TrainError> {
    write_folders(folder, &LABELS, "csv", counts, |part, class, index| {
        Ok(csv(&window(seed, part, class, index)).into_bytes())
    })
}

/// Rust prints the shortest decimal that reads back as the same number, so nothing is lost.
fn csv(window: &[f32]) -> String {
    let line = |v: &[f32]| format!("{},{},{}\n", v[0], v[1], v[2]);
    std::iter::once("x,y,z\n".to_owned()).chain(window.chunks_exact(AXES).map(line)).collect()
}

/// How the device lies in the hand: first the heading about the vertical, then a tilt.
pub(super) struct Held {
    heading: (f32, f32),
    tilt: (f32, f32),
    about: (f32, f32),
}

impl Held {
    pub(super) fn new(rng: &mut ChaCha8Rng) -> Self {
        Self {
            heading: libm::sincosf(rng.random_range(0.0..TAU)),
            tilt: libm::sincosf(rng.random_range(0.0..0.61)),
            about: libm::sincosf(rng.random_range(0.0..TAU)),
        }
    }

    /// World coordinates to the device's.
    pub(super) fn turned(&self, v: Vector) -> Vector {
        let plane = |(s, c): (f32, f32), [x, y, z]: Vector| [c * x - s * y, s * x + c * y, z];
        let back = |(s, c): (f32, f32)| (-s, c);
        let [x, y, z] = plane(self.about, plane(self.heading, v));
        let (s, c) = self.tilt;
        plane(back(self.about), [x, c * y - s * z, s * y + c * z])
    }
}

/// The random numbers of one movement.
pub(super) struct Movement {
    /// Seconds from the window's start; where a tap or a turn happens.
    onset: f32,
    /// Radians at the window's start.
    phase: f32,
    /// 0 to 1: slow to fast within what the gesture allows.
    speed: f32,
    /// g.
    strength: f32,
    /// Up or down, first this way or the other.
    sign: f32,
}

impl Movement {
    pub(super) fn new(rng: &mut ChaCha8Rng) -> Self {
        Self {
            onset: rng.random_range(0.15..0.65),
            phase: rng.random_range(0.0..TAU),
            speed: rng.random(),
            strength: rng.random_range(0.3..1.0),
            sign: if rng.random() { 1.0 } else { -1.0 },
        }
    }

    /// Acceleration at `t` seconds in world coordinates, gravity (1 g along z) included.
    pub(super) fn at(&self, label: &str, t: f32) -> Vector {
        let a = self.strength;
        let turns = |slow: f32, fast: f32| TAU * (slow + self.speed * (fast - slow)) * t + self.phase;
        match label {
            "circle-left" | "circle-right" => {
                let (s, c) = libm::sincosf(turns(1.0, 2.5));
                [a * c, if label == "circle-left" { a * s } else { -a * s }, 1.0]
            }
            // A Lissajous figure: one axis swings twice as fast as the other.
            "figure-eight" => {
                let angle = turns(0.8, 1.8);
                [a * libm::sinf(angle), a * libm::sinf(2.0 * angle), 1.0]
            }
            "shake" => [1.5 * a * libm::sinf(turns(2.5, 6.0)), 0.0, 1.0],
            "tap" => [0.0, 0.0, 1.0 + self.knock(t - self.onset)],
            "double-tap" => {
                let gap = 0.2 + 0.2 * self.speed;
                [0.0, 0.0, 1.0 + self.knock(t - self.onset) + self.knock(t - self.onset - gap)]
            }
            // Gravity swings from z to x and further while the hand turns over.
            "turn-over" => {
                let through = ((t - self.onset) / (0.3 + 0.3 * self.speed)).clamp(0.0, 1.0);
                let (s, c) = libm::sincosf(FRAC_PI_2 * through * (1.0 + self.strength) * self.sign);
                [s, 0.0, c]
            }
            "idle" => [0.0, 0.0, 1.0],
            label => unreachable!("`{label}` is in LABELS"),
        }
    }

    /// A knock that rings for about 60 ms: a damped oscillation of 12 Hz.
    fn knock(&self, t: f32) -> f32 {
        if t < 0.0 {
            return 0.0;
        }
        1.5 * self.sign * self.strength * libm::expf(-t / 0.05) * libm::cosf(TAU * 12.0 * t)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{
        Samples,
        generate::linear,
        motion::{Motion, Recorded},
    };

    #[test]
    fn a_still_device_reads_one_g_at_any_tilt() {
        let idle = LABELS.iter().position(|l| *l == "idle").unwrap();
        for index in 0..20 {
            let window = window(3, 0, idle, index);
            let mean: Vec<f32> =
                (0..3).map(|axis| window.iter().skip(axis).step_by(3).sum::<f32>() / FRAMES as f32).collect();
            let g = mean.iter().map(|m| m * m).sum::<f32>().sqrt();
            assert!((g - 1.0).abs() < 0.12, "{g}");
            assert!(mean[2] > 0.7, "tilt stays within 35 degrees: {mean:?}");
        }
    }

    #[test]
    fn csv_reads_back_to_the_bit() {
        let window = window(3, 0, 0, 1);
        let text = csv(&window);
        let read: Vec<f32> = text.lines().skip(1).flat_map(|l| l.split(',').map(|v| v.parse().unwrap())).collect();
        assert_eq!(read, window);
    }

    #[test]
    fn a_linear_model_fails() {
        let part = |part, count| Motion::builtin(0, part, count);
        let (mut train, mut test) = (part(0, COUNTS.train), part(1, COUNTS.test));
        let standard = train.statistics(&Vec::from_iter(0..train.classes().len() as u32));
        train.prepare(&standard, false);
        test.prepare(&standard, false);
        linear::stays_below(LINEAR_LIMIT, &train, &test, LABELS.len());
    }
}
