//! `residual`: what shortcuts do for the training error of deep nets.

use serde::{Deserialize, Serialize};

use super::{
    Cell, Figure, Form, Outcome, Recipe, Record, Study,
    chart::{Horizontal, Line, Panel},
    pictures::{Count, Pictures},
    training::Session,
};
use crate::{
    data::batch,
    engine::random::{Purpose, epoch_order, stream},
    error::TrainError,
    fit::evaluate::evaluate,
    nets::{Arch, Net, Shape, loss::Targets, presets::Preset},
    optim::{
        Optimizer, Rule, schedule,
        schedule::{Moment, Schedule},
    },
};

/// The study.
pub const STUDY: Study = Study {
    name: "residual",
    shows: "ResNets for small images and their plain twins, which lack the shortcuts and nothing else, by the same recipe \
            from the same seed. A deeper plain net could do all that a shallower one does, and must still be worse in \
            training error; a deeper ResNet must not be (He et al., CVPR 2016, section 4.2). The full form is of 20 and \
            56 layers and takes CIFAR-10 by --data: the first 500 images of each class to train on, the next 100 to test \
            on; 8 channels in the first stage where the paper has 16, 40 epochs where it has 182; SGD with momentum along \
            a cosine, no augmentation: about 45 minutes of one core. The quick form is of 8 and 32 layers, on built-in \
            images, and too short for the deeper ResNet to catch up with the shallower. Curves are of the images as they \
            were learned from, tables of the net after the last epoch.",
    rows: "net",
    figures: &[
        Figure { key: "training error", title: "Error on training images", form: Form::Percent },
        Figure { key: "test error", title: "Error on test images", form: Form::Percent },
        Figure { key: "weights", title: "Trainable numbers", form: Form::Count },
    ],
    cells,
    panels,
    summary: |_| Vec::new(),
};

/// All that one training depends on besides its seed and the pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    /// A preset.
    pub net: String,
    /// Channels of its first stage.
    pub width: usize,
    /// What it learns from.
    pub images: Count,
    /// The optimizer.
    pub rule: Rule,
    /// The highest learning rate.
    pub rate: f32,
    /// The learning rate over the steps.
    pub schedule: Schedule,
    /// Samples in a step.
    pub batch: usize,
    /// Passes over the training images.
    pub epochs: u32,
}

fn cells(full: bool) -> Vec<Cell> {
    let nets = [("plain", "plain"), ("with shortcuts", "resnet")];
    let of = |depth: usize| {
        nets.into_iter().map(move |(row, net)| {
            let recipe = Residual {
                net: format!("{net}{depth}"),
                width: if full { 8 } else { 4 },
                images: if full { Count { train: 5000, test: 1000 } } else { Count { train: 160, test: 40 } },
                rule: Rule::sgd(1e-4),
                rate: if full { 0.1 } else { 0.05 },
                schedule: Schedule { shape: schedule::Shape::Cosine, warm_up: 0 },
                batch: if full { 32 } else { 16 },
                epochs: if full { 40 } else { 14 },
            };
            Cell { row: row.into(), column: format!("{depth} layers"), recipe: Recipe::Residual(recipe) }
        })
    };
    (if full { [20, 56] } else { [8, 32] }).into_iter().flat_map(of).collect()
}

/// One, with a line for each net.
fn panels(records: &[&Record]) -> Vec<Panel> {
    let line = |record: &&Record| Line {
        name: format!("{}, {}", record.row, record.column),
        points: record.curve.iter().filter_map(|&(at, v)| Some((at as f64, v?))).collect(),
    };
    vec![Panel {
        title: "Plain nets and ResNets".into(),
        horizontal: Horizontal::Linear("epochs"),
        vertical: "training error",
        lines: records.iter().map(line).collect(),
        level: None,
    }]
}

impl Residual {
    fn net(&self, pictures: &Pictures, seed: u64) -> Result<Net, TrainError> {
        let mut net = Preset::find(&self.net).expect("a preset").net();
        net.widen(self.width);
        let [height, width] = pictures.images.size();
        let arch = Arch { input: Shape::Map([height, width, 3]), classes: pictures.classes, layers: net.layers };
        Ok(Net::new(&arch, &mut stream(seed, Purpose::Weights, 0, 0))?)
    }

    pub(super) fn steps(&self) -> u64 {
        u64::from(self.epochs) * (self.images.train / self.batch) as u64
    }

    pub(super) fn run(&self, seed: u64, session: &mut Session) -> Result<Option<Outcome>, TrainError> {
        let Some(pictures) = session.pictures else { unreachable!("opened, for `Recipe::images` asks for them") };
        let mut net = self.net(pictures, seed)?;
        let weights: usize = net.parameters().iter().map(|p| p.value.len()).sum();
        let mut optimizer = Optimizer::new(self.rule.clone());
        // As in every training a smaller last batch is left out.
        let steps = pictures.train.len() / self.batch;
        let last = u64::from(self.epochs) * steps as u64;
        let (mut step, mut curve, mut diverged) = (0, Vec::new(), false);
        for epoch in 0..self.epochs {
            let order = epoch_order(&pictures.train, seed, epoch);
            let mut wrong = 0;
            for indices in order.chunks_exact(self.batch) {
                if (session.stop)() {
                    return Ok(None);
                }
                let (x, classes) = batch(&pictures.images, indices, None);
                let stats = net.gradients(&x, Targets::Classes(&classes), 0.0)?;
                diverged = !stats.loss.is_finite() || !stats.gradient_norm.is_finite();
                if diverged {
                    break;
                }
                let rate = self.schedule.rate(self.rate, Moment { step, epoch, at: step, last });
                optimizer.step(&mut net.parameters(), rate);
                wrong += stats.samples - stats.correct;
                step += 1;
                session.progress.step(step, format_args!("loss {:.3} |g| {:.1e}", stats.loss, stats.gradient_norm));
            }
            if diverged {
                break;
            }
            curve.push((u64::from(epoch) + 1, wrong as f64 / (steps * self.batch) as f64));
        }
        let mut error = |indices: &[u32]| match diverged {
            true => Ok(f64::NAN),
            false => evaluate(&mut net, &pictures.images, indices).map(|e| 1.0 - e.accuracy()),
        };
        let (training, test) = (error(&pictures.train)?, error(&pictures.test)?);
        let figures = [("training error", training), ("test error", test), ("weights", weights as f64)];
        Ok(Some(Outcome::new(figures, curve)))
    }
}
