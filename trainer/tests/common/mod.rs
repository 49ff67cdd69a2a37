//! Nets that have every feed-forward kind of layer, for several tests.

use escarp_trainer::nets::{Arch, NetFile, Shape};
use ndarray::ArrayD;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A net of every feed-forward kind: convolutions in groups and depthwise, pools, a branch that is added again.
const MAPS: &str = r#"
input = { map = [11, 9, 3] }
classes = 5

[[layer]]
kind = "convolution"
name = "stem"
outputs = 8
padding = "valid"
activation = "hard-swish"
init = "he-normal"

[[layer]]
kind = "convolution"
name = "depthwise"
outputs = 8
groups = 8
normalize = true
activation = "relu"
init = "he-normal"

[[layer]]
kind = "convolution"
name = "grouped"
outputs = 8
groups = 2
padding = 2
kernel = 5
activation = "silu"
init = "he-normal"

[[layer]]
kind = "branch"
from = "stem"

[[layer]]
kind = "convolution"
name = "side"
outputs = 8
kernel = 1
padding = 0
activation = "leaky-relu"
init = "he-normal"

[[layer]]
kind = "add"
of = "grouped"
activation = "tanh"

[[layer]]
kind = "max-pool"
name = "max"
kernel = 3
stride = 2
padding = 1

[[layer]]
kind = "batch-norm"

[[layer]]
kind = "branch"
from = "max"

[[layer]]
kind = "average-pool"
kernel = 3
stride = 1
padding = 1
include_padding = true

[[layer]]
kind = "add"
of = "batch-norm8"

[[layer]]
kind = "average-pool"
padding = 1

[[layer]]
kind = "flatten"

[[layer]]
kind = "dense"
outputs = 6
activation = "sigmoid"
init = "lecun-normal"

[[layer]]
kind = "batch-norm"

[[layer]]
kind = "dropout"
rate = 0.25

[[layer]]
kind = "dense"
init = { kind = "orthogonal", gain = 1.4 }
"#;

/// Squeeze and excitation with both gates, and what mobile nets have around it.
const GATES: &str = r#"
input = { map = [9, 7, 3] }
classes = 4

[[layer]]
kind = "convolution"
name = "stem"
outputs = 12
stride = 2
normalize = true
activation = "hard-swish"
init = "he-normal"

[[layer]]
kind = "squeeze-excitation"
name = "soft"

[[layer]]
kind = "convolution"
outputs = 12
groups = 12
normalize = true
activation = "hard-sigmoid"
init = "he-normal"

[[layer]]
kind = "squeeze-excitation"
name = "hard"
reduction = 2
activation = "hard-swish"
gate = "hard-sigmoid"
init = "he-normal"

[[layer]]
kind = "add"
of = "soft"

[[layer]]
kind = "global-average-pool"

[[layer]]
kind = "dense"
"#;

/// Tokens through an embedding; frames pooled both ways.
const TOKENS: &str = r#"
input = { tokens = [7, 20] }
classes = 3

[[layer]]
kind = "embedding"
outputs = 6

[[layer]]
kind = "gru"
name = "gru"
hidden = 5
every_step = true

[[layer]]
kind = "batch-norm"

[[layer]]
kind = "activation"
name = "leak"
function = "leaky-relu"
slope = 0.2

[[layer]]
kind = "global-max-pool"
name = "max"

[[layer]]
kind = "branch"
from = "leak"

[[layer]]
kind = "global-average-pool"

[[layer]]
kind = "add"
of = "max"

[[layer]]
kind = "dropout"

[[layer]]
kind = "dense"
"#;

/// All of them, by name.
pub fn nets() -> Vec<(&'static str, Arch)> {
    let read = |(name, text)| (name, NetFile::parse(name, text).expect("sound").arch().expect("says its input"));
    [("maps", MAPS), ("tokens", TOKENS), ("gates", GATES)].map(read).to_vec()
}

/// Random samples for `arch`.
pub fn samples(arch: &Arch, batch: usize, rng: &mut ChaCha8Rng) -> ArrayD<f32> {
    let shape = arch.input_shape(batch);
    match arch.input {
        Shape::Tokens([_, vocabulary]) => ArrayD::from_shape_fn(shape, |_| rng.random_range(0..vocabulary) as f32),
        _ => ArrayD::from_shape_fn(shape, |_| rng.random_range(-1.5f32..1.5)),
    }
}
