//! Every derivative against central differences, in double precision, where their error is about 1e-9.

mod common;

use escarp_trainer::{
    engine::parameter::Parameter,
    nets::{
        Arch, Batch, Net, NetFile,
        loss::{Targets, loss},
    },
};
use ndarray::ArrayD;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const STEP: f64 = 1e-6;

/// Compares up to 12 numbers of each parameter; `loss` runs the net after it was moved.
fn check(net: &mut Net<f64>, loss: impl Fn(&mut Net<f64>) -> f64) {
    loss(net);
    let exact: Vec<(String, Vec<f64>)> = net.parameters().into_iter().map(|p| (p.name, p.gradient.to_vec())).collect();
    for (i, (name, gradient)) in exact.iter().enumerate() {
        let stride = (gradient.len() / 12).max(1);
        assert!(gradient.iter().any(|g| g.abs() > 1e-7), "{name}: a gradient of nothing but zeros proves nothing");
        for at in (0..gradient.len()).step_by(stride) {
            let mut side = |h: f64| {
                net.parameters()[i].value[at] += h;
                let value = loss(net);
                net.parameters()[i].value[at] -= h;
                value
            };
            let slope = (side(STEP) - side(-STEP)) / (2.0 * STEP);
            let error = (slope - gradient[at]).abs();
            assert!(error < 2e-7 * (1.0 + slope.abs()), "{name}[{at}]: {} but measured {slope}", gradient[at]);
        }
    }
}

/// A net away from its symmetric start, where zero biases could hide a wrong derivative.
fn shake(parameters: Vec<Parameter<'_, f64>>, rng: &mut ChaCha8Rng) {
    for p in parameters {
        p.value.iter_mut().for_each(|v| *v += rng.random_range(-0.2..0.2));
    }
}

#[test]
fn residual_net() {
    // Odd sizes and strides that do not divide them; batch 19 splits into unequal pieces.
    for (blocks, width, input, batch) in [(1, 4, [8, 8, 3], 3), (2, 3, [7, 9, 2], 2), (1, 2, [5, 6, 1], 19)] {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let arch = Arch::resnet(blocks, width, input, 4);
        let mut net = Net::<f64>::new(&arch, &mut rng).expect("a sound architecture");
        shake(net.parameters(), &mut rng);
        let x = ArrayD::from_shape_fn(arch.input_shape(batch), |_| rng.random_range(-1.0..1.0));
        let labels: Vec<usize> = (0..batch).map(|i| i % 4).collect();
        check(&mut net, |net| net.gradients(&x, Targets::Classes(&labels), 0.1).expect("shapes fit").loss);
    }
}

#[test]
fn squeeze_and_excitation() {
    for batch in [3, 19] {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let (_, arch) = common::nets().remove(2);
        let mut net = Net::<f64>::new(&arch, &mut rng).expect("a sound architecture");
        shake(net.parameters(), &mut rng);
        let x = common::samples(&arch, batch, &mut rng).mapv(f64::from);
        let labels: Vec<usize> = (0..batch).map(|i| i % 4).collect();
        check(&mut net, |net| net.gradients(&x, Targets::Classes(&labels), 0.1).expect("shapes fit").loss);
    }
}

#[test]
fn gru() {
    for (layers, batch) in [(1, 3), (2, 19)] {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let arch = Arch::gru(3, 5, layers, 6, 4);
        let mut net = Net::<f64>::new(&arch, &mut rng).expect("a sound architecture");
        shake(net.parameters(), &mut rng);
        let x = ArrayD::from_shape_fn(arch.input_shape(batch), |_| rng.random_range(-1.0..1.0));
        let labels: Vec<usize> = (0..batch).map(|i| i % 4).collect();
        check(&mut net, |net| net.gradients(&x, Targets::Classes(&labels), 0.1).expect("shapes fit").loss);
    }
}

#[test]
fn training_and_prediction_agree_on_the_gru() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let arch = Arch::gru(3, 5, 2, 6, 4);
    let mut net = Net::<f64>::new(&arch, &mut rng).expect("a sound architecture");
    let x = ArrayD::from_shape_fn(arch.input_shape(20), |_| rng.random_range(-1.0..1.0));
    let trained = net.gradients(&x, Targets::Classes(&[2; 20]), 0.0).expect("shapes fit");
    let predicted = loss(net.predict(&x).expect("shapes fit").view(), Targets::Classes(&[2; 20]), 0.0);
    assert!((trained.loss - predicted.loss).abs() < 1e-12);
    assert_eq!(trained.correct, predicted.correct);
}

/// A net of one of the kinds whose activities are penalized, and of those whose are not.
fn penalized(input: &str, layers: &str, batch: usize, lengths: Option<&[usize]>) {
    let text = format!("input = {input}\nclasses = 2\n{layers}");
    let arch = NetFile::parse("x.toml", &text).expect("sound TOML").arch().expect("input and classes");
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut net = Net::<f64>::new(&arch, &mut rng).expect("a sound architecture");
    shake(net.parameters(), &mut rng);
    let x = ArrayD::from_shape_fn(arch.input_shape(batch), |_| rng.random_range(-1.0..1.0));
    let numbers: Vec<f32> = (0..200).map(|i| (i as f32).sin()).collect();
    let rows = net.predict(&x).expect("shapes fit").len();
    let with = |net: &mut Net<f64>, l: f32| {
        net.set_activity_penalty(l);
        let batch = Batch { x: &x, lengths };
        net.gradients(batch, Targets::Numbers(&numbers[..rows]), 0.0).expect("shapes fit").loss
    };
    // The term is linear in its factor, and there is one.
    let [none, once, twice] = [0.0, 0.25, 0.5].map(|l| with(&mut net, l));
    assert!(once > none + 1e-3 && (twice - none - 2.0 * (once - none)).abs() < 1e-12, "{none} {once} {twice}");
    check(&mut net, |net| with(net, 0.5));
}

#[test]
fn activity_penalty() {
    let maps = "[[layer]]\nkind = \"convolution\"\noutputs = 3\nactivation = \"relu\"\n[[layer]]\nkind = \"residual\"\n\
                outputs = 3\n[[layer]]\nkind = \"global-average-pool\"\n[[layer]]\nkind = \"dense\"\noutputs = 4\n\
                activation = \"tanh\"\n[[layer]]\nkind = \"dense\"\n";
    penalized("{ map = [5, 4, 2] }", maps, 3, None);
    for every_step in [false, true] {
        let sequence = format!(
            "[[layer]]\nkind = \"lstm\"\nhidden = 3\nlayers = 2\nbidirectional = true\nevery_step = {every_step}\n\
             [[layer]]\nkind = \"dense\"\n"
        );
        for lengths in [None, Some(&[5, 2, 1][..])] {
            penalized("{ sequence = [5, 2] }", &sequence, 3, lengths);
        }
    }
    let tagger = "[[layer]]\nkind = \"gru\"\nhidden = 3\nevery_step = true\n[[layer]]\nkind = \"dense\"\noutputs = 3\n\
                  activation = \"sigmoid\"\n[[layer]]\nkind = \"dense\"\n";
    penalized("{ sequence = [5, 2] }", tagger, 3, Some(&[5, 2, 1]));
}

/// The value of the term by hand: one hidden tanh layer.
#[test]
fn activity_penalty_by_hand() {
    let text = "input = { vector = 1 }\nclasses = 1\n[[layer]]\nkind = \"dense\"\noutputs = 2\nactivation = \"tanh\"\n\
                init = { kind = \"constant\", value = 0.5 }\n[[layer]]\nkind = \"dense\"\ninit = \"zeros\"\n";
    let arch = NetFile::parse("x.toml", text).expect("sound TOML").arch().expect("input and classes");
    let mut net = Net::<f64>::new(&arch, &mut ChaCha8Rng::seed_from_u64(0)).expect("a sound architecture");
    net.set_activity_penalty(0.25);
    let x = ArrayD::from_shape_vec(vec![2, 1], vec![1.0, -2.0]).expect("two numbers");
    let loss = net.gradients(&x, Targets::Numbers(&[0.0, 0.0]), 0.0).expect("shapes fit").loss;
    // Two units each: 0.25 * 2 * (tanh(0.5)^2 + tanh(1)^2) / 2 samples; the head gives 0 and does not count.
    let by_hand = 0.25 * (0.5f64.tanh().powi(2) + 1f64.tanh().powi(2));
    assert!((loss - by_hand).abs() < 1e-6, "{loss} {by_hand}");
}

/// Frames beyond the end of a sequence have no part in a tagger's loss, whatever stands there.
#[test]
fn a_tagger_is_not_taught_beyond_the_end() {
    let text = "input = { sequence = [4, 2] }\nclasses = 2\n[[layer]]\nkind = \"gru\"\nhidden = 3\nevery_step = true\n\
                [[layer]]\nkind = \"dense\"\n";
    let arch = NetFile::parse("x.toml", text).expect("sound TOML").arch().expect("input and classes");
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut net = Net::<f64>::new(&arch, &mut rng).expect("a sound architecture");
    shake(net.parameters(), &mut rng);
    let x = ArrayD::from_shape_fn(vec![2, 4, 2], |_| rng.random_range(-1.0..1.0));
    let lengths = [4, 2];
    let yes: Vec<bool> = (0..16).map(|i| i % 3 == 0).collect();
    let numbers: Vec<f32> = (0..16).map(|i| i as f32 / 8.0).collect();
    // Frames 2 and 3 of the second sequence: 4 numbers at the end.
    let (other_yes, other_numbers) = ([&yes[..12], &[true; 4]].concat(), [&numbers[..12], &[99.0; 4]].concat());
    for (targets, others) in [
        (Targets::Binary(&yes), Targets::Binary(&other_yes)),
        (Targets::Numbers(&numbers), Targets::Numbers(&other_numbers)),
        (Targets::Classes(&[0, 1, 1, 0, 1, 0, 0, 0]), Targets::Classes(&[0, 1, 1, 0, 1, 0, 1, 1])),
    ] {
        let batch = Batch { x: &x, lengths: Some(&lengths) };
        let all = net.gradients(batch, targets, 0.0).expect("shapes fit");
        let gradients = |net: &mut Net<f64>| net.parameters().iter().map(|p| p.gradient.to_vec()).collect::<Vec<_>>();
        let first = gradients(&mut net);
        assert_eq!(net.gradients(batch, others, 0.0).expect("shapes fit"), all, "{targets:?}");
        assert_eq!(gradients(&mut net), first);
        assert_eq!(all.samples, 6);
        check(&mut net, |net| net.gradients(batch, targets, 0.0).expect("shapes fit").loss);
    }
}
