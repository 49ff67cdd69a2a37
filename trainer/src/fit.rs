//! The training loop: steps, epochs, validation, checkpoints.

pub(crate) mod budget;
pub mod evaluate;
mod looks;
pub mod qat;
pub mod ranges;
mod state;
mod step;

use std::{sync::Arc, time::Instant};

use escarp_converter::metadata::{Activation, Metadata};

use crate::{
    config::{Settings, known::KnownRun},
    data::{Samples, Split, frequencies::Frequencies},
    doctor::{
        live::Live,
        verdict::{Severity, Verdict},
    },
    engine::random::epoch_order,
    error::TrainError,
    fit::{
        budget::Budget,
        evaluate::{Evaluation, evaluate},
        ranges::{activations, spread},
    },
    nets::{Net, NetError, export::export},
    optim::Optimizer,
    run::{
        average::Average,
        events::Events,
        files::write_atomically,
        folder::{EpochMetrics, RunFolder},
        progress::{Now, Progress, Unit, share},
    },
};
use state::{Best, State, Sums, no_worse};

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
        /// Of it on training samples, as they are and spread over all, where there are no others.
        training: Option<Evaluation>,
        /// The epoch whose network it is, from 1.
        epoch: u32,
    },
    /// Because it is ill and to be repaired.
    Ill(Box<Verdict>),
    /// Because it was asked to stop; a checkpoint is written.
    Interrupted {
        /// Steps done.
        step: u64,
    },
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
        run.rewind(fit.state.budget.step())?;
        progress.line(match fit.state.budget.finished() {
            false => format!("continuing at epoch {}, step {}", fit.state.epoch + 1, fit.state.budget.step()),
            true => "finished before; the best network is tested and written again".to_owned(),
        });
    } else {
        run.rewind(0)?;
        // A run that begins again has a healthy state of before, which must be gone when it counts as begun.
        fit.save_healthy()?;
        fit.save(&run.last())?; // so that a run killed in its first epoch can be continued like any other
    }
    let mut events = Events::create(run.path(), fit.state.budget.step())?;
    fit.doctor = match job.settings.watch {
        0 => None,
        _ => Some(Live::start(run.path(), Arc::new(fit.known()), fit.state.budget.step())?),
    };
    let trained = fit.train(&mut events, progress, stop);
    progress.clear();
    // What the doctor saw is most wanted of a run that failed.
    if let Some(doctor) = &fit.doctor {
        let word = doctor.report()?;
        if let (Ok(End::Done), Some(word)) = (&trained, word) {
            progress.line(word);
        }
    }
    match (trained, fit.ill()) {
        (Ok(End::Done), _) => {
            let step = fit.state.budget.step();
            match fit.finish() {
                // All steps are done and saved.
                Err(TrainError::Net(NetError::Interrupted)) => Ok(Outcome::Interrupted { step }),
                finished => finished,
            }
        }
        (Ok(End::Asked), _) => Ok(Outcome::Interrupted { step: fit.state.budget.step() }),
        (Ok(End::Ill) | Err(TrainError::Diverged { .. }), Some(verdict)) => Ok(Outcome::Ill(Box::new(verdict))),
        (Ok(End::Ill), None) => unreachable!("only an ill run ends so"),
        (Err(error), _) => Err(error),
    }
}

/// Why training stopped.
enum End {
    /// The budget is used up.
    Done,
    /// It was asked to.
    Asked,
    /// The doctor says that it must not go on as it is.
    Ill,
}

struct Fit<'a> {
    job: &'a Job<'a>,
    run: &'a RunFolder,
    net: Net,
    optimizer: Optimizer,
    average: Option<Average>,
    doctor: Option<Live>,
    /// Loss of who knows only how frequent the classes are.
    baseline: f64,
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
            budget: Budget::new(total, settings.minutes),
            sums: Sums::default(),
            best: None,
            validation_loss: None,
            optimizer_steps: 0,
            elapsed: 0,
        };
        Self {
            job,
            run,
            average: settings.average.map(|decay| Average::new(decay, &mut net)),
            net,
            optimizer: Optimizer::new(settings.rule.clone()),
            doctor: None,
            baseline: Frequencies::of(job.samples, &job.split.train).entropy(),
            state,
            started: Instant::now(),
            elapsed_before: 0,
            steps_in_epoch,
            rate: 0.0,
        }
    }

    /// What the doctor may know.
    fn known(&self) -> KnownRun {
        KnownRun { settings: self.job.settings.clone(), net: self.net.arch().layers.clone() }
    }

    /// Milliseconds of training so far, all sessions together.
    fn elapsed(&self) -> u64 {
        self.elapsed_before + self.started.elapsed().as_millis() as u64
    }

    fn seconds(&self) -> f64 {
        self.elapsed() as f64 / 1e3
    }

    /// What the run must not go on with, if it is to be repaired.
    fn ill(&self) -> Option<Verdict> {
        let doctor = self.doctor.as_ref().filter(|_| self.job.settings.repair)?;
        doctor.verdicts().iter().find(|v| v.severity >= Severity::Ill).cloned()
    }

    /// Trains to the end of the plan, or until something ends it before.
    fn train(
        &mut self,
        events: &mut Events,
        progress: &mut Progress,
        stop: &dyn Fn(u64) -> bool,
    ) -> Result<End, TrainError> {
        while !self.state.budget.finished() {
            let done = match self.epoch(events, progress, stop) {
                Ok(None) => self.end_epoch(events, progress).map(|()| None),
                done => done,
            };
            match done {
                Ok(None) => {}
                // In a step, or in what is measured at an epoch's end, which leaves no trace until it is complete.
                Ok(Some(End::Asked)) | Err(TrainError::Net(NetError::Interrupted)) => {
                    self.save(&self.run.last())?;
                    return Ok(End::Asked);
                }
                Ok(Some(end)) => return Ok(end),
                Err(error) => return Err(error),
            }
        }
        Ok(End::Done)
    }

    /// Does the rest of the epoch, unless something ends the training in it.
    fn epoch(
        &mut self,
        events: &mut Events,
        progress: &mut Progress,
        stop: &dyn Fn(u64) -> bool,
    ) -> Result<Option<End>, TrainError> {
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
        while self.state.batch < self.steps_in_epoch && !self.state.budget.finished() {
            if stop(self.state.budget.step()) {
                return Ok(Some(End::Asked));
            }
            let indices = order[self.state.batch * settings.batch..].iter().take(settings.batch);
            let stats = self.step(&indices.copied().collect::<Vec<_>>(), events, progress)?;
            let norm = stats.gradient_norm;
            let now = self.now(norm);
            progress.step(self.state.batch as u64, now);
            let step = self.state.budget.step();
            if step.is_multiple_of(EVENT_STEPS) {
                let rate = f64::from(self.rate);
                let values = [("step/loss", stats.loss), ("step/gradient_norm", norm), ("step/learning_rate", rate)];
                events.scalars(step, &values)?;
            }
            if self.ill().is_some() {
                return Ok(Some(End::Ill));
            }
        }
        Ok(None)
    }

    /// Every step has as many.
    fn samples_in_step(&self) -> usize {
        self.job.settings.batch.min(self.job.split.train.len())
    }

    fn now(&self, gradient_norm: f64) -> Now {
        let sums = &self.state.sums;
        let seconds = (self.elapsed() - sums.began.min(self.elapsed())) as f64 / 1e3;
        let pace = self.seconds() / self.state.budget.step().max(1) as f64;
        Now {
            loss: f64::from_bits(sums.loss) / sums.steps.max(1) as f64,
            accuracy: sums.correct as f64 / sums.seen.max(1) as f64,
            gradient_norm,
            unit: self.job.samples.unit(),
            samples_per_second: (sums.steps as usize * self.samples_in_step()) as f64 / seconds.max(1e-3),
            seconds_left: pace * self.state.budget.left() as f64,
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
        // Neither kept nor called healthy.
        if let Some(lost) = validation.filter(|v| !v.loss.is_finite()) {
            return Err(self.lost_on_validation(lost.loss, events, progress)?);
        }
        // Without validation samples every epoch is kept, the last in the end.
        let correct = validation.map_or(0, |v| v.correct);
        let peak = self.state.best.map_or(correct, |best| best.peak.max(correct));
        let best = no_worse(correct, peak, validation.map_or(0, |v| v.total));
        let seen = if best { Some(self.averaged(Self::activations)?) } else { None };
        self.state.validation_loss = validation.map(|v| v.loss.to_bits());
        self.state.epoch += 1;
        self.state.batch = 0;
        let metrics = EpochMetrics {
            epoch: self.state.epoch,
            step: self.state.budget.step(),
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
        let epoch = if best { self.state.epoch } else { self.state.best.map_or(0, |best| best.epoch) };
        self.state.best = Some(Best { epoch, peak });
        if let Some(seen) = seen {
            self.save(&self.run.best())?;
            self.averaged(|fit| fit.write_model(seen, validation, None))?;
        }
        let measured = validation.map_or(String::new(), |v| {
            format!(
                ", validation loss {:.3} acc {}{}",
                v.loss,
                share(v.accuracy(), v.unit),
                if best { " (kept)" } else { "" }
            )
        });
        progress.line(format!("epoch {} {now}{measured}", self.state.epoch));
        let seconds = self.seconds();
        self.state.budget.divide(seconds);
        self.save_healthy()?;
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
            Some(samples) => on(samples, &(0..samples.count() as u32).collect::<Vec<_>>())?,
            None => None,
        };
        let training = match validation.or(test) {
            Some(_) => None,
            None => on(job.samples, &spread(&job.split.train))?,
        };
        self.averaged(|fit| {
            let seen = fit.activations()?;
            fit.write_model(seen, validation, test)
        })?;
        Ok(Outcome::Finished { validation, test, training, epoch: self.state.epoch })
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

    /// What the net's tensors hold, for whoever converts it.
    fn activations(&mut self) -> Result<Vec<Activation>, TrainError> {
        Ok(activations(&mut self.net, self.job.samples, &spread(&self.job.split.train))?)
    }

    fn write_model(
        &mut self,
        seen: Vec<Activation>,
        validation: Option<Evaluation>,
        test: Option<Evaluation>,
    ) -> Result<(), TrainError> {
        let mut metadata = self.job.metadata.clone();
        let (labels, provenance) = (&metadata.labels, &mut metadata.provenance);
        let mut note = |key: &str, value: String| provenance.insert(key.into(), value);
        note("epoch", self.state.epoch.to_string());
        for (key, evaluation) in [("validation accuracy", validation), ("test accuracy", test)] {
            if let Some(e) = evaluation {
                let of = match e.unit {
                    Unit::Samples => e.total.to_string(),
                    Unit::Frames => format!("{} frames", e.total),
                };
                note(key, format!("{:.2} % ({} of {of})", 100.0 * e.accuracy(), e.correct));
                if let Some(label) = labels.get(e.commonest.0) {
                    note(&format!("{key} of always `{label}`"), format!("{:.2} %", 100.0 * e.always()));
                }
            }
        }
        metadata.activations = seen;
        write_atomically(&self.run.model(), &export(&self.net, &metadata)?)
    }
}
