//! What a training may rely on: the same bits on any number of threads, illness named, bad input refused.

use escarp_trainer::loss::Targets;
use escarp_trainer::nets::{Arch, Net, NetError};
use escarp_trainer::optim::{Optimizer, Rule};
use escarp_trainer::parameter::first_non_finite;
use ndarray::ArrayD;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Weights after three steps of training a small net on `threads` threads.
fn trained_bits(arch: &Arch, batch: usize, threads: usize) -> Vec<u32> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    pool.install(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut net: Net = Net::new(arch, &mut rng).expect("a sound architecture");
        let x = ArrayD::from_shape_fn(arch.input_shape(batch), |_| rng.random_range(-1.0f32..1.0));
        let labels: Vec<usize> = (0..batch).map(|i| i % arch.classes).collect();
        let mut optimizer = Optimizer::new(Rule::sgd(1e-4));
        for _ in 0..3 {
            net.gradients(&x, Targets::Classes(&labels), 0.1).expect("shapes fit");
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
    let archs = [Arch::resnet(1, 8, [12, 12, 3], 4), Arch::gru(3, 16, 2, 9, 4)];
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
