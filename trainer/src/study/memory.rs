//! `memory`: how far back a recurrent net can learn to look, with gates and without.

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
    layers::init::bias::GateBias,
    nets::{
        Arch, LayerSpec, Net, Shape,
        kinds::{Dense, Gru, Lstm, Rnn},
    },
    optim::{Rule, clip::Clip, schedule, schedule::Schedule},
};

/// The study.
pub const STUDY: Study = Study {
    name: "memory",
    shows: "The adding problem: a sequence of T numbers of which two are marked; the answer is their sum. A net without \
            gates is meant to stay near 0.167, the error of who always answers 1; GRU and LSTM are meant to solve it. \
            Published for T = 600 and 70,000 weights (Bai et al., arXiv:1803.01271): GRU 5.3e-5, LSTM 0.164, RNN 0.177.",
    rows: "cell",
    figures: &[
        Figure { key: "error", title: "Mean squared error on test sequences", form: Form::Scientific },
        Figure { key: "steps", title: "Training steps", form: Form::Count },
        Figure { key: "weights", title: "Trainable numbers", form: Form::Count },
    ],
    cells,
    panels: |records| curves(records, "training steps", "validation error", Some(("answering 1", BASELINE))),
    summary: |_| Vec::new(),
};

/// Which cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Without gates.
    Rnn,
    /// Gated recurrent unit, reset after the product.
    Gru,
    /// Long short-term memory.
    Lstm,
}

/// All that one training depends on besides its seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Which cell; those with gates start by chrono initialization for this length.
    pub unit: Unit,
    /// Numbers in a state.
    pub hidden: usize,
    /// Frames of a sequence.
    pub length: usize,
    /// How it is trained.
    pub training: Training,
}

/// Hidden numbers that make about 70,000 weights each: 66,304 + 257, 71,136 + 153 and 67,072 + 129.
const FULL: [(Unit, usize); 3] = [(Unit::Rnn, 256), (Unit::Gru, 152), (Unit::Lstm, 128)];
const QUICK: [(Unit, usize); 3] = [(Unit::Rnn, 32), (Unit::Gru, 32), (Unit::Lstm, 32)];

fn cells(full: bool) -> Vec<Cell> {
    let lengths: &[usize] = if full { &[100, 200, 400, 600] } else { &[30] };
    let of = |length: usize| {
        // The published figures of T = 600 are of long trainings too.
        let steps = match (full, length < 600) {
            (false, _) => 400,
            (true, true) => 3000,
            (true, false) => 6000,
        };
        (if full { FULL } else { QUICK }).into_iter().map(move |(unit, hidden)| {
            let training = Training {
                rule: Rule::adam(0.0),
                clip: Clip::GlobalNorm { limit: 1.0 },
                rate: if full { 4e-3 } else { 1e-2 },
                schedule: Schedule { shape: schedule::Shape::Cosine, warm_up: 0 },
                batch: if full { 50 } else { 32 },
                steps,
                every: if full { 100 } else { 25 },
                held_out: if full { 1000 } else { 256 },
                goal: 0.0,
            };
            Cell {
                row: format!("{unit:?}").to_uppercase(),
                column: format!("T = {length}"),
                recipe: Recipe::Memory(Memory { unit, hidden, length, training }),
            }
        })
    };
    lengths.iter().flat_map(|&length| of(length)).collect()
}

impl Memory {
    fn net(&self, seed: u64) -> Result<Net, TrainError> {
        let gate_bias = GateBias::Chrono { longest: self.length };
        let &Self { unit, hidden, length, .. } = self;
        let recurrent = match unit {
            Unit::Rnn => LayerSpec::Rnn(Rnn::new(hidden)),
            Unit::Gru => LayerSpec::Gru(Gru { gate_bias, ..Gru::new(hidden) }),
            Unit::Lstm => LayerSpec::Lstm(Lstm { gate_bias, ..Lstm::new(hidden) }),
        };
        let layers = vec![recurrent, LayerSpec::Dense(Dense::default())];
        let arch = Arch { input: Shape::Sequence([length, 2]), classes: 1, layers };
        Ok(Net::new(&arch, &mut stream(seed, Purpose::Weights, 0, 0))?)
    }

    pub(super) fn run(&self, seed: u64, session: &mut Session) -> Result<Option<Outcome>, TrainError> {
        let mut net = self.net(seed)?;
        let weights: usize = net.parameters().iter().map(|p| p.value.len()).sum();
        let trained = train(&mut net, &Adding { length: self.length }, &self.training, seed, session)?;
        Ok(trained.map(|trained| {
            let figures = [("error", trained.test.loss), ("steps", trained.steps as f64), ("weights", weights as f64)];
            Outcome::new(figures, trained.curve)
        }))
    }
}
