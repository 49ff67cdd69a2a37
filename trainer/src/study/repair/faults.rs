//! Trainings that are broken on purpose, each in one way, and the healthy ones they were made of.
//!
//! All on the built-in data: gestures (8 classes, sequences of 64 frames of 3 numbers) and pictures (8 classes).

use crate::{
    config::{BUILTIN, Config, Settings, Task, freeze::Freeze},
    data::{images::Augmentation, source::Source},
    doctor::verdict::Illness::{self, *},
    layers::{
        activation::Function::{self, Relu, Sigmoid, Tanh},
        init::Init,
    },
    nets::{
        LayerSpec,
        kinds::{Convolution, Dense, Flatten, GlobalAveragePool, Gru, Padding, Rnn},
    },
    optim::{Rule, clip::Clip, penalty::Penalty, schedule, schedule::Schedule},
};

/// A training that is to be diagnosed.
pub struct Fault {
    /// What is wrong.
    pub name: &'static str,
    /// Right names for it: the fault's, and of what it brings about in this net. None for a healthy training.
    pub names: &'static [Illness],
    /// Share of right answers from which on it has learned: four fifths of what healthy trainings of this kind reach, a
    /// plain recurrent net's for recurrent nets.
    pub goal: f64,
    /// The training; the seed is still to be set.
    pub config: Config,
}

/// Deviation, where [`Init::GlorotUniform`] of 32 to 32 has 0.18.
fn normal(std: f64) -> Option<Init> {
    Some(Init::Normal { std })
}

fn dense(layers: usize, function: Function, init: Option<Init>) -> Vec<LayerSpec> {
    let hidden = Dense { outputs: Some(32), activation: Some(function), init: init.clone(), ..Dense::default() };
    let mut net = vec![LayerSpec::Flatten(Flatten { name: None })];
    net.extend(vec![LayerSpec::Dense(hidden); layers]);
    net.push(LayerSpec::Dense(Dense { init, ..Dense::default() }));
    net
}

/// He normal weights unless told: nothing is to be wrong with them, whatever the activation.
fn convolutions(layers: usize, normalize: bool, function: Function, init: Option<Init>) -> Vec<LayerSpec> {
    let init = init.or(Some(Init::HeNormal));
    let layer = |at: usize| {
        LayerSpec::Convolution(Convolution {
            name: None,
            outputs: if at == 0 { 8 } else { 16 },
            kernel: 3,
            stride: if matches!(at, 0 | 1 | 3) { 2 } else { 1 },
            padding: Padding::default(),
            groups: 1,
            normalize,
            activation: Some(function),
            init: init.clone(),
        })
    };
    let mut net: Vec<LayerSpec> = (0..layers).map(layer).collect();
    net.push(LayerSpec::GlobalAveragePool(GlobalAveragePool { name: None }));
    net.push(LayerSpec::Dense(Dense::default()));
    net
}

fn gru() -> Vec<LayerSpec> {
    vec![LayerSpec::Gru(Gru::new(24)), LayerSpec::Dense(Dense::default())]
}

fn rnn() -> Vec<LayerSpec> {
    let rnn = Rnn::new(24);
    vec![LayerSpec::Rnn(rnn), LayerSpec::Dense(Dense::default())]
}

fn adam_w(rate: f32) -> Optimizer {
    Optimizer { rule: Rule::adam_w(1e-2), rate, clip: Clip::GlobalNorm { limit: 1.0 } }
}

/// With momentum 0.9 and nothing clipped.
fn sgd(rate: f32) -> Optimizer {
    Optimizer { rule: Rule::sgd(0.0), rate, clip: Clip::None }
}

struct Optimizer {
    rule: Rule,
    rate: f32,
    clip: Clip,
}

fn config(task: Task, batch: usize, epochs: u32, optimizer: Optimizer) -> Config {
    let settings = Settings {
        epochs,
        batch,
        rate: optimizer.rate,
        schedule: Schedule { shape: schedule::Shape::OneCycle { rise: 0.25 }, warm_up: 0 },
        minutes: None,
        seed: 0,
        validation: 0.1,
        label_smoothing: 0.05,
        rule: optimizer.rule,
        clip: optimizer.clip,
        penalty: Penalty::default(),
        average: None,
        watch: 5,
        repair: false,
        mixup: None,
        init_from: None,
        freeze: Freeze::default(),
        qat: false,
    };
    let source = Source { data: BUILTIN.into(), ..Source::default() };
    Config { version: env!("CARGO_PKG_VERSION").into(), task, source, settings, repairs: Vec::new() }
}

fn motion(net: Vec<LayerSpec>, optimizer: Optimizer) -> Config {
    config(Task::Motion { rate: 50.0, frames: 64, net, augment: true }, 32, 15, optimizer)
}

fn image(net: Vec<LayerSpec>, optimizer: Optimizer) -> Config {
    let augmentation = Some(Augmentation { shift: 4, flip: true, ..Augmentation::default() });
    config(Task::Image { net, size: None, augmentation }, 64, 6, optimizer)
}

/// 20 faults, then 6 healthy trainings.
pub fn all() -> Vec<Fault> {
    let fault = |name, names, goal, config| Fault { name, names, goal, config };
    let well = adam_w(1e-2).rate;
    vec![
        fault("GRU, AdamW at 30", &[LearningRateTooHigh, Saturation], 0.6, motion(gru(), adam_w(30.0))),
        fault("GRU, AdamW at 1e-7", &[SlowConvergence], 0.6, motion(gru(), adam_w(1e-7))),
        fault("GRU, SGD at 1e-5", &[SlowConvergence], 0.6, motion(gru(), sgd(1e-5))),
        fault("RNN, SGD at 1", &[Exploding, LearningRateTooHigh], 0.32, motion(rnn(), sgd(1.0))),
        fault("RNN, AdamW at 1", &[LearningRateTooHigh, Saturation], 0.32, motion(rnn(), adam_w(1.0))),
        fault("8 sigmoid layers", &[Vanishing], 0.6, motion(dense(8, Sigmoid, None), adam_w(well))),
        fault("16 sigmoid layers, SGD", &[Vanishing], 0.6, motion(dense(16, Sigmoid, None), sgd(0.1))),
        fault(
            "4 tanh layers, weights N(3)",
            &[InitialWeightsTooLarge, Saturation],
            0.6,
            motion(dense(4, Tanh, normal(3.0)), adam_w(well)),
        ),
        fault("8 tanh layers, weights N(0.01)", &[Vanishing], 0.6, motion(dense(8, Tanh, normal(0.01)), adam_w(well))),
        fault(
            "4 tanh layers, SGD at 3",
            &[LearningRateTooHigh, Saturation, OscillatingLoss],
            0.6,
            motion(dense(4, Tanh, None), sgd(3.0)),
        ),
        fault("4 tanh layers, SGD at 1e-5", &[SlowConvergence], 0.6, motion(dense(4, Tanh, None), sgd(1e-5))),
        fault(
            "4 ReLU layers, weights N(2)",
            &[InitialWeightsTooLarge, Exploding],
            0.6,
            motion(dense(4, Relu, normal(2.0)), adam_w(well)),
        ),
        fault("8 ReLU layers, weights N(0.01)", &[Vanishing], 0.6, motion(dense(8, Relu, normal(0.01)), adam_w(well))),
        fault(
            "4 ReLU layers, all weights -0.1",
            &[DyingRelu],
            0.6,
            motion(dense(4, Relu, Some(Init::Constant { value: -0.1 })), adam_w(well)),
        ),
        fault(
            "4 ReLU layers, AdamW at 1",
            &[LearningRateTooHigh, DyingRelu],
            0.6,
            motion(dense(4, Relu, None), adam_w(1.0)),
        ),
        fault(
            "4 ReLU layers, SGD at 5",
            &[LearningRateTooHigh, Exploding, NonFinite],
            0.6,
            motion(dense(4, Relu, None), sgd(5.0)),
        ),
        fault("6 sigmoid convolutions", &[Vanishing], 0.36, image(convolutions(6, false, Sigmoid, None), sgd(0.1))),
        fault(
            "4 convolutions, weights N(1)",
            &[InitialWeightsTooLarge, Exploding],
            0.36,
            image(convolutions(4, false, Relu, normal(1.0)), sgd(0.1)),
        ),
        fault(
            "4 convolutions, weights N(0.001)",
            &[Vanishing],
            0.36,
            image(convolutions(4, false, Relu, normal(0.001)), sgd(0.1)),
        ),
        fault(
            "4 normalized convolutions, SGD at 30",
            &[LearningRateTooHigh, Exploding, DyingRelu],
            0.36,
            image(convolutions(4, true, Relu, None), sgd(30.0)),
        ),
        fault("healthy: GRU", &[], 0.6, motion(gru(), adam_w(well))),
        fault("healthy: RNN", &[], 0.32, motion(rnn(), adam_w(well))),
        fault("healthy: 4 tanh layers", &[], 0.6, motion(dense(4, Tanh, None), adam_w(well))),
        fault("healthy: 4 ReLU layers", &[], 0.6, motion(dense(4, Relu, None), adam_w(well))),
        fault("healthy: 12 ReLU layers", &[], 0.6, motion(dense(12, Relu, None), adam_w(well))),
        fault("healthy: 4 normalized convolutions", &[], 0.36, image(convolutions(4, true, Relu, None), sgd(0.1))),
    ]
}
