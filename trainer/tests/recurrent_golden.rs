//! Recurrent layers say and learn what PyTorch's do (golden numbers, made by `golden/torch_recurrent.py`).

use escarp_trainer::layers::{
    InputGradient, Layer, Mode, Noise, Pass, conv::ConvBuffers, gru::Gru, gru_reset_before::GruResetBefore,
    init::bias::GateBias, lstm::Lstm, recurrent::Recurrent, rnn::Rnn,
};
use ndarray::ArrayD;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

const BATCH: usize = 3;
const FRAMES: usize = 4;
const INPUTS: usize = 2;
const HIDDEN: usize = 3;
/// The file has six digits.
const TOLERANCE: f64 = 1e-6;

/// One layer, one batch.
#[derive(Deserialize)]
struct Case {
    kind: String,
    both: bool,
    lengths: Vec<usize>,
    every_step: bool,
    output: Vec<f64>,
    input_gradient: Vec<f64>,
    /// For each direction `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`.
    gradients: Vec<Vec<f64>>,
}

/// The script's function of that name.
fn wave(len: usize, start: f64) -> Vec<f64> {
    (0..len).map(|k| 0.7 * (start + 1.3 * k as f64).sin()).collect()
}

/// Rows of PyTorch's gates, in the order in which our columns have them.
fn gates(kind: &str) -> &'static [usize] {
    match kind {
        "rnn" => &[0],
        "lstm" => &[0, 3, 1, 2], // i, f, g, o to i, o, f, g
        _ => &[1, 0, 2],         // r, z, n to z, r, n
    }
}

/// PyTorch's `[gates, inputs]` as our `[inputs, gates]`.
fn turned(theirs: &[f64], order: &[usize]) -> Vec<f64> {
    let inputs = theirs.len() / (order.len() * HIDDEN);
    let rows = || order.iter().flat_map(|gate| (0..HIDDEN).map(move |k| gate * HIDDEN + k));
    (0..inputs).flat_map(|i| rows().map(move |row| theirs[row * inputs + i])).collect()
}

fn layer(case: &Case) -> Box<dyn Layer<f64>> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    macro_rules! wrap {
        ($cell:expr) => {
            match case.both {
                true => Box::new(Recurrent::bidirectional($cell, $cell, case.every_step)),
                false => Box::new(Recurrent::new($cell, case.every_step)),
            }
        };
    }
    match &case.kind[..] {
        "rnn" => wrap!(Rnn::new(INPUTS, HIDDEN, &mut rng)),
        "lstm" => wrap!(Lstm::new(INPUTS, HIDDEN, GateBias::One, &mut rng)),
        "gru" => wrap!(Gru::new(INPUTS, HIDDEN, GateBias::Zeros, &mut rng)),
        "gru reset before" => wrap!(GruResetBefore::new(INPUTS, HIDDEN, GateBias::Zeros, &mut rng)),
        other => panic!("golden of a layer `{other}`"),
    }
}

#[test]
fn pytorch_agrees() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden/torch_recurrent.json")).expect("the golden file");
    assert_eq!(cases.len(), 16, "four cells, two directions, two ways");
    for case in cases {
        let name = format!("{}, both {}, every step {}", case.kind, case.both, case.every_step);
        let order = gates(&case.kind);
        let mut layer = layer(&case);
        let mut parameters = Vec::new();
        layer.parameters("p", &mut parameters);
        // Tensors of a direction that we have: with one bias all but the last.
        let tensors = parameters.len() / if case.both { 2 } else { 1 };
        let place = |i: usize| i / tensors * 4 + i % tensors;
        for (i, p) in parameters.into_iter().enumerate() {
            let theirs = wave(p.value.len(), place(i) as f64);
            p.value.copy_from_slice(&turned(&theirs, order));
        }
        let shape = |shape: &[usize], start| {
            ArrayD::from_shape_vec(shape, wave(shape.iter().product(), start)).expect("as many numbers")
        };
        let x = shape(&[BATCH, FRAMES, INPUTS], 0.5);
        let mut y = ArrayD::zeros(vec![0]);
        let mut conv = ConvBuffers::default();
        let mut pass =
            Pass { mode: Mode::Train, lengths: Some(&case.lengths), noise: Noise::default(), conv: &mut conv };
        layer.forward(&[&x], &mut y, &mut pass);
        close(&name, "output", &numbers(&y), &case.output);
        let (mut dy, mut dx) = (shape(y.shape(), 0.25), ArrayD::zeros(vec![0]));
        layer.backward(&[&x], &y, &mut dy, &mut [InputGradient::Write(&mut dx)], &mut pass);
        close(&name, "input gradient", &numbers(&dx), &case.input_gradient);
        let mut parameters = Vec::new();
        layer.parameters("p", &mut parameters);
        for (i, p) in parameters.into_iter().enumerate() {
            close(&name, &p.name, p.gradient, &turned(&case.gradients[place(i)], order));
        }
    }
}

fn numbers(array: &ArrayD<f64>) -> Vec<f64> {
    array.iter().copied().collect()
}

fn close(case: &str, what: &str, ours: &[f64], theirs: &[f64]) {
    assert_eq!(ours.len(), theirs.len(), "{case}: {what}");
    for (i, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert!((ours - theirs).abs() < TOLERANCE, "{case}: {what}[{i}]: {ours}, PyTorch {theirs}");
    }
}
