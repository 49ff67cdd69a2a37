//! The toolbox against PyTorch: `golden/toolbox.json`, which `golden/pytorch_toolbox.py` writes.

use escarp_trainer::{
    engine::parameter::{Parameter, Weights},
    layers::init::{Init, Kernel},
    nets::{
        Arch, Net,
        loss::{Targets, loss},
    },
    optim::{
        Optimizer, Rule,
        clip::Clip,
        penalty::Penalty,
        schedule::{Moment, Schedule, Shape},
    },
    run::average::Average,
};
use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, de::DeserializeOwned};

/// One part of the golden file.
fn golden<G: DeserializeOwned>(part: &str) -> G {
    let mut all: serde_json::Value = serde_json::from_str(include_str!("golden/toolbox.json")).unwrap();
    serde_json::from_value(all[part].take()).unwrap()
}

#[track_caller]
fn close(what: &str, ours: &[f32], theirs: &[f32], relative: f32) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= relative * (b.abs() + 1e-3), "{what}, number {i}: {a}, PyTorch {b}");
    }
}

type Lists = std::collections::BTreeMap<String, Vec<Vec<f32>>>;

#[test]
fn optimizers() {
    #[derive(Deserialize)]
    struct Golden {
        start: Vec<f32>,
        gradients: Vec<Vec<f32>>,
        paths: Lists,
    }
    let Golden { start, gradients, paths } = golden("optimizers");
    let sgd = |momentum, nesterov, weight_decay| Rule::Sgd { momentum, nesterov, weight_decay, decoupled: false };
    let rms = |alpha, momentum, epsilon, weight_decay| Rule::RmsProp { alpha, momentum, epsilon, weight_decay };
    let (beta1, beta2, epsilon, weight_decay) = (0.8, 0.99, 1e-3, 0.1);
    let rules = [
        ("sgd", sgd(0.0, false, 0.0)),
        ("sgd momentum decay", sgd(0.9, false, 0.1)),
        ("sgd nesterov decay", Rule::sgd(0.1)),
        ("rmsprop", Rule::rmsprop(0.0)),
        ("rmsprop momentum decay", rms(0.9, 0.5, 1e-3, 0.1)),
        ("adam", Rule::adam(0.0)),
        ("adam decay", Rule::Adam { beta1, beta2, epsilon, weight_decay }),
        ("adamw", Rule::adam_w(0.0)),
        ("adamw decay", Rule::AdamW { beta1, beta2, epsilon, weight_decay }),
    ];
    assert_eq!(rules.len(), paths.len());
    for (name, rule) in rules {
        let (mut matrix, mut bias) = (Weights::matrix(start[..2].to_vec(), 1), Weights::new(start[2..].to_vec()));
        let mut optimizer = Optimizer::new(rule);
        for (step, (gradient, wanted)) in gradients.iter().zip(&paths[name]).enumerate() {
            matrix.gradient.copy_from_slice(&gradient[..2]);
            bias.gradient.copy_from_slice(&gradient[2..]);
            optimizer.step(&mut [matrix.parameter("m".into(), true), bias.parameter("b".into(), false)], 0.05);
            let ours = [&matrix.value[..], &bias.value].concat();
            close(&format!("{name}, step {}", step + 1), &ours, wanted, 2e-5);
        }
        assert_eq!(optimizer.steps, 10);
    }
}

#[test]
fn clipping() {
    let golden: Lists = golden("clips");
    let kinds = [
        ("value", Clip::Value { limit: 2.0 }),
        ("norm", Clip::Norm { limit: 2.0 }),
        ("global-norm", Clip::GlobalNorm { limit: 2.0 }),
        ("adaptive", Clip::Adaptive { factor: 0.1 }),
    ];
    for (name, clip) in kinds {
        let layer = |i: usize, units: usize| Weights {
            value: golden["weights"][i].clone(),
            gradient: golden["gradients"][i].clone(),
            units,
            frozen: false,
        };
        let mut all = [(layer(0, 3), true), (layer(1, 1), false), (layer(2, 1), true)];
        let mut parameters: Vec<Parameter<'_>> =
            all.iter_mut().map(|(weights, decay)| weights.parameter(String::new(), *decay)).collect();
        clip.apply(&mut parameters);
        for (i, (ours, theirs)) in all.iter().zip(&golden[name]).enumerate() {
            close(&format!("{name}, layer {i}"), &ours.0.gradient, theirs, 1e-5);
        }
        assert_ne!(golden[name], golden["gradients"], "{name}: nothing clipped proves nothing");
    }
}

#[test]
fn penalties() {
    #[derive(Deserialize)]
    struct Golden {
        l1: f32,
        l2: f32,
        loss: f32,
        gradient: Vec<f32>,
    }
    let Golden { l1, l2, loss, gradient } = golden("penalty");
    let weights: Lists = golden("clips");
    let mut matrix = Weights::matrix(weights["weights"][0].clone(), 3);
    let ours = Penalty { l1, l2, activity: 0.0 }.add(&mut [matrix.parameter("m".into(), true)]);
    close("loss", &[ours as f32], &[loss], 1e-5);
    close("gradient", &matrix.gradient, &gradient, 1e-5);
}

#[test]
fn schedules() {
    let golden: std::collections::BTreeMap<String, Vec<f32>> = golden("schedules");
    let step = Shape::Step { every: 1, factor: 0.3 };
    // PyTorch's cosine would reach zero one step after the last of the run, its one-cycle reaches its end in it.
    let schedules = [
        ("step", step.clone(), 0, 40),
        ("step warm-up", step, 5, 40),
        ("cosine", Shape::Cosine, 0, 40),
        ("cosine warm-up", Shape::Cosine, 5, 40),
        ("one-cycle", Shape::OneCycle { rise: 0.3 }, 0, 39),
    ];
    assert_eq!(schedules.len(), golden.len());
    for (name, shape, warm_up, last) in schedules {
        let schedule = Schedule { shape, warm_up };
        let rate = |step| schedule.rate(0.4, Moment { step, epoch: step as u32 / 10, at: step, last });
        close(name, &(0..40).map(rate).collect::<Vec<_>>(), &golden[name], 1e-4);
    }
}

#[test]
fn averages() {
    let golden: Lists = golden("average");
    let mut net = Net::new(&Arch::resnet(1, 2, [4, 4, 1], 2), &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
    let mut average = Average::new(0.4, &mut net);
    for (step, weights) in golden["weights"].iter().enumerate() {
        // Two numbers of the first kernel and two of the first batch normalization.
        net.parameters()[0].value[..2].copy_from_slice(weights);
        net.buffers()[0].1.copy_from_slice(&golden["means"][step]);
        average.update(step as u64, &mut net);
        average.swap(&mut net);
        close("weights", &net.parameters()[0].value[..2], &golden["averages"][step], 1e-5);
        close("statistics", net.buffers()[0].1, &golden["average means"][step], 1e-5);
        average.swap(&mut net);
        assert_eq!(net.parameters()[0].value[..2], weights[..], "swapped back");
        assert_eq!(net.buffers()[0].1, golden["means"][step], "swapped back");
    }
}

#[test]
fn mixed_labels() {
    #[derive(Deserialize)]
    struct Golden {
        logits: Vec<f32>,
        first: Vec<usize>,
        second: Vec<usize>,
        share: f32,
        smoothing: f32,
        loss: f32,
        gradient: Vec<f32>,
    }
    let g: Golden = golden("mixed");
    let logits = Array2::from_shape_vec((4, 5), g.logits).unwrap();
    let targets = Targets::Mixed { first: &g.first, second: &g.second, share: g.share };
    let ours = loss(logits.view(), targets, g.smoothing);
    close("loss", &[ours.loss as f32], &[g.loss], 1e-6);
    close("gradient", ours.gradient.as_slice().unwrap(), &g.gradient, 1e-4);
}

#[test]
fn initializers() {
    #[derive(Deserialize)]
    struct Spread {
        deviation: f64,
        largest: f64,
    }
    let golden: std::collections::BTreeMap<String, Spread> = golden("initializers");
    assert_eq!(golden.len(), 7);
    for (name, theirs) in golden {
        let init: Init = match &name[..] {
            "orthogonal" => Init::Orthogonal { gain: 1.5 },
            _ => serde_json::from_value(serde_json::json!({ "kind": name })).unwrap(),
        };
        // A 3x3 convolution from 48 to 96 channels in 2 groups.
        let kernel = Kernel::convolution(9, 48, 96, 2);
        let weights: Vec<f64> = init.fill(kernel, &mut ChaCha8Rng::seed_from_u64(2));
        assert_eq!(weights.len(), 96 * 24 * 9);
        let deviation = (weights.iter().map(|w| w * w).sum::<f64>() / weights.len() as f64).sqrt();
        assert!((deviation / theirs.deviation - 1.0).abs() < 0.02, "{name}: {deviation}, PyTorch {}", theirs.deviation);
        let largest = weights.iter().fold(0.0f64, |m, w| m.max(w.abs()));
        // The end of a uniform distribution is sharp, the tail of a normal one is chance.
        let tolerance = if name.ends_with("uniform") { 1e-3 } else { 0.25 };
        assert!((largest / theirs.largest - 1.0).abs() < tolerance, "{name}: {largest}, PyTorch {}", theirs.largest);
    }
}

/// Adaptive clipping sees the columns of every matrix, and vectors as a whole.
#[test]
fn every_layer_tells_its_units() {
    for arch in [Arch::resnet(1, 4, [8, 8, 3], 5), Arch::gru(3, 6, 2, 4, 5)] {
        let mut net: Net = Net::new(&arch, &mut ChaCha8Rng::seed_from_u64(3)).unwrap();
        for p in net.parameters() {
            match p.decay {
                true => assert!(p.units > 1 && p.value.len().is_multiple_of(p.units), "{}: {} units", p.name, p.units),
                false => assert_eq!(p.units, 1, "{}", p.name),
            }
        }
        let last = net.parameters().iter().rfind(|p| p.decay).map(|p| (p.name.clone(), p.units));
        assert_eq!(last, Some(("head.weight".into(), 5)), "the layer that adaptive clipping leaves alone");
    }
}
