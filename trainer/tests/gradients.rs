//! Every derivative against central differences, in double precision, where their error is about 1e-9.

use escarp_trainer::loss::{Targets, loss};
use escarp_trainer::nets::{Arch, Net};
use escarp_trainer::parameter::Parameter;
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
