//! `depth`: how gradients shrink or grow through the layers of a plain net, by activation and initial weights.

use ndarray::ArrayD;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::{
    Cell, Figure, Form, Outcome, Recipe, Record, Study,
    chart::{Horizontal, Line, Panel},
    training::{Answers, Session, Task, Training, batch, train},
};
use crate::{
    doctor::{measure::Measure, record::LayerHealth},
    engine::random::{Purpose, stream},
    error::TrainError,
    layers::{
        activation::Function,
        init::{Init, Kernel},
    },
    nets::{Arch, LayerSpec, Net, Shape, kinds::Dense},
    optim::{Rule, clip::Clip, schedule, schedule::Schedule},
};

/// The study.
pub const STUDY: Study = Study {
    name: "depth",
    shows: "Is a point of the plane, normal of deviation 1, inside the circle that holds half of them? Dense layers of \
            width 32, by depth, activation and initial weights (too small: deviation 0.02, too large: 0.5, where 0.18 keeps \
            a linear layer's variance). The ratio is the gradient norm of the first layer's weights over that of the last \
            layer's, before the first step; by AutoTrainer (ICSE 2021) gradients vanish below 1e-3 with the first below \
            1e-4, and explode above 70. Sigmoids must vanish with depth under every initialization: their slope is at most \
            1/4. Tanh with orthogonal and ReLU with He weights must keep the ratio and learn at every depth. Weights that \
            are too small lose the signal itself, so that first and last gradient shrink alike, until nothing reaches the \
            last layer (a ratio that is not finite) or the first (0); too large ones make tanh explode. Who guesses is \
            right in 50 %.",
    rows: "activation, weights",
    figures: &[
        Figure { key: "ratio", title: "Gradient of the first layer over that of the last", form: Form::Scientific },
        Figure { key: "first", title: "Gradient norm of the first layer", form: Form::Scientific },
        Figure { key: "accuracy", title: "Right on test samples after training", form: Form::Percent },
    ],
    cells,
    panels,
    summary: |_| Vec::new(),
};

/// All that one training depends on besides its seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Depth {
    /// Behind every layer but the last.
    pub function: Function,
    /// Weights of every layer; biases are 0.
    pub init: Init,
    /// Layers with weights, 2 or more.
    pub layers: usize,
    /// Outputs of every layer but the last.
    pub width: usize,
    /// How it is trained.
    pub training: Training,
}

const FUNCTIONS: [(&str, Function); 3] =
    [("sigmoid", Function::Sigmoid), ("tanh", Function::Tanh), ("ReLU", Function::Relu)];

/// At width 32 a deviation of 1 / sqrt 32 = 0.18 keeps the variance of a linear layer's signal.
const INITS: [(&str, Init); 5] = [
    ("Glorot", Init::GlorotUniform),
    ("He", Init::HeNormal),
    ("orthogonal", Init::Orthogonal { gain: 1.0 }),
    ("too small", Init::Normal { std: 0.02 }),
    ("too large", Init::Normal { std: 0.5 }),
];

fn cells(full: bool) -> Vec<Cell> {
    let depths: &[usize] = if full { &[2, 4, 8, 16, 32, 64] } else { &[2, 16] };
    let mut cells = Vec::new();
    for (function_name, function) in FUNCTIONS {
        for (init_name, init) in INITS {
            for &layers in depths {
                let training = Training {
                    rule: Rule::adam(0.0),
                    clip: Clip::None,
                    // Adam moves every layer by about the rate, whatever its gradient, and the layers' moves add up.
                    rate: 0.02 / layers as f32,
                    schedule: Schedule { shape: schedule::Shape::Cosine, warm_up: 0 },
                    batch: 64,
                    steps: if full { 2000 } else { 300 },
                    every: 100,
                    held_out: 1000,
                    goal: 0.0,
                };
                let recipe = Depth { function, init: init.clone(), layers, width: 32, training };
                cells.push(Cell {
                    row: format!("{function_name}, {init_name}"),
                    column: format!("{layers} layers"),
                    recipe: Recipe::Depth(recipe),
                });
            }
        }
    }
    cells
}

/// One for each activation: the ratio over the depth.
fn panels(records: &[&Record]) -> Vec<Panel> {
    let mut panels = Vec::new();
    for (title, function) in FUNCTIONS {
        let mut lines: Vec<Line> =
            INITS.iter().map(|(name, _)| Line { name: (*name).into(), points: vec![] }).collect();
        for record in records {
            let Recipe::Depth(recipe) = &record.recipe else { continue };
            let at = INITS.iter().position(|(_, init)| *init == recipe.init);
            let ratio = record.figures.get("ratio").copied().flatten();
            if let (true, Some(at), Some(ratio)) = (recipe.function == function, at, ratio) {
                lines[at].points.push((recipe.layers as f64, ratio));
            }
        }
        panels.push(Panel {
            title: title.into(),
            horizontal: Horizontal::Powers("layers"),
            vertical: "gradient of the first layer over that of the last",
            lines,
            level: Some(("vanishing below", 1e-3)),
        });
    }
    panels
}

/// Points of the plane and whether they are inside the circle that holds half of them.
struct Circle;

impl Task for Circle {
    /// `[count, 2]`.
    fn samples(&self, count: usize, rng: &mut ChaCha8Rng) -> (ArrayD<f32>, Answers) {
        // The squared radius is exponential of mean 2: half of it lies below 2 ln 2.
        let half = 2.0 * std::f32::consts::LN_2;
        let x = ArrayD::from_shape_simple_fn(vec![count, 2], || StandardNormal.sample(rng));
        let inside = |p: &ndarray::ArrayViewD<'_, f32>| usize::from(p.iter().map(|v| v * v).sum::<f32>() < half);
        let classes = x.outer_iter().map(|p| inside(&p)).collect();
        (x, Answers::Classes(classes))
    }
}

impl Depth {
    fn net(&self, seed: u64) -> Result<Net, TrainError> {
        let hidden = Dense { outputs: Some(self.width), activation: Some(self.function), ..Dense::default() };
        let mut layers = vec![LayerSpec::Dense(hidden); self.layers.saturating_sub(1)];
        layers.push(LayerSpec::Dense(Dense::default()));
        let mut rng = stream(seed, Purpose::Weights, 0, 0);
        let mut net = Net::new(&Arch { input: Shape::Vector(2), classes: 2, layers }, &mut rng)?;
        for p in net.parameters().into_iter().filter(|p| p.decay) {
            let kernel = Kernel::dense(p.value.len() / p.units, p.units);
            p.value.copy_from_slice(&self.init.fill::<f32>(kernel, &mut rng));
        }
        Ok(net)
    }

    /// Of the gradients of the first batch: the first layer's norm, and its ratio to the last layer's; 0 where nothing
    /// arrives, even if nothing leaves.
    fn gradients(&self, net: &mut Net, seed: u64) -> Result<[f64; 2], TrainError> {
        let (x, answers) = batch(&Circle, &self.training, seed, 0);
        let mut measure = Measure::default();
        net.gradients_watched(&x, answers.targets(), 0.0, Some(&mut measure))?;
        measure.before(&net.parameters());
        let layers = measure.after(&net.parameters());
        let norm = |layer: Option<&LayerHealth>| layer.and_then(|l| l.gradient_norm).unwrap_or(f64::NAN);
        let (first, last) = (norm(layers.first()), norm(layers.last()));
        Ok([first, if first == 0.0 { 0.0 } else { first / last }])
    }

    pub(super) fn run(&self, seed: u64, session: &mut Session) -> Result<Option<Outcome>, TrainError> {
        let mut net = self.net(seed)?;
        let [first, ratio] = self.gradients(&mut net, seed)?;
        let trained = train(&mut net, &Circle, &self.training, seed, session)?;
        Ok(trained.map(|trained| {
            let accuracy = trained.test.correct as f64 / trained.test.samples as f64;
            Outcome::new([("ratio", ratio), ("first", first), ("accuracy", accuracy)], trained.curve)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Answers, Circle, Task};
    use crate::engine::random::{Purpose, stream};

    #[test]
    fn half_of_the_points_are_inside() {
        let (x, answers) = Circle.samples(10_000, &mut stream(2, Purpose::Study, 0, 0));
        let Answers::Classes(classes) = answers else { panic!("classes") };
        let inside = classes.iter().sum::<usize>();
        // Give or take 50.
        assert!((4700..5300).contains(&inside), "{inside}");
        let radius = |i: usize| (x[[i, 0]].powi(2) + x[[i, 1]].powi(2)).sqrt();
        let end = |class: usize, sign: f32| {
            let of_class = (0..10_000).filter(|&i| classes[i] == class);
            of_class.map(|i| sign * radius(i)).fold(f32::NEG_INFINITY, f32::max)
        };
        // The largest radius inside and the smallest outside; sqrt(2 ln 2) = 1.177 is between.
        let (inside, outside) = (end(1, 1.0), -end(0, -1.0));
        assert!(inside <= outside && (1.15..1.2).contains(&inside), "{inside} {outside}");
    }
}
