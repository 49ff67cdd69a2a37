//! The loop that all studies train by: fresh samples at every step, so that nothing can be learned by heart.

use ndarray::ArrayD;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::pictures::Pictures;
use crate::{
    engine::random::{Purpose, stream},
    error::TrainError,
    nets::{
        Net,
        loss::{Loss, Targets, loss},
    },
    optim::{
        Optimizer, Rule,
        clip::Clip,
        schedule::{Moment, Schedule},
    },
    run::progress::Progress,
};

/// What should have been said about each sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Answers {
    /// Numbers, judged by their squared error.
    Numbers(Vec<f32>),
    /// Classes, judged by cross-entropy.
    Classes(Vec<usize>),
}

impl Answers {
    /// For the loss.
    pub fn targets(&self) -> Targets<'_> {
        match self {
            Self::Numbers(numbers) => Targets::Numbers(numbers),
            Self::Classes(classes) => Targets::Classes(classes),
        }
    }
}

/// Where samples come from.
pub trait Task {
    /// `count` samples, `[count, ...]`, and their answers.
    fn samples(&self, count: usize, rng: &mut ChaCha8Rng) -> (ArrayD<f32>, Answers);
}

/// How a net is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The optimizer.
    pub rule: Rule,
    /// What is clipped.
    pub clip: Clip,
    /// The highest learning rate.
    pub rate: f32,
    /// The learning rate over the steps.
    pub schedule: Schedule,
    /// Samples in a step.
    pub batch: usize,
    /// Steps, if the goal is not reached before.
    pub steps: u64,
    /// Steps from one validation to the next.
    pub every: u64,
    /// Samples to validate on, and as many others to test on.
    pub held_out: usize,
    /// Training ends when the validation loss is below this; 0: never.
    pub goal: f64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Steps taken.
    pub steps: u64,
    /// On the test samples, by the last weights. The loss is infinite if the net diverged.
    pub test: Loss<f32>,
    /// Largest norm of all gradients, before clipping, of any step; infinite if the loss or a gradient left the finite
    /// numbers, which ends the training.
    pub largest_gradient: f64,
    /// Steps taken and the validation loss there.
    pub curve: Vec<(u64, f64)>,
}

/// What is asked and told meanwhile.
pub struct Session<'a> {
    /// Whether to stop; asked before each step.
    pub stop: &'a dyn Fn() -> bool,
    /// Where progress is shown.
    pub progress: &'a mut Progress,
    /// Those that the recipe asks for.
    pub pictures: Option<&'a Pictures>,
}

/// Parts of the stream of random samples.
const TRAINING: u32 = 0;
const VALIDATION: u32 = 1;
const TEST: u32 = 2;

/// The samples of step `step`.
pub fn batch(task: &dyn Task, training: &Training, seed: u64, step: u64) -> (ArrayD<f32>, Answers) {
    task.samples(training.batch, &mut stream(seed, Purpose::Study, TRAINING, step as u32))
}

/// Trains `net`; `None` if asked to stop.
///
/// # Errors
/// A task whose samples do not fit the net.
pub fn train(
    net: &mut Net,
    task: &dyn Task,
    training: &Training,
    seed: u64,
    session: &mut Session,
) -> Result<Option<Trained>, TrainError> {
    let held_out = |part| task.samples(training.held_out, &mut stream(seed, Purpose::Study, part, 0));
    let validation = held_out(VALIDATION);
    let mut optimizer = Optimizer::new(training.rule.clone());
    let (mut largest_gradient, mut diverged, mut curve, mut step) = (0.0f64, false, Vec::new(), 0);
    while step < training.steps && !diverged {
        if (session.stop)() {
            return Ok(None);
        }
        let (x, answers) = batch(task, training, seed, step);
        let stats = net.gradients(&x, answers.targets(), 0.0)?;
        diverged = !stats.loss.is_finite() || !stats.gradient_norm.is_finite();
        // `max` would pass over a NaN.
        largest_gradient = if diverged { f64::INFINITY } else { largest_gradient.max(stats.gradient_norm) };
        if !diverged {
            let mut parameters = net.parameters();
            training.clip.apply(&mut parameters);
            let now = Moment { step, epoch: 0, at: step, last: training.steps };
            optimizer.step(&mut parameters, training.schedule.rate(training.rate, now));
        }
        step += 1;
        session.progress.step(step, format_args!("loss {:.2e} |g| {:.1e}", stats.loss, stats.gradient_norm));
        if step.is_multiple_of(training.every) || diverged {
            let loss = judge(net, &validation)?.loss;
            curve.push((step, loss));
            if loss < training.goal {
                break;
            }
        }
    }
    let mut test = judge(net, &held_out(TEST))?;
    if diverged {
        // The last weights, from before the step that could not be taken, may still give some huge number.
        test.loss = f64::INFINITY;
    }
    Ok(Some(Trained { steps: step, test, largest_gradient, curve }))
}

fn judge(net: &mut Net, (x, answers): &(ArrayD<f32>, Answers)) -> Result<Loss<f32>, TrainError> {
    Ok(loss(net.predict(x)?.view(), answers.targets(), 0.0))
}
