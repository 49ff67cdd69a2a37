//! Every recurrent layer: derivatives against central differences, lengths, directions.

use escarp_trainer::layers::{
    InputGradient, Layer, Mode, Noise, Pass, conv::ConvBuffers, gru::Gru, gru_reset_before::GruResetBefore,
    init::bias::GateBias, kind::SATURATED, lstm::Lstm, recurrent::Recurrent, rnn::Rnn,
};
use ndarray::{ArrayD, Axis, Slice, concatenate};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const STEP: f64 = 1e-6;
const INPUTS: usize = 3;
const HIDDEN: usize = 4;

type AnyLayer = Box<dyn Layer<f64>>;

/// Every cell in one direction or both, with the last state or every one, away from its symmetric start, where zero
/// biases could hide a wrong derivative. The name says which.
fn layers() -> Vec<(String, AnyLayer)> {
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    let mut all = Vec::new();
    for every_step in [false, true] {
        for both in [false, true] {
            macro_rules! layer {
                ($name:literal, $cell:expr) => {
                    let layer: AnyLayer = match both {
                        true => Box::new(Recurrent::bidirectional($cell, $cell, every_step)),
                        false => Box::new(Recurrent::new($cell, every_step)),
                    };
                    all.push((format!("{}, both directions {both}, every step {every_step}", $name), layer));
                };
            }
            layer!("rnn", Rnn::new(INPUTS, HIDDEN, &mut rng));
            layer!("lstm", Lstm::new(INPUTS, HIDDEN, GateBias::One, &mut rng));
            layer!("gru, reset after", Gru::new(INPUTS, HIDDEN, GateBias::Zeros, &mut rng));
            layer!("gru, reset before", GruResetBefore::new(INPUTS, HIDDEN, GateBias::Zeros, &mut rng));
        }
    }
    for (_, layer) in &mut all {
        let mut parameters = Vec::new();
        layer.parameters("p", &mut parameters);
        for p in parameters {
            p.value.iter_mut().for_each(|v| *v += rng.random_range(-0.3..0.3));
        }
    }
    all
}

fn random(shape: &[usize], seed: u64) -> ArrayD<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    ArrayD::from_shape_fn(shape, |_| rng.random_range(-1.0..1.0))
}

fn forward(layer: &mut AnyLayer, x: &ArrayD<f64>, lengths: Option<&[usize]>) -> ArrayD<f64> {
    let mut y = ArrayD::from_elem(vec![1], f64::NAN);
    let mut conv = ConvBuffers::default();
    layer.forward(&[x], &mut y, &mut Pass { mode: Mode::Train, lengths, noise: Noise::default(), conv: &mut conv });
    y
}

/// Input gradient; those of the weights are in the layer.
fn backward(
    layer: &mut AnyLayer,
    x: &ArrayD<f64>,
    y: &ArrayD<f64>,
    dy: &ArrayD<f64>,
    lengths: Option<&[usize]>,
) -> ArrayD<f64> {
    let mut dx = ArrayD::zeros(vec![0]);
    let mut conv = ConvBuffers::default();
    let mut pass = Pass { mode: Mode::Train, lengths, noise: Noise::default(), conv: &mut conv };
    layer.backward(&[x], y, &mut dy.clone(), &mut [InputGradient::Write(&mut dx)], &mut pass);
    dx
}

fn parameter(layer: &mut AnyLayer, which: usize) -> &mut [f64] {
    let mut parameters = Vec::new();
    layer.parameters("p", &mut parameters);
    parameters.swap_remove(which).value
}

fn gradients(layer: &mut AnyLayer) -> Vec<(String, Vec<f64>)> {
    let mut parameters = Vec::new();
    layer.parameters("p", &mut parameters);
    parameters.into_iter().map(|p| (p.name, p.gradient.to_vec())).collect()
}

#[test]
fn derivatives_of_all_weights_and_inputs() {
    // Two pieces of unequal size; an ended sequence, equal lengths, a length of one, and none of full length.
    let (batch, frames) = (11, 6);
    let lengths = [3, 5, 1, 4, 2, 5, 5, 3, 1, 4, 2];
    for lengths in [None, Some(&lengths[..])] {
        for (name, mut layer) in layers() {
            let name = format!("{name}, lengths {}", lengths.is_some());
            let mut x = random(&[batch, frames, INPUTS], 22);
            let y = forward(&mut layer, &x, lengths);
            let weights = random(y.shape(), 23); // The loss is the sum of the outputs with these weights.
            let dx = backward(&mut layer, &x, &y, &weights, lengths);
            let loss = |layer: &mut AnyLayer, x: &ArrayD<f64>| (&forward(layer, x, lengths) * &weights).sum();
            let close = |what: String, slope: f64, exact: f64| {
                assert!(
                    (slope - exact).abs() < 2e-8 * (1.0 + slope.abs()),
                    "{name}: {what}: {exact}, measured {slope}"
                );
            };
            for (i, (tensor, exact)) in gradients(&mut layer).into_iter().enumerate() {
                assert!(exact.iter().any(|g| g.abs() > 1e-3), "{name}: {tensor}: zeros prove nothing");
                for (at, &exact) in exact.iter().enumerate() {
                    let mut side = |h: f64| {
                        parameter(&mut layer, i)[at] += h;
                        let value: f64 = loss(&mut layer, &x);
                        parameter(&mut layer, i)[at] -= h;
                        value
                    };
                    close(format!("{tensor}[{at}]"), (side(STEP) - side(-STEP)) / (2.0 * STEP), exact);
                }
            }
            for at in 0..x.len() {
                let mut side = |h: f64| {
                    x.as_slice_mut().expect("row-major")[at] += h;
                    let value = loss(&mut layer, &x);
                    x.as_slice_mut().expect("row-major")[at] -= h;
                    value
                };
                let slope = (side(STEP) - side(-STEP)) / (2.0 * STEP);
                close(format!("x[{at}]"), slope, dx.as_slice().expect("row-major")[at]);
            }
        }
    }
}

#[test]
fn a_padded_sequence_is_the_shorter_sequence() {
    let (batch, frames) = (20, 7);
    let lengths: Vec<usize> = (0..batch).map(|i| 1 + i * 5 % frames).collect();
    for (name, mut layer) in layers() {
        let mut x = random(&[batch, frames, INPUTS], 24);
        // What lies beyond the end must never be read.
        for (mut sequence, &n) in x.outer_iter_mut().zip(&lengths) {
            sequence.slice_axis_mut(Axis(0), Slice::from(n..)).fill(f64::NAN);
        }
        let padded = forward(&mut layer, &x, Some(&lengths));
        let dy = random(padded.shape(), 25);
        let padded_dx = backward(&mut layer, &x, &padded, &dy, Some(&lengths));
        let padded_gradients = gradients(&mut layer);
        let mut sums: Vec<Vec<f64>> = padded_gradients.iter().map(|(_, g)| vec![0.0; g.len()]).collect();
        for (i, &n) in lengths.iter().enumerate() {
            let cut = |a: &ArrayD<f64>| {
                let one = a.slice_axis(Axis(0), Slice::from(i..i + 1));
                let one = if a.ndim() == 3 { one.slice_axis(Axis(1), Slice::from(..n)) } else { one };
                one.as_standard_layout().into_owned()
            };
            let alone = forward(&mut layer, &cut(&x), None);
            let dx = backward(&mut layer, &cut(&x), &alone, &cut(&dy), None);
            assert!(far(&alone, &cut(&padded)) < 1e-12, "{name}: outputs of sequence {i}");
            assert!(far(&dx, &cut(&padded_dx)) < 1e-12, "{name}: input gradient of sequence {i}");
            let beyond = |a: &ArrayD<f64>| {
                a.index_axis(Axis(0), i).slice_axis(Axis(0), Slice::from(n..)).iter().all(|&v| v == 0.0)
            };
            assert!(padded.ndim() == 2 || beyond(&padded), "{name}: outputs beyond the end of {i}");
            assert!(beyond(&padded_dx), "{name}: gradients beyond the end of {i}");
            for (sum, (_, g)) in sums.iter_mut().zip(gradients(&mut layer)) {
                sum.iter_mut().zip(g).for_each(|(s, g)| *s += g);
            }
        }
        for ((tensor, g), sum) in padded_gradients.iter().zip(&sums) {
            assert!(g.iter().zip(sum).all(|(a, b)| (a - b).abs() < 1e-11), "{name}: gradient of {tensor}");
        }
    }
}

fn far(a: &ArrayD<f64>, b: &ArrayD<f64>) -> f64 {
    assert_eq!(a.shape(), b.shape());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn the_second_direction_is_the_first_of_reversed_sequences() {
    let mut rng = ChaCha8Rng::seed_from_u64(26);
    let cells = [0; 2].map(|_| Lstm::new(INPUTS, HIDDEN, GateBias::One, &mut rng));
    let x = random(&[3, 5, INPUTS], 27);
    let mut turned = x.clone();
    turned.invert_axis(Axis(1));
    let turned = turned.as_standard_layout().into_owned();
    let [first, second] = cells.clone();
    let run = |layer: Recurrent<f64, Lstm<f64>>, x: &ArrayD<f64>| {
        let mut layer: AnyLayer = Box::new(layer);
        forward(&mut layer, x, None)
    };
    let both = run(Recurrent::bidirectional(first, second, true), &x);
    let last = run(Recurrent::bidirectional(cells[0].clone(), cells[1].clone(), false), &x);
    let [first, second] = cells;
    let forwards = run(Recurrent::new(first, true), &x);
    let mut backwards = run(Recurrent::new(second, true), &turned);
    backwards.invert_axis(Axis(1));
    let beside = concatenate(Axis(2), &[forwards.view(), backwards.view()]).expect("one size").into_dyn();
    assert_eq!(both, beside);
    let ends = [forwards.index_axis(Axis(1), 4), backwards.index_axis(Axis(1), 0)];
    assert_eq!(last, concatenate(Axis(1), &ends).expect("one size").into_dyn());
}

#[test]
fn saturation_counts_gates_at_their_ends() {
    let mut rng = ChaCha8Rng::seed_from_u64(28);
    let mut layer: AnyLayer = Box::new(Recurrent::new(Lstm::new(INPUTS, HIDDEN, GateBias::One, &mut rng), true));
    let x = random(&[9, 6, INPUTS], 29);
    let lengths = [1, 2, 3, 4, 5, 6, 1, 2, 3];
    assert_eq!(layer.saturation(), None, "nothing has run yet");
    let y = forward(&mut layer, &x, Some(&lengths));
    assert_eq!(layer.saturation(), Some(0.0));
    // The input gate of unit 1 opened, the candidate of unit 2 pushed to its end: 2 of 16 gates.
    let bias = parameter(&mut layer, 2);
    bias[1] = 20.0;
    bias[3 * HIDDEN + 2] = -20.0;
    forward(&mut layer, &x, Some(&lengths));
    assert_eq!(layer.saturation(), Some(0.125), "at {SATURATED}");
    backward(&mut layer, &x, &y, &y, Some(&lengths));
    assert_eq!(layer.saturation(), None, "the gates are overwritten");
}

#[test]
fn the_ratio_over_time_is_that_of_the_jacobian() {
    // A linear regime: h' = g h with a small state, so that the gradient shrinks by g a step.
    let mut rng = ChaCha8Rng::seed_from_u64(30);
    let mut layer: AnyLayer = Box::new(Recurrent::new(Rnn::new(INPUTS, HIDDEN, &mut rng), false));
    for w in parameter(&mut layer, 1) {
        *w *= 0.5; // Of an orthogonal matrix.
    }
    let x = random(&[10, 6, INPUTS], 31) * 1e-6;
    let y = forward(&mut layer, &x, None);
    assert_eq!(layer.time_gradient_ratio(), None, "not before the way back");
    let dy = random(y.shape(), 32);
    backward(&mut layer, &x, &y, &dy, None);
    let ratio = layer.time_gradient_ratio().expect("gone back");
    assert!((ratio / 0.5f64.powi(5) - 1.0).abs() < 1e-6, "{ratio}");
    let of_time = layer.state_jacobians(&x.index_axis(Axis(0), 0).to_owned()).expect("recurrent");
    assert_eq!((of_time.len(), of_time[0].len()), (1, 6));
    for (t, values) in of_time[0].iter().enumerate() {
        let expected = 0.5f64.powi(5 - t as i32);
        assert!(values.len() == HIDDEN && values.iter().all(|v| (v / expected - 1.0).abs() < 1e-6), "{t}: {values:?}");
    }
}

#[test]
fn initial_weights_are_the_papers() {
    let (hidden, longest) = (40, 200);
    let mut rng = ChaCha8Rng::seed_from_u64(33);
    let chrono = GateBias::Chrono { longest };
    let mut lstm: [AnyLayer; 2] = [GateBias::One, chrono]
        .map(|bias| Box::new(Recurrent::new(Lstm::new(INPUTS, hidden, bias, &mut rng), false)) as AnyLayer);
    let mut gru: [AnyLayer; 2] = [
        Box::new(Recurrent::new(Gru::new(INPUTS, hidden, chrono, &mut rng), false)),
        Box::new(Recurrent::new(GruResetBefore::new(INPUTS, hidden, chrono, &mut rng), false)),
    ];
    // Gates i, o, f, g: the forget gate starts open, all else at zero.
    let bias = parameter(&mut lstm[0], 2);
    assert!(bias.iter().enumerate().all(|(k, &b)| b == f64::from(u8::from(k / hidden == 2))));
    let within = |keep: &[f64]| keep.iter().all(|b| (0.0..=(longest as f64 - 1.0).ln()).contains(b));
    let bias = parameter(&mut lstm[1], 2);
    let (write, keep) = (&bias[..hidden], &bias[2 * hidden..3 * hidden]);
    assert!(within(keep) && keep.iter().zip(write).all(|(k, w)| *k == -w) && keep[0] != keep[1]);
    for gru in &mut gru {
        let bias = parameter(gru, 2);
        assert!(within(&bias[..hidden]) && bias[0] != bias[1] && bias[hidden..].iter().all(|&b| b == 0.0));
    }
    for layer in lstm.iter_mut().chain(&mut gru) {
        let u = parameter(layer, 1);
        let gates = u.len() / hidden;
        for gate in 0..gates / hidden {
            let dot = |i: usize, j: usize| -> f64 {
                (0..hidden).map(|row| u[row * gates + gate * hidden + i] * u[row * gates + gate * hidden + j]).sum()
            };
            assert!((dot(3, 3) - 1.0).abs() < 1e-12 && dot(3, 4).abs() < 1e-12, "gate {gate}");
        }
        let limit = (6.0 / (INPUTS + hidden) as f64).sqrt();
        let most = parameter(layer, 0).iter().fold(0.0f64, |most, w| most.max(w.abs()));
        assert!((0.9 * limit..=limit).contains(&most), "{most} of {limit}");
    }
}
