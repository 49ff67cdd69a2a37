//! `clip`: a recurrent net whose gradients explode, with every kind of clipping and without.

use serde::{Deserialize, Serialize};

use super::{
    Cell, Figure, Form, Outcome, Recipe, Study,
    adding::{Adding, BASELINE},
    chart::curves,
    training::{Session, Training, train},
};
use crate::{
    engine::random::{Purpose, stream},
    error::TrainError,
    nets::{
        Arch, LayerSpec, Net, Shape,
        kinds::{Dense, Rnn},
    },
    optim::{Rule, clip::Clip, schedule, schedule::Schedule},
};

/// The study.
pub const STUDY: Study = Study {
    name: "clip",
    shows: "A plain recurrent net on the adding problem whose recurrent weights start as 1.5 times an orthogonal matrix, so \
            that gradients grow on their way back in time, and whose learning rate suits clipped gradients. Without \
            clipping a few steep places of the loss must throw the weights away until numbers are no longer finite \
            (Pascanu et al., ICML 2013); with each kind of clipping the same net must learn. Who always answers 1 errs by \
            0.167.",
    rows: "clipping",
    figures: &[
        Figure { key: "error", title: "Mean squared error on test sequences", form: Form::Scientific },
        Figure { key: "largest gradient", title: "Largest gradient norm before clipping", form: Form::Scientific },
    ],
    cells,
    panels: |records| curves(records, "training steps", "validation error", Some(("answering 1", BASELINE))),
    summary: |_| Vec::new(),
};

/// All that one training depends on besides its seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clipping {
    /// Numbers in the state.
    pub hidden: usize,
    /// Frames of a sequence.
    pub length: usize,
    /// What the orthogonal recurrent weights are multiplied by: above 1 gradients grow on their way back in time.
    pub gain: f32,
    /// Which of several initial nets.
    pub draw: u32,
    /// How it is trained.
    pub training: Training,
}

const KINDS: [(&str, Clip); 5] = [
    ("none", Clip::None),
    ("by value", Clip::Value { limit: 0.01 }),
    ("by norm", Clip::Norm { limit: 0.1 }),
    ("by global norm", Clip::GlobalNorm { limit: 0.1 }),
    ("adaptive", Clip::Adaptive { factor: 0.01 }),
];

fn cells(full: bool) -> Vec<Cell> {
    let draws = if full { 5 } else { 1 };
    let of = |draw: u32| {
        KINDS.into_iter().map(move |(name, clip)| {
            let training = Training {
                rule: Rule::sgd(0.0),
                clip,
                rate: 0.05,
                schedule: Schedule { shape: schedule::Shape::Cosine, warm_up: 0 },
                batch: 32,
                steps: if full { 4000 } else { 1000 },
                every: 50,
                held_out: 500,
                goal: 0.0,
            };
            let length = if full { 20 } else { 10 };
            let recipe = Clipping { hidden: 32, length, gain: 1.5, draw, training };
            Cell { row: name.into(), column: format!("net {}", draw + 1), recipe: Recipe::Clip(recipe) }
        })
    };
    (0..draws).flat_map(of).collect()
}

impl Clipping {
    fn net(&self, seed: u64) -> Result<Net, TrainError> {
        let &Self { hidden, length, .. } = self;
        let layers = vec![LayerSpec::Rnn(Rnn::new(hidden)), LayerSpec::Dense(Dense::default())];
        let arch = Arch { input: Shape::Sequence([length, 2]), classes: 1, layers };
        let mut net = Net::new(&arch, &mut stream(seed, Purpose::Weights, 0, self.draw))?;
        for p in net.parameters().into_iter().filter(|p| p.name.ends_with(".recurrent")) {
            p.value.iter_mut().for_each(|w| *w *= self.gain);
        }
        Ok(net)
    }

    pub(super) fn run(&self, seed: u64, session: &mut Session) -> Result<Option<Outcome>, TrainError> {
        let mut net = self.net(seed)?;
        let trained = train(&mut net, &Adding { length: self.length }, &self.training, seed, session)?;
        Ok(trained.map(|trained| {
            let figures = [("error", trained.test.loss), ("largest gradient", trained.largest_gradient)];
            Outcome::new(figures, trained.curve)
        }))
    }
}
