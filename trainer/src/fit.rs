//! The training loop: steps, epochs, validation, checkpoints.

use std::time::Instant;

use escarp_converter::metadata::Metadata;
use serde::{Deserialize, Serialize};

use crate::average::Average;
use crate::checkpoint::Checkpoint;
use crate::config::Settings;
use crate::data::draw::{Purpose, epoch_order, stream};
use crate::data::mixup::mix;
use crate::data::{Augment, Samples, Split, batch};
use crate::error::TrainError;
use crate::evaluate::{Evaluation, evaluate};
use crate::events::Events;
use crate::export::export;
use crate::files::write_atomically;
use crate::loss::Targets;
use crate::nets::{Arch, Net};
use crate::optim::Optimizer;
use crate::parameter::{first_non_finite, gradient_norm};
use crate::plan::Plan;
use crate::progress::{Now, Progress};
use crate::run_folder::{EpochMetrics, RunFolder};
use crate::schedule::Moment;

/// Steps between two points in TensorBoard.
const EVENT_STEPS: u64 = 20;

/// What is to be fitted to what.
pub struct Job<'a> {
    /// Training and validation samples.
    pub samples: &'a dyn Samples,
    /// Which are which.
    pub split: Split,
    /// Samples to test the best network on when training is over.
    pub test: Option<&'a dyn Samples>,
    /// Labels, front end, provenance.
    pub metadata: Metadata,
    /// How.
    pub settings: &'a Settings,
    /// Checksum of the samples.
    pub fingerprint: u32,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// By its plan.
    Finished {
        /// Of the network in `model.onnx`; `None` without validation samples.
        validation: Option<Evaluation>,
        /// Of the network in `model.onnx`; `None` without test samples.
        test: Option<Evaluation>,
        /// The epoch whose network it is, from 1.
        epoch: u32,
    },
    /// Because it was asked to stop; a checkpoint is written.
    Interrupted {
        /// Steps done.
        step: u64,
    },
}

/// What is known of the epochs so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Best {
    /// The epoch whose network is kept.
    epoch: u32,
    /// Most validation samples that any epoch had right.
    peak: usize,
}

/// Whether `correct` of `total` is no worse than `peak` of `total` within one standard error of their difference.
///
/// A small validation set that is nearly solved ranks epochs by chance, and the chance is best while the learning
/// rate is still high and the accuracy jumps. The rate only falls, so of two epochs that cannot be told apart the
/// later is the better guess. With `p = (peak + 1) / (total + 2)` (Laplace, so that a perfect score has an error
/// too), a count has the variance `total p (1 - p)` and the difference of two twice that.
fn no_worse(correct: usize, peak: usize, total: usize) -> bool {
    let (n, p) = (total as f64, (peak + 1) as f64 / (total + 2) as f64);
    correct as f64 + (2.0 * n * p * (1.0 - p)).sqrt() >= peak as f64
}

/// Sums over the steps of an epoch. Kept as bits: JSON must not round them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sums {
    loss: u64,
    norm: u64,
    norm_max: u64,
    correct: usize,
    seen: usize,
    steps: u64,
    /// Milliseconds of the run at the epoch's begin.
    began: u64,
}

/// What a checkpoint says besides the numbers of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct State {
    arch: Arch,
    fingerprint: u32,
    /// Epochs done.
    epoch: u32,
    /// Batches of this epoch done.
    batch: usize,
    plan: Plan,
    sums: Sums,
    best: Option<Best>,
    /// Steps the optimizer has taken.
    optimizer_steps: u64,
    /// Milliseconds of training in all sessions.
    elapsed: u64,
}

/// Trains `net`, or goes on training if `resume` says so. `stop` is asked before each step, with the number
/// of steps done.
pub fn fit(
    job: &Job,
    net: Net,
    run: &RunFolder,
    resume: bool,
    progress: &mut Progress,
    stop: &dyn Fn(u64) -> bool,
) -> Result<Outcome, TrainError> {
    let mut fit = Fit::new(job, net, run);
    if resume {
        fit.load(&run.last())?;
        run.rewind(fit.state.plan.step())?;
        progress.line(match fit.state.plan.finished() {
            false => format!("continuing at epoch {}, step {}", fit.state.epoch + 1, fit.state.plan.step()),
            true => "finished before; the best network is tested and written again".to_owned(),
        });
    } else {
        fit.save(&run.last())?; // so that a run killed in its first epoch can be continued like any other
    }
    let mut events = Events::create(run.path(), fit.state.plan.step())?;
    while !fit.state.plan.finished() {
        if !fit.epoch(&mut events, progress, stop)? {
            fit.save(&run.last())?;
            progress.clear();
            return Ok(Outcome::Interrupted { step: fit.state.plan.step() });
        }
        fit.end_epoch(&mut events, progress)?;
    }
    progress.clear();
    fit.finish()
}

struct Fit<'a> {
    job: &'a Job<'a>,
    run: &'a RunFolder,
    net: Net,
    optimizer: Optimizer,
    average: Option<Average>,
    state: State,
    started: Instant,
    elapsed_before: u64,
    steps_in_epoch: usize,
    /// Of the last step.
    rate: f32,
}

impl<'a> Fit<'a> {
    fn new(job: &'a Job, mut net: Net, run: &'a RunFolder) -> Self {
        let settings = job.settings;
        // The last, smaller batch is left out: its statistics would be noisier than the others'. Which samples
        // that hits changes with every epoch.
        let steps_in_epoch = (job.split.train.len() / settings.batch).max(1);
        let total = u64::from(settings.epochs) * steps_in_epoch as u64;
        let state = State {
            arch: net.arch().clone(),
            fingerprint: job.fingerprint,
            epoch: 0,
            batch: 0,
            plan: Plan::new(total, settings.minutes),
            sums: Sums::default(),
            best: None,
            optimizer_steps: 0,
            elapsed: 0,
        };
        Self {
            job,
            run,
            average: settings.average.map(|decay| Average::new(decay, &mut net)),
            net,
            optimizer: Optimizer::new(settings.rule.clone()),
            state,
            started: Instant::now(),
            elapsed_before: 0,
            steps_in_epoch,
            rate: 0.0,
        }
    }

    /// Milliseconds of training so far, all sessions together.
    fn elapsed(&self) -> u64 {
        self.elapsed_before + self.started.elapsed().as_millis() as u64
    }

    fn seconds(&self) -> f64 {
        self.elapsed() as f64 / 1e3
    }

    /// Does the rest of the epoch; false if asked to stop.
    fn epoch(
        &mut self,
        events: &mut Events,
        progress: &mut Progress,
        stop: &dyn Fn(u64) -> bool,
    ) -> Result<bool, TrainError> {
        let settings = self.job.settings;
        let order = epoch_order(&self.job.split.train, settings.seed, self.state.epoch);
        let title = match settings.minutes {
            None => format!("epoch {}/{}", self.state.epoch + 1, settings.epochs),
            Some(_) => format!("epoch {}", self.state.epoch + 1),
        };
        progress.start(title, self.steps_in_epoch as u64);
        if self.state.batch == 0 {
            self.state.sums = Sums { began: self.elapsed(), ..Sums::default() };
        }
        while self.state.batch < self.steps_in_epoch && !self.state.plan.finished() {
            if stop(self.state.plan.step()) {
                return Ok(false);
            }
            let indices = order[self.state.batch * settings.batch..].iter().take(settings.batch);
            let norm = self.step(&indices.copied().collect::<Vec<_>>())?;
            let now = self.now(norm);
            progress.step(self.state.batch as u64, now);
            let step = self.state.plan.step();
            if step.is_multiple_of(EVENT_STEPS) {
                let rate = f64::from(self.rate);
                let values = [("step/loss", now.loss), ("step/gradient_norm", norm), ("step/learning_rate", rate)];
                events.scalars(step, &values)?;
            }
        }
        Ok(true)
    }

    /// One step on a batch; returns the norm of its gradients.
    fn step(&mut self, indices: &[u32]) -> Result<f64, TrainError> {
        let settings = self.job.settings;
        let augment = Augment { seed: settings.seed, epoch: self.state.epoch };
        let (mut inputs, classes) = batch(self.job.samples, indices, Some(augment));
        let mixed = settings.mixup.map(|alpha| {
            let mut rng = stream(settings.seed, Purpose::Mixup, self.state.epoch, self.state.batch as u32);
            mix(&mut inputs, &classes, alpha, &mut rng)
        });
        let targets = match &mixed {
            None => Targets::Classes(&classes),
            Some(mixed) => Targets::Mixed { first: &classes, second: &mixed.second, share: mixed.share },
        };
        let mut stats = self.net.gradients(&inputs, targets, settings.label_smoothing)?;
        let plan = &self.state.plan;
        let moment = Moment::new(plan.step(), self.state.epoch, plan.position());
        self.rate = settings.schedule.rate(settings.rate, moment);
        let mut parameters = self.net.parameters();
        if !settings.penalty.is_none() {
            stats.loss += settings.penalty.add(&mut parameters);
            stats.gradient_norm = gradient_norm(&parameters);
        }
        if !stats.loss.is_finite() || !stats.gradient_norm.is_finite() {
            return Err(TrainError::Diverged {
                epoch: self.state.epoch + 1,
                step: self.state.plan.step(),
                loss: stats.loss,
                norm: stats.gradient_norm,
                place: first_non_finite(&parameters).map_or(String::new(), |name| format!(", first in {name}")),
                rate: self.rate,
            });
        }
        settings.clip.apply(&mut parameters);
        let steps = self.optimizer.steps;
        self.optimizer.step(&mut parameters, self.rate);
        if let Some(average) = &mut self.average {
            average.update(steps, &mut self.net);
        }
        let sums = &mut self.state.sums;
        let add = |bits: &mut u64, value: f64| *bits = (f64::from_bits(*bits) + value).to_bits();
        add(&mut sums.loss, stats.loss);
        add(&mut sums.norm, stats.gradient_norm);
        sums.norm_max = f64::from_bits(sums.norm_max).max(stats.gradient_norm).to_bits();
        sums.correct += stats.correct;
        sums.seen += stats.samples;
        sums.steps += 1;
        self.state.batch += 1;
        let seconds = self.seconds();
        self.state.plan.advance(seconds);
        Ok(stats.gradient_norm)
    }

    fn now(&self, gradient_norm: f64) -> Now {
        let sums = &self.state.sums;
        let seconds = (self.elapsed() - sums.began.min(self.elapsed())) as f64 / 1e3;
        let pace = self.seconds() / self.state.plan.step().max(1) as f64;
        Now {
            loss: f64::from_bits(sums.loss) / sums.steps.max(1) as f64,
            accuracy: sums.correct as f64 / sums.seen.max(1) as f64,
            gradient_norm,
            samples_per_second: sums.seen as f64 / seconds.max(1e-3),
            seconds_left: pace * self.state.plan.left() as f64,
        }
    }

    /// Validates, records, keeps the best, saves.
    fn end_epoch(&mut self, events: &mut Events, progress: &mut Progress) -> Result<(), TrainError> {
        let sums = self.state.sums.clone();
        let norm = f64::from_bits(sums.norm) / sums.steps.max(1) as f64;
        let now = self.now(norm);
        let held_out = &self.job.split.validation;
        let validation = match held_out.is_empty() {
            true => None,
            false => Some(self.averaged(|fit| evaluate(&mut fit.net, fit.job.samples, held_out))?),
        };
        self.state.epoch += 1;
        self.state.batch = 0;
        let metrics = EpochMetrics {
            epoch: self.state.epoch,
            step: self.state.plan.step(),
            seconds: self.seconds(),
            rate: self.rate.into(),
            train_loss: now.loss,
            train_accuracy: now.accuracy,
            gradient_norm: norm,
            gradient_norm_max: f64::from_bits(sums.norm_max),
            samples_per_second: now.samples_per_second,
            validation_loss: validation.map(|v| v.loss),
            validation_accuracy: validation.map(|v| v.accuracy()),
        };
        self.run.append(&metrics)?;
        events.scalars(metrics.step, &metrics.scalars())?;
        // Without validation samples every epoch is kept, the last in the end.
        let correct = validation.map_or(0, |v| v.correct);
        let peak = self.state.best.map_or(correct, |best| best.peak.max(correct));
        let best = no_worse(correct, peak, held_out.len());
        let epoch = if best { self.state.epoch } else { self.state.best.map_or(0, |best| best.epoch) };
        self.state.best = Some(Best { epoch, peak });
        if best {
            self.save(&self.run.best())?;
            self.averaged(|fit| fit.write_model(validation, None))?;
        }
        let measured = validation.map_or(String::new(), |v| {
            format!(
                ", validation loss {:.3} acc {:.1} %{}",
                v.loss,
                100.0 * v.accuracy(),
                if best { " (kept)" } else { "" }
            )
        });
        progress.line(format!("epoch {} {now}{measured}", self.state.epoch));
        let seconds = self.seconds();
        self.state.plan.divide(seconds);
        self.save(&self.run.last())
    }

    /// Takes the best network up again, tests it and writes it.
    fn finish(mut self) -> Result<Outcome, TrainError> {
        self.load(&self.run.best())?;
        let job = self.job;
        let mut on = |samples: &dyn Samples, indices: &[u32]| match indices.is_empty() {
            true => Ok(None),
            false => self.averaged(|fit| evaluate(&mut fit.net, samples, indices)).map(Some),
        };
        let validation = on(job.samples, &job.split.validation)?;
        let test = match job.test {
            Some(samples) => on(samples, &(0..samples.classes().len() as u32).collect::<Vec<_>>())?,
            None => None,
        };
        self.averaged(|fit| fit.write_model(validation, test))?;
        Ok(Outcome::Finished { validation, test, epoch: self.state.epoch })
    }

    /// Does something with the averaged weights in place of the latest, if there is an average.
    fn averaged<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> R {
        let swap = |fit: &mut Self| {
            if let Some(average) = &mut fit.average {
                average.swap(&mut fit.net);
            }
        };
        swap(self);
        let result = work(self);
        swap(self);
        result
    }

    fn write_model(&self, validation: Option<Evaluation>, test: Option<Evaluation>) -> Result<(), TrainError> {
        let mut metadata = self.job.metadata.clone();
        let mut note = |key: &str, value: String| metadata.provenance.insert(key.into(), value);
        note("epoch", self.state.epoch.to_string());
        for (key, evaluation) in [("validation accuracy", validation), ("test accuracy", test)] {
            if let Some(e) = evaluation {
                note(key, format!("{:.2} % ({} of {})", 100.0 * e.accuracy(), e.correct, e.total));
            }
        }
        write_atomically(&self.run.model(), &export(&self.net, &metadata)?)
    }

    fn save(&mut self, path: &std::path::Path) -> Result<(), TrainError> {
        self.state.elapsed = self.elapsed();
        self.state.optimizer_steps = self.optimizer.steps;
        let mut arrays: Vec<(String, Vec<f32>)> = Vec::new();
        arrays.extend(self.net.parameters().into_iter().map(|p| (format!("weights/{}", p.name), p.value.to_vec())));
        arrays.extend(self.net.buffers().into_iter().map(|(name, v)| (format!("statistics/{name}"), v.to_vec())));
        arrays.extend(self.optimizer.memory.iter().enumerate().map(|(i, m)| (format!("memory/{i}"), m.clone())));
        arrays.extend(self.average.iter().flat_map(Average::arrays));
        Checkpoint { header: self.state.clone(), arrays }.save(path)
    }

    fn load(&mut self, path: &std::path::Path) -> Result<(), TrainError> {
        let checkpoint = Checkpoint::<State>::load(path)?;
        let bad = |reason: &str| TrainError::Checkpoint { path: path.into(), reason: reason.into() };
        if checkpoint.header.arch != *self.net.arch() {
            return Err(bad("it is of another network than config.json and the data ask for"));
        }
        if checkpoint.header.fingerprint != self.job.fingerprint {
            return Err(bad("the training data have changed since it was written"));
        }
        for parameter in self.net.parameters() {
            checkpoint.restore(path, &format!("weights/{}", parameter.name), parameter.value)?;
        }
        for (name, values) in self.net.buffers() {
            checkpoint.restore(path, &format!("statistics/{name}"), values)?;
        }
        let memory = checkpoint.arrays.iter().filter(|(name, _)| name.starts_with("memory/"));
        self.optimizer.memory = memory.map(|(_, values)| values.clone()).collect();
        self.optimizer.steps = checkpoint.header.optimizer_steps;
        if let Some(average) = &mut self.average {
            average.restore(&checkpoint, path)?;
        }
        self.elapsed_before = checkpoint.header.elapsed;
        self.started = Instant::now();
        self.state = checkpoint.header;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::no_worse;

    #[test]
    fn epochs_within_one_standard_error_count_as_equal() {
        assert!(no_worse(229, 230, 230) && !no_worse(228, 230, 230));
        assert!(no_worse(4230, 4250, 5000) && !no_worse(4210, 4250, 5000));
        assert!(no_worse(5, 5, 10) && no_worse(0, 0, 0));
    }
}
