//! The yardstick for the built-in data: softmax regression on the standardized inputs, made of the engine's own parts.

use ndarray::ArrayD;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{
    data::{Samples, batch},
    engine::random::shuffle,
    nets::{
        Arch, LayerSpec, Net, Shape,
        kinds::Dense,
        loss::{Targets, loss},
    },
    optim::{Optimizer, Rule},
};

/// Samples in a step.
const BATCH: usize = 32;

/// Trains on `train`, tells the accuracy on `test` and holds it below `limit` per cent.
pub fn stays_below(limit: f64, train: &dyn Samples, test: &dyn Samples, classes: usize) {
    let (known, unseen) = accuracies(train, test, classes);
    eprintln!("softmax regression: {known:.1} % on what it learned from, {unseen:.1} % on unseen samples");
    // What it has not learned from its own samples would say nothing about the task.
    assert!(known > 1.5 * 100.0 / classes as f64, "it learns something: {known} %");
    assert!(unseen < limit, "{unseen} %");
}

/// Per cent right of `train` and of `test`.
pub fn accuracies(train: &dyn Samples, test: &dyn Samples, classes: usize) -> (f64, f64) {
    const EPOCHS: usize = 20;
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let layers = vec![LayerSpec::Dense(Dense::default())];
    let arch = Arch { input: Shape::Vector(train.shape().iter().product()), classes, layers };
    let mut net = Net::new(&arch, rng).expect("one layer");
    let mut optimizer = Optimizer::new(Rule::adam_w(0.01));
    let all = |samples: &dyn Samples| (0..samples.classes().len() as u32).collect::<Vec<u32>>();
    let mut order = all(train);
    for epoch in 0..EPOCHS {
        shuffle(&mut order, rng);
        let rate = 1e-3 * (1.0 - epoch as f32 / EPOCHS as f32);
        for indices in order.chunks(BATCH) {
            let (x, labels) = flat(train, indices);
            net.gradients(&x, Targets::Classes(&labels), 0.0).expect("shapes fit");
            optimizer.step(&mut net.parameters(), rate);
        }
    }
    let mut right = |samples: &dyn Samples| {
        let (x, labels) = flat(samples, &all(samples));
        let logits = net.predict(&x).expect("shapes fit");
        let loss = loss(logits.view(), Targets::Classes(&labels), 0.0);
        100.0 * loss.correct as f64 / labels.len() as f64
    };
    (right(train), right(test))
}

/// A batch as `[samples, numbers]`.
fn flat(samples: &dyn Samples, indices: &[u32]) -> (ArrayD<f32>, Vec<usize>) {
    let (x, labels) = batch(samples, indices, None);
    let numbers = x.len() / labels.len();
    (x.into_shape_with_order(vec![labels.len(), numbers]).expect("as many numbers"), labels)
}

/// Whether a linear model can tell two classes of numbers apart.
struct Halves(Vec<u16>);

impl Samples for Halves {
    fn classes(&self) -> &[u16] {
        &self.0
    }

    fn shape(&self) -> &[usize] {
        &[8]
    }

    fn write(&self, index: usize, _augment: Option<&mut ChaCha8Rng>, out: &mut [f32]) {
        out.copy_from_slice(&numbers(index));
    }
}

fn numbers(index: usize) -> [f32; 8] {
    std::array::from_fn(|k| ((index * 37 + k * 101) % 97) as f32 / 48.0 - 1.0)
}

/// It can learn what a linear model can learn, so its failure elsewhere means something.
#[test]
fn the_yardstick_learns_a_linear_task() {
    let part = |range: std::ops::Range<usize>| -> Vec<u16> {
        range.map(|i| u16::from(numbers(i)[1] + numbers(i)[4] > 0.0)).collect()
    };
    let (train, test) = (Halves(part(0..3000)), Halves(part(0..97)));
    let (known, unseen) = accuracies(&train, &test, 2);
    assert!(known > 85.0 && unseen > 85.0, "{known} %, {unseen} %");
}
