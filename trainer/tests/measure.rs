//! What the doctor measures, against the same figures computed by hand from the net's own numbers.

use escarp_trainer::{
    doctor::{
        diagnose::Doctor,
        measure::Measure,
        record::{LayerHealth, NonFinite, Observation},
        thresholds::Thresholds,
        verdict::Illness,
    },
    layers::kind::{Activation, LayerKind},
    nets::{Arch, Net, NetFile, loss::Targets},
    optim::{Optimizer, Rule},
};
use ndarray::ArrayD;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const RATE: f32 = 0.1;

/// A net that `change` has changed, and what is measured in its first step by plain gradient descent.
fn measured(arch: &Arch, change: impl Fn(&mut Net)) -> (Net, Vec<LayerHealth>) {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    let mut net: Net = Net::new(arch, &mut rng).unwrap();
    change(&mut net);
    let x = ArrayD::from_shape_fn(arch.input_shape(8), |_| rng.random_range(-1.0f32..1.0));
    let labels: Vec<usize> = (0..8).map(|i| i % arch.classes).collect();
    let mut measure = Measure::default();
    net.gradients_watched(&x, Targets::Classes(&labels), 0.0, Some(&mut measure)).unwrap();
    measure.before(&net.parameters());
    let plain = Rule::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0, decoupled: false };
    Optimizer::new(plain).step(&mut net.parameters(), RATE);
    let layers = measure.after(&net.parameters());
    (net, layers)
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

fn close(a: Option<f64>, b: f64) {
    let a = a.unwrap();
    assert!((a - b).abs() <= 1e-5 * b.abs().max(1e-12), "{a} but {b}");
}

#[test]
fn norms_ratios_and_names_are_the_nets_own() {
    let arch = Arch::resnet(1, 4, [8, 8, 3], 4);
    let (mut net, layers) = measured(&arch, |_| {});
    let names: Vec<&str> = layers.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(names[..3], ["stem", "stage1.block1.a", "stage1.block1.b"], "from the input on");
    assert_eq!(names[names.len() - 1], "head");
    assert_eq!((layers[0].kind, layers[0].activation), (LayerKind::Convolution, Some(Activation::Relu)));
    for p in net.parameters().iter().filter(|p| p.decay) {
        let layer = layers.iter().find(|l| p.name.starts_with(&format!("{}.", l.name))).unwrap();
        close(layer.gradient_norm, norm(p.gradient));
        // Plain descent: the weights before were those after plus the step.
        let before: Vec<f32> = p.value.iter().zip(&*p.gradient).map(|(w, g)| w + RATE * g).collect();
        close(layer.weight_norm, norm(&before));
        let ratio = f64::from(RATE) * norm(p.gradient) / norm(&before);
        assert!((layer.update_ratio.unwrap() - ratio).abs() < 1e-3 * ratio, "{}", p.name);
        close(layer.largest_weight, before.iter().fold(0.0f64, |m, w| m.max(f64::from(w.abs()))));
        let counted: u32 = layer.gradient_histogram.as_ref().unwrap().counts().iter().sum();
        assert_eq!(counted as usize, p.gradient.iter().filter(|g| **g != 0.0).count());
    }
    // He: a gain of the root of two, within what 108 weights can say.
    assert!((layers[0].weight_gain.unwrap() - 2f64.sqrt()).abs() < 0.3, "{:?}", layers[0].weight_gain);
}

#[test]
fn dead_units_and_zero_gradients_are_counted() {
    let arch = Arch::resnet(1, 4, [8, 8, 3], 4);
    let kill = |net: &mut Net| {
        for p in net.parameters() {
            // Normalized values are below 10 in magnitude: channels 0 and 1 are always below zero.
            if p.name == "stem.norm.beta" {
                p.value[..2].fill(-100.0);
            }
        }
    };
    let (_, layers) = measured(&arch, kill);
    assert_eq!(layers[0].dead_units, Some(0.5));
    assert!(layers[0].activation_zeros.unwrap() > 0.5);
    close(layers[0].zero_gradients, 0.5);
    assert_eq!(layers[1].dead_units, Some(0.0));
}

/// Shifts the first `channels` of both parts that the residual block `name` adds up far below zero.
fn sink(net: &mut Net, name: &str, channels: usize) {
    let shifts = ["b", "shortcut"].map(|part| format!("{name}.{part}.norm.beta"));
    let parts = net.parameters().into_iter().filter(|p| shifts.contains(&p.name));
    parts.for_each(|p| p.value.iter_mut().take(channels).for_each(|shift| *shift = -100.0));
}

/// The ReLU of a residual block is behind the sum, and no convolution's.
#[test]
fn sums_are_seen_with_the_activation_behind_them() {
    let (_, layers) = measured(&Arch::resnet(1, 4, [8, 8, 3], 4), |net| sink(net, "stage2.block1", 2));
    let of = |name: &str| layers.iter().find(|l| l.name == name).unwrap();
    let sum = of("stage2.block1");
    assert_eq!((sum.kind, sum.activation, sum.dead_units), (LayerKind::Add, Some(Activation::Relu), Some(0.25)));
    assert_eq!((sum.weight_norm, sum.gradient_norm, sum.update_ratio), (None, None, None), "a sum has no weights");
    assert!(sum.activation_gradient_norm.unwrap() > 0.0);
    let before = of("stage2.block1.shortcut");
    assert_eq!((before.activation, before.dead_units), (Some(Activation::Linear), Some(0.0)));

    let text = "input = { map = [6, 6, 3] }\nclasses = 3\n[[layer]]\nkind = \"convolution\"\nname = \"a\"\noutputs = 3\n\
                [[layer]]\nkind = \"add\"\nname = \"bare\"\nof = \"input\"\n\
                [[layer]]\nkind = \"convolution\"\nname = \"b\"\noutputs = 3\n\
                [[layer]]\nkind = \"add\"\nname = \"bounded\"\nof = \"bare\"\nactivation = \"tanh\"\n\
                [[layer]]\nkind = \"global-average-pool\"\n[[layer]]\nkind = \"dense\"\nname = \"head\"\n";
    let push = |net: &mut Net| {
        let bias = net.parameters().into_iter().find(|p| p.name == "b.conv.bias").unwrap();
        bias.value[0] = 100.0;
    };
    let (_, layers) = measured(&NetFile::parse("sums.toml", text).unwrap().arch().unwrap(), push);
    let seen: Vec<_> = layers.iter().map(|l| (l.name.as_str(), l.activation.unwrap())).collect();
    let linear = Activation::Linear;
    assert_eq!(seen, [("a", linear), ("b", linear), ("bounded", Activation::Tanh), ("head", linear)]);
    let saturated = layers[2].activation_saturated.unwrap();
    assert!((1.0 / 3.0..0.5).contains(&saturated), "one channel of three, {saturated}");
}

#[test]
fn a_residual_block_that_is_dead_is_named() {
    let arch = Arch::resnet(1, 4, [8, 8, 3], 4);
    // Nothing comes out of a dead block, and nothing of what follows it: the first is where it began.
    for (block, named) in [
        ("stage3.block1", &["stage3.block1"][..]),
        ("stage2.block1", &["stage2.block1", "stage3.block1.a", "stage3.block1"]),
        ("none of them", &[]),
    ] {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut net: Net = Net::new(&arch, &mut rng).unwrap();
        let x = ArrayD::from_shape_fn(arch.input_shape(32), |_| rng.random_range(-1.0f32..1.0));
        let labels: Vec<usize> = (0..32).map(|i| i % 4).collect();
        sink(&mut net, block, usize::MAX);
        let mut optimizer = Optimizer::new(Rule::sgd(0.0));
        let mut doctor = Doctor::new(Thresholds::default());
        for step in 0..12 {
            let mut measure = Measure::default();
            let stats = net.gradients_watched(&x, Targets::Classes(&labels), 0.0, Some(&mut measure)).unwrap();
            measure.before(&net.parameters());
            optimizer.step(&mut net.parameters(), 0.01);
            doctor.observe(&Observation {
                step,
                batch: Some(32),
                baseline_loss: Some(4f64.ln()),
                loss: Some(stats.loss),
                accuracy: Some(stats.correct as f64 / 32.0),
                gradient_norm: Some(stats.gradient_norm),
                layers: measure.after(&net.parameters()),
                ..Observation::default()
            });
        }
        let verdicts: Vec<_> = doctor.verdicts().into_iter().map(|v| (v.illness, v.layers)).collect();
        let dead = (Illness::DyingRelu, named.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(verdicts, if named.is_empty() { vec![] } else { vec![dead] }, "{block}");
    }
}

#[test]
fn the_first_ill_number_is_named() {
    let arch = Arch::gru(3, 6, 2, 5, 3);
    let poison = |net: &mut Net| net.parameters()[0].value[1] = f32::NAN;
    let (_, layers) = measured(&arch, poison);
    assert_eq!(layers[0].non_finite, Some(NonFinite::Weights));
    assert_eq!(layers[1].non_finite, Some(NonFinite::Activations));
    assert_eq!((layers[0].kind, layers[0].activation), (LayerKind::Gru, Some(Activation::Tanh)));
    let (_, healthy) = measured(&arch, |_| {});
    let through_time = healthy[0].time_gradient_ratio.unwrap();
    assert!(through_time > 0.0 && through_time < 10.0, "{through_time}");
    assert_eq!(healthy[2].time_gradient_ratio, None, "the head has no time");
    assert!(healthy.iter().all(|l| l.non_finite.is_none()));
}

#[test]
fn normalizations_are_seen_within_layers_and_as_layers() {
    let (_, layers) = measured(&Arch::resnet(1, 4, [8, 8, 3], 4), |_| {});
    assert!(layers[0].normalized && !layers[layers.len() - 1].normalized, "the stem is, the head is not");

    let text = "input = { vector = 6 }\nclasses = 3\n[[layer]]\nkind = \"dense\"\noutputs = 4\n\
                [[layer]]\nkind = \"batch-norm\"\nname = \"norm\"\n\
                [[layer]]\nkind = \"activation\"\nfunction = \"relu\"\n[[layer]]\nkind = \"dense\"\n";
    let arch = NetFile::parse("normalized.toml", text).unwrap().arch().unwrap();
    let kill = |net: &mut Net| {
        for p in net.parameters().into_iter().filter(|p| p.name == "norm.beta") {
            p.value[0] = -100.0;
        }
    };
    let (mut net, layers) = measured(&arch, kill);
    assert_eq!(
        layers.iter().map(|l| l.kind).collect::<Vec<_>>(),
        [LayerKind::Dense, LayerKind::Norm, LayerKind::Dense]
    );
    let norm_layer = &layers[1];
    // The ReLU is the normalization's: behind it a unit can be dead.
    assert_eq!((norm_layer.activation, norm_layer.dead_units), (Some(Activation::Relu), Some(0.25)));
    assert_eq!((norm_layer.largest_weight, norm_layer.weight_gain), (Some(100.0), None));
    let own: Vec<f32> =
        net.parameters().iter().filter(|p| p.name.starts_with("norm.")).flat_map(|p| p.gradient.to_vec()).collect();
    assert_eq!(own.len(), 8, "scale and shift");
    close(norm_layer.gradient_norm, norm(&own));
}
