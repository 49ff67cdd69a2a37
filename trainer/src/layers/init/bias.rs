//! Initial biases of the gates by which a recurrent layer keeps its state.
//!
//! A gate of constant value `f` forgets within about `1 / (1 - f)` steps. With a zero bias `f` is one half: the state and
//! its gradient halve at every step, and nothing is learned over more than a few of them until the bias has grown.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::engine::scalar::Scalar;

/// How the gates start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "a table, as in { kind = \"zeros\" }, { kind = \"one\" } or { kind = \"chrono\", longest = 400 }")]
pub enum GateBias {
    /// All biases 0.
    Zeros,
    /// The keeping gate's biases 1 (Gers et al., 2000; Jozefowicz et al., ICML 2015). Keras' `unit_forget_bias`.
    #[default]
    One,
    /// Chrono initialization (Tallec and Ollivier, ICLR 2018): the keeping gate's biases are `ln u` with `u` uniform in
    /// `1..longest - 1`, so that the units' memories are spread evenly over `2..longest` steps.
    Chrono {
        /// Steps over which something may have to be remembered, 2 or more.
        longest: usize,
    },
}

/// Biases of the two gates between which a state is shared, one number for each unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Gates<T> {
    /// Of the gate whose value 1 keeps the state: an LSTM's forget gate, a GRU's update gate `z` in `h' = n + z (h - n)`.
    pub keep: Vec<T>,
    /// Of the gate that lets the new in: an LSTM's input gate. A GRU has none; there it is `1 - z`.
    pub write: Vec<T>,
}

impl GateBias {
    /// Biases of `hidden` units. A `longest` below 2 counts as 2.
    pub fn fill<T: Scalar>(&self, hidden: usize, rng: &mut impl Rng) -> Gates<T> {
        let both = |keep: Vec<f64>, write: Vec<f64>| Gates {
            keep: keep.into_iter().map(T::of).collect(),
            write: write.into_iter().map(T::of).collect(),
        };
        match *self {
            Self::Zeros => both(vec![0.0; hidden], vec![0.0; hidden]),
            Self::One => both(vec![1.0; hidden], vec![0.0; hidden]),
            Self::Chrono { longest } => {
                let most = longest.saturating_sub(1).max(1) as f64;
                let keep: Vec<f64> = (0..hidden).map(|_| rng.random_range(1.0..=most).ln()).collect();
                let write = keep.iter().map(|b| -b).collect();
                both(keep, write)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{GateBias, Gates};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn fill(bias: GateBias, hidden: usize) -> Gates<f64> {
        bias.fill(hidden, &mut ChaCha8Rng::seed_from_u64(3))
    }

    #[test]
    fn simple_kinds_by_hand() {
        assert_eq!(fill(GateBias::One, 2), Gates { keep: vec![1.0; 2], write: vec![0.0; 2] });
        assert_eq!(fill(GateBias::Zeros, 2), Gates { keep: vec![0.0; 2], write: vec![0.0; 2] });
    }

    #[test]
    fn chrono_spreads_the_memories_evenly() {
        let Gates { keep, write } = fill(GateBias::Chrono { longest: 400 }, 10_000);
        assert!(keep.iter().zip(&write).all(|(k, w)| *w == -k));
        // What a gate of constant value f remembers: 1 / (1 - f) steps.
        let memory: Vec<f64> = keep.iter().map(|b| 1.0 / (1.0 - 1.0 / (1.0 + (-b).exp()))).collect();
        assert!(memory.iter().all(|m| (2.0 - 1e-9..=400.0 + 1e-9).contains(m)));
        for quarter in [100.0, 200.0, 300.0] {
            let below = memory.iter().filter(|&&m| m < quarter).count() as f64 / 1e4;
            assert!((below - (quarter - 2.0) / 398.0).abs() < 0.02, "{below} below {quarter}");
        }
        assert_eq!(fill(GateBias::Chrono { longest: 0 }, 1).keep, [0.0]);
    }
}
