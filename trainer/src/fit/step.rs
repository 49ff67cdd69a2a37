//! One step: a batch, its gradients, the optimizer, and now and then a look by the doctor.

use super::{Fit, looks};
use crate::{
    data::{Augment, answers::Answers, batch, lengths, mixup::mix},
    doctor::{
        diagnose::warning,
        live::{Live, sentence},
        measure::Measure,
        record::{LayerHealth, Observation},
        thresholds::Thresholds,
    },
    engine::{
        parameter::{first_non_finite, gradient_norm},
        random::{Purpose, stream},
    },
    error::TrainError,
    layers::Noise,
    nets::{Batch, StepStats, Watch, loss::Targets},
    optim::{clip::Clip, schedule::Moment},
    run::{events::Events, progress::Progress},
};

impl Fit<'_> {
    /// One step on a batch.
    pub(super) fn step(
        &mut self,
        indices: &[u32],
        events: &mut Events,
        progress: &mut Progress,
    ) -> Result<StepStats, TrainError> {
        let settings = self.job.settings;
        let augment = Augment { seed: settings.seed, epoch: self.state.epoch };
        let (mut inputs, classes) = batch(self.job.samples, indices, Some(augment));
        let mixed = settings.mixup.map(|alpha| {
            let mut rng = stream(settings.seed, Purpose::Mixup, self.state.epoch, self.state.batch as u32);
            mix(&mut inputs, &classes, alpha, &mut rng)
        });
        let lengths = lengths(self.job.samples, indices);
        let inputs = Batch { x: &inputs, lengths: lengths.as_deref() };
        let answers = Answers::new(classes, self.net.arch().classes);
        let targets = match &mixed {
            None => answers.targets(),
            Some(mixed) => Targets::Mixed { first: answers.classes(), second: &mixed.second, share: mixed.share },
        };
        let step = self.state.budget.step();
        self.rate =
            settings.schedule.rate(settings.rate, Moment::new(step, self.state.epoch, self.state.budget.position()));
        let (epoch, ends) = (self.steps_in_epoch as u64, self.state.batch + 1 == self.steps_in_epoch);
        let due = self.doctor.as_ref().is_some() && looks::due(&self.state.budget, settings.watch, epoch, ends);
        // The first step is looked at though no doctor may watch: weights that are too large are said before they are used.
        let mut measure = (due || step == 0).then(Measure::default);
        let kept: Vec<Vec<f32>> = self.net.buffers().into_iter().map(|(_, values)| values.to_vec()).collect();
        let stats = self.gradients(inputs, targets, measure.as_mut()).inspect_err(|_| {
            // A step that was cut short has moved the statistics of some layers and nothing else.
            self.net.buffers().into_iter().zip(&kept).for_each(|((_, now), kept)| now.copy_from_slice(kept));
        })?;
        if !stats.loss.is_finite() || !stats.gradient_norm.is_finite() {
            if self.doctor.is_some() && measure.is_none() {
                // Once more, so that the doctor sees where it began.
                self.gradients(inputs, targets, Some(measure.insert(Measure::default())))?;
            }
            if let Some(mut measure) = measure {
                measure.before(&self.net.trainable());
                self.observe(measure, &stats, false, events, progress)?;
            }
            return Err(self.diverged(&stats));
        }
        let mut parameters = self.net.trainable();
        if let Some(measure) = &mut measure {
            measure.before(&parameters);
        }
        if let (0, Some(measure)) = (step, &measure) {
            let first = self.observation(measure.layers().to_vec(), &stats, false);
            let found = warning(&first, &Thresholds::default(), Some(&self.known()));
            found.iter().for_each(|v| progress.line(sentence(v)));
            parameters = self.net.trainable();
        }
        settings.clip.apply(&mut parameters);
        // Rounding may make a norm a little smaller that was not clipped.
        let clipped = measure.is_some() && gradient_norm(&parameters) < 0.999 * stats.gradient_norm;
        let steps = self.optimizer.steps;
        self.optimizer.step(&mut parameters, self.rate);
        if let Some(average) = &mut self.average {
            average.update(steps, &mut self.net);
        }
        if let Some(measure) = measure {
            self.observe(measure, &stats, clipped, events, progress)?;
        }
        self.count(&stats);
        Ok(stats)
    }

    /// Gradients of the loss with its penalties.
    fn gradients(
        &mut self,
        inputs: Batch<'_>,
        targets: Targets<'_>,
        measure: Option<&mut Measure>,
    ) -> Result<StepStats, TrainError> {
        let settings = self.job.settings;
        let watch = measure.map(|m| m as &mut dyn Watch<f32>);
        self.net.set_noise(Noise { seed: settings.seed, step: self.state.budget.step() });
        let mut stats = self.net.gradients_watched(inputs, targets, settings.label_smoothing, watch)?;
        if !settings.penalty.spares_weights() {
            let mut parameters = self.net.trainable();
            let penalty = settings.penalty.add(&mut parameters);
            (stats.loss, stats.penalty) = (stats.loss + penalty, stats.penalty + penalty);
            stats.gradient_norm = gradient_norm(&parameters);
        }
        Ok(stats)
    }

    /// Hands over to the doctor what this step has shown.
    fn observe(
        &mut self,
        measure: Measure,
        stats: &StepStats,
        clipped: bool,
        events: &mut Events,
        progress: &mut Progress,
    ) -> Result<(), TrainError> {
        let layers = measure.after(&self.net.trainable());
        let observation = self.observation(layers, stats, clipped);
        self.doctor.as_mut().map_or(Ok(()), |doctor| doctor.take(&observation, events, progress))
    }

    /// What the step that is being taken, or has just been, shows.
    fn observation(&self, layers: Vec<LayerHealth>, stats: &StepStats, clipped: bool) -> Observation {
        let budget = &self.state.budget;
        // Beside what a guess costs there is no place for penalties, unless they are why the numbers are lost.
        let penalty = if stats.penalty.is_finite() { stats.penalty } else { 0.0 };
        Observation {
            step: budget.step(),
            epoch: Some(self.state.epoch + 1),
            // With a budget of minutes nobody knows.
            planned_steps: self.job.settings.minutes.is_none().then(|| budget.step() + budget.left()),
            batch: Some(self.samples_in_step() as u32),
            baseline_loss: Some(self.baseline),
            loss: Some(stats.loss - penalty),
            accuracy: Some(stats.correct as f64 / stats.samples.max(1) as f64),
            rate: Some(self.rate.into()),
            gradient_norm: Some(stats.gradient_norm),
            clipped,
            validation_loss: self.state.validation_loss.map(f64::from_bits),
            layers,
        }
    }

    /// The error of a run whose loss on the validation samples is not finite though that of its steps still is. The doctor
    /// is shown the net on some training samples.
    pub(super) fn lost_on_validation(
        &mut self,
        loss: f64,
        events: &mut Events,
        progress: &mut Progress,
    ) -> Result<TrainError, TrainError> {
        let indices: Vec<u32> = self.job.split.train.iter().copied().take(self.samples_in_step()).collect();
        let (inputs, classes) = batch(self.job.samples, &indices, None);
        let lengths = lengths(self.job.samples, &indices);
        let inputs = Batch { x: &inputs, lengths: lengths.as_deref() };
        let answers = Answers::new(classes, self.net.arch().classes);
        let mut measure = Measure::default();
        let stats = self.gradients(inputs, answers.targets(), Some(&mut measure))?;
        measure.before(&self.net.trainable());
        self.state.validation_loss = Some(loss.to_bits());
        self.observe(measure, &stats, false, events, progress)?;
        Ok(self.diverged(&StepStats { loss, ..stats }))
    }

    fn diverged(&mut self, stats: &StepStats) -> TrainError {
        let verdicts = self.doctor.as_ref().map_or(&[][..], Live::verdicts);
        let cures = verdicts.iter().flat_map(|v| &v.prescriptions);
        TrainError::Diverged {
            epoch: self.state.epoch + 1,
            step: self.state.budget.step(),
            loss: stats.loss,
            norm: stats.gradient_norm,
            place: first_non_finite(&self.net.parameters()).map_or(String::new(), |name| format!(", first in {name}")),
            rate: self.job.settings.rate,
            clip: if self.job.settings.clip == Clip::None { "" } else { " or a lower --clip" },
            cures: cures.map(|p| format!("\n  {}", p.sentence())).collect(),
        }
    }

    fn count(&mut self, stats: &StepStats) {
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
        self.state.budget.advance(seconds);
    }
}
