//! What a training may rely on: the same bits on any number of threads, illness named, bad input refused.

mod common;

use escarp_trainer::{
    engine::parameter::first_non_finite,
    layers::{Layer, kind::LayerKind},
    nets::{Arch, Batch, Net, NetError, Shape, Watch, loss::Targets},
    optim::{Optimizer, Rule},
};
use ndarray::ArrayD;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A recurrent layer as users write it, and a head.
fn recurrent(layer: &str, frames: usize) -> Arch {
    let layers = serde_json::from_str(&format!(r#"[{{{layer}, "hidden": 16}}, {{"kind": "dense"}}]"#));
    Arch { input: Shape::Sequence([frames, 3]), classes: 4, layers: layers.expect("layers as users write them") }
}

/// Weights after three steps of training a small net on `threads` threads; sequences of unequal length.
fn trained_bits(arch: &Arch, batch: usize, threads: usize) -> Vec<u32> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    pool.install(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut net: Net = Net::new(arch, &mut rng).expect("a sound architecture");
        let x = common::samples(arch, batch, &mut rng);
        let labels: Vec<usize> = (0..batch).map(|i| i % arch.classes).collect();
        let lengths: Vec<usize> = (0..batch).map(|i| 1 + i * 4 % x.shape()[1]).collect();
        let sequences = matches!(arch.input, Shape::Sequence(_) | Shape::Tokens(_));
        let batch = || Batch { x: &x, lengths: sequences.then_some(&lengths[..]) };
        let mut optimizer = Optimizer::new(Rule::sgd(1e-4));
        for _ in 0..3 {
            net.gradients(batch(), Targets::Classes(&labels), 0.1).expect("shapes fit");
            optimizer.step(&mut net.parameters(), 0.1);
        }
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let mut all: Vec<u32> = net.parameters().iter().flat_map(|p| bits(p.value)).collect();
        all.extend(net.buffers().iter().flat_map(|(_, values)| bits(values)));
        all
    })
}

#[test]
fn threads_do_not_change_a_bit() {
    let mut archs = vec![
        Arch::resnet(1, 8, [12, 12, 3], 4),
        Arch::gru(3, 16, 2, 9, 4),
        recurrent(r#""kind": "gru", "reset": "before", "bidirectional": true"#, 9),
        recurrent(
            r#""kind": "lstm", "layers": 2, "bidirectional": true, "gate_bias": {"kind": "chrono", "longest": 9}"#,
            9,
        ),
        recurrent(r#""kind": "rnn", "layers": 2"#, 9),
    ];
    archs.extend(common::nets().into_iter().map(|(_, arch)| arch));
    for arch in archs {
        let one = trained_bits(&arch, 37, 1);
        for threads in [2, 3, 7] {
            assert!(one == trained_bits(&arch, 37, threads), "{arch:?} on {threads} threads");
        }
    }
}

#[test]
fn the_first_ill_layer_is_named() {
    let arch = Arch::resnet(1, 4, [8, 8, 3], 4);
    let mut net: Net = Net::new(&arch, &mut ChaCha8Rng::seed_from_u64(5)).expect("a sound architecture");
    let x = ArrayD::from_elem(arch.input_shape(2), 0.5f32);
    let healthy = net.gradients(&x, Targets::Classes(&[0, 1]), 0.0).expect("shapes fit");
    assert!(healthy.loss.is_finite() && healthy.gradient_norm.is_finite());
    assert_eq!(first_non_finite(&net.parameters()), None);
    for p in net.parameters() {
        if p.name == "stage2.block1.b.conv.weight" {
            p.gradient[7] = f32::INFINITY;
        }
    }
    assert_eq!(first_non_finite(&net.parameters()).as_deref(), Some("stage2.block1.b.conv.weight"));

    // One weight that is no number reaches the loss: no ReLU or clamp on the way may swallow it.
    let gru = Arch::gru(2, 4, 2, 3, 3);
    for arch in [arch, gru] {
        let mut net: Net = Net::new(&arch, &mut ChaCha8Rng::seed_from_u64(5)).expect("a sound architecture");
        net.parameters()[0].value[0] = f32::NAN;
        let x = ArrayD::from_elem(arch.input_shape(2), 0.5f32);
        let ill = net.gradients(&x, Targets::Classes(&[0, 1]), 0.0).expect("shapes fit");
        assert!(ill.loss.is_nan() && ill.gradient_norm.is_nan(), "{arch:?}: {ill:?}");
    }
}

#[test]
fn bad_input_is_refused_with_its_reason() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let arch = Arch::resnet(1, 4, [8, 8, 3], 4);
    let mut net: Net = Net::new(&arch, &mut rng).expect("a sound architecture");
    let zeros = |shape: &[usize]| ArrayD::<f32>::zeros(shape);
    let message = |r: Result<_, NetError>| r.map(|_| ()).expect_err("refused").to_string();
    assert!(message(net.predict(&zeros(&[2, 3, 8, 8])).map(|_| ())).contains("this net takes [2, 8, 8, 3]"));
    assert_eq!(net.predict(&zeros(&[0, 8, 8, 3])).expect_err("refused"), NetError::Empty);
    let x = zeros(&[2, 8, 8, 3]);
    assert!(message(net.gradients(&x, Targets::Classes(&[0]), 0.0).map(|_| ())).contains("1 labels for 2 samples"));
    assert!(message(net.gradients(&x, Targets::Classes(&[0, 4]), 0.0).map(|_| ())).contains("label 4 of sample 1"));
    let none = Arch::gru(0, 4, 1, 3, 3);
    assert!(
        message(Net::<f32>::new(&none, &mut rng).map(|_| ())).contains("numbers in a frame = 0; allowed: 1 to 4096")
    );
}

#[test]
fn lengths_are_refused_that_make_no_sense() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut net: Net = Net::new(&recurrent(r#""kind": "lstm""#, 5), &mut rng).expect("a sound architecture");
    let x = ArrayD::zeros(vec![2, 5, 3]);
    let mut refused = |lengths: &[usize]| {
        let batch = Batch { x: &x, lengths: Some(lengths) };
        let refused = net.predict(batch).expect_err("refused");
        assert_eq!(net.gradients(batch, Targets::Classes(&[0, 1]), 0.0).expect_err("refused"), refused);
        refused.to_string()
    };
    assert_eq!(refused(&[5, 0]), "net: length 0 of sample 1; allowed: 1 to 5");
    assert_eq!(refused(&[6, 1]), "net: length 6 of sample 0; allowed: 1 to 5");
    assert_eq!(refused(&[5]), "net: 1 lengths for 2 samples");
    let mut images: Net = Net::new(&Arch::resnet(1, 4, [8, 8, 3], 4), &mut rng).expect("a sound architecture");
    let x = ArrayD::zeros(vec![1, 8, 8, 3]);
    let refused = images.predict(Batch { x: &x, lengths: Some(&[8]) }).expect_err("refused").to_string();
    assert!(refused.contains("only sequences have lengths"), "{refused}");
}

#[test]
fn prediction_minds_the_lengths_beyond_its_own_batches() {
    // 70 sequences are predicted in two parts; each must get its own lengths.
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut net: Net = Net::new(&recurrent(r#""kind": "lstm""#, 5), &mut rng).expect("a sound architecture");
    let x = ArrayD::from_shape_fn(vec![70, 5, 3], |_| rng.random_range(-1.0f32..1.0));
    let lengths: Vec<usize> = (0..70).map(|i| 1 + i % 4).collect();
    let all = net.predict(Batch { x: &x, lengths: Some(&lengths) }).expect("shapes fit");
    for i in [0, 63, 64, 69] {
        let one = x.slice(ndarray::s![i..=i, .., ..]).to_owned().into_dyn();
        let alone = net.predict(Batch { x: &one, lengths: Some(&lengths[i..=i]) }).expect("shapes fit");
        assert!(alone.iter().zip(all.row(i)).all(|(a, b)| (a - b).abs() < 1e-6), "sequence {i}");
    }
    assert!(all.iter().zip(&net.predict(&x).expect("shapes fit")).any(|(a, b)| (a - b).abs() > 1e-3));
}

#[test]
fn jacobians_over_time_are_told_for_recurrent_layers_only() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let arch = recurrent(r#""name": "reader", "kind": "lstm", "bidirectional": true, "layers": 2"#, 5);
    let mut net: Net = Net::new(&arch, &mut rng).expect("a sound architecture");
    let x = ArrayD::from_shape_fn(vec![1, 5, 3], |_| rng.random_range(-1.0f32..1.0));
    let all = net.state_jacobians(&x).expect("one sequence");
    let names: Vec<&str> = all.iter().map(|(name, _)| &name[..]).collect();
    assert_eq!(names, ["reader.layer1", "reader.layer2"]);
    for (_, directions) in &all {
        assert!(directions.len() == 2 && directions.iter().all(|steps| steps.len() == 5));
        // h and c of 16 units; by itself a state has the slope 1.
        assert!(directions.iter().all(|steps| steps[4] == vec![1.0; 32] && steps[0][0] < 1.0));
    }
    assert!(net.state_jacobians(&ArrayD::zeros(vec![2, 5, 3])).is_err());
}

#[test]
fn outputs_by_inputs_have_the_singular_values_of_their_slopes() {
    let layers = r#"[{"kind": "dense", "outputs": 5}, {"kind": "batch-norm"}, {"kind": "activation", "function": "silu"},
        {"kind": "lstm", "hidden": 4, "every_step": true}, {"kind": "dropout"}, {"kind": "dense"}]"#;
    let layers = serde_json::from_str(layers).expect("layers as users write them");
    // 72 outputs: more than go through the net at once.
    let tagger = Arch { input: Shape::Sequence([9, 3]), classes: 8, layers };
    for arch in [Arch::resnet(1, 2, [6, 5, 2], 3), tagger] {
        let mut rng = ChaCha8Rng::seed_from_u64(10);
        let mut net = Net::<f64>::new(&arch, &mut rng).expect("a sound architecture");
        let x = ArrayD::from_shape_fn(arch.input_shape(4), |_| rng.random_range(-1.0..1.0));
        let rows = if let Shape::Sequence([frames, _]) = net.output() { 4 * frames } else { 4 };
        let labels: Vec<usize> = (0..rows).map(|i| i % arch.classes).collect();
        net.gradients(&x, Targets::Classes(&labels), 0.0).expect("shapes fit");
        let statistics = |net: &mut Net<f64>| net.buffers().iter().map(|(_, v)| v.to_vec()).collect::<Vec<_>>();
        let before = statistics(&mut net);
        let mut one = x.slice_axis(ndarray::Axis(0), (0..1).into()).to_owned();
        let values = net.input_jacobian(&one).expect("one sample").expect("no tokens");
        assert_eq!(statistics(&mut net), before, "asking changes nothing");
        assert!(values.is_sorted_by(|a, b| a >= b) && values.len() == one.len().min(rows / 4 * arch.classes));
        // The squares of the singular values add up to those of the Jacobian's numbers.
        let slopes: f64 = (0..one.len())
            .map(|i| {
                let mut side = |h: f64| {
                    *one.iter_mut().nth(i).expect("an input") += h;
                    let answer = net.predict(&one).expect("one sample");
                    *one.iter_mut().nth(i).expect("an input") -= h;
                    answer
                };
                let step = 1e-5;
                ((side(step) - side(-step)) / (2.0 * step)).iter().map(|v| v * v).sum::<f64>()
            })
            .sum();
        let squares: f64 = values.iter().map(|v| v * v).sum();
        assert!((squares / slopes - 1.0).abs() < 1e-6, "{squares} but measured {slopes}");
        assert!(net.input_jacobian(&x).is_err(), "four samples");
    }
    // Of a linear net they are those of its matrix, here a diagonal one.
    let layers = serde_json::from_str(r#"[{"kind": "dense"}]"#).expect("a layer");
    let linear = Arch { input: Shape::Vector(3), classes: 3, layers };
    let mut net = Net::<f64>::new(&linear, &mut ChaCha8Rng::seed_from_u64(0)).expect("a sound architecture");
    net.parameters()[0].value.copy_from_slice(&[0.5, 0.0, 0.0, 0.0, -3.0, 0.0, 0.0, 0.0, 2.0]);
    let values = net.input_jacobian(&ArrayD::zeros(vec![1, 3])).expect("one sample").expect("no tokens");
    assert!(values.iter().zip([3.0, 2.0, 0.5]).all(|(a, b)| (a - b).abs() < 1e-12), "{values:?}");
}

/// Of every recurrent layer, from the last: saturation as the layer is about to go back, ratio when it has gone.
#[derive(Default)]
struct Recurrences(Vec<(String, Option<f64>, Option<f64>)>);

impl Watch<f32> for Recurrences {
    fn node(&mut self, name: &str, layer: &dyn Layer<f32>, _: &ArrayD<f32>, _: &ArrayD<f32>) {
        if layer.kind().is_some_and(LayerKind::recurrent) {
            assert_eq!(layer.time_gradient_ratio(), None, "{name} has not gone back");
            self.0.push((name.into(), layer.saturation(), None));
        }
    }

    fn gone_back(&mut self, name: &str, layer: &dyn Layer<f32>) {
        if let Some(last) = self.0.last_mut().filter(|last| last.0 == name) {
            last.2 = layer.time_gradient_ratio();
        }
    }
}

#[test]
fn a_watch_sees_what_gates_and_time_do() {
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    let arch = recurrent(r#""name": "reader", "kind": "gru", "layers": 2"#, 30);
    let mut net: Net = Net::new(&arch, &mut rng).expect("a sound architecture");
    let x = ArrayD::from_shape_fn(vec![4, 30, 3], |_| rng.random_range(-1.0f32..1.0));
    let mut seen = Recurrences::default();
    net.gradients_watched(&x, Targets::Classes(&[0, 1, 2, 3]), 0.0, Some(&mut seen)).expect("shapes fit");
    let names: Vec<&str> = seen.0.iter().map(|(name, ..)| &name[..]).collect();
    assert_eq!(names, ["reader.layer2", "reader.layer1"]);
    // Half of a state is kept at every step at the start: little of the gradient comes back through 30 of them.
    let (_, saturation, ratio) = &seen.0[0];
    assert!(saturation.is_some_and(|share| share < 0.1), "{saturation:?}");
    assert!(ratio.is_some_and(|ratio| ratio > 0.0 && ratio < 0.1), "{ratio:?}");
}

#[test]
fn tokens_outside_the_vocabulary_are_refused() {
    let (_, arch) = common::nets().remove(1);
    let mut net: Net = Net::new(&arch, &mut ChaCha8Rng::seed_from_u64(6)).expect("a sound architecture");
    for token in [20.0, -1.0, 1.5, f32::NAN] {
        let mut x = ArrayD::zeros(arch.input_shape(2));
        x[[1, 3]] = token;
        let message = net.predict(&x).expect_err("refused").to_string();
        assert!(message.contains("in frame 3 of sample 1; allowed: whole numbers 0 to 19"), "{message}");
    }
}
