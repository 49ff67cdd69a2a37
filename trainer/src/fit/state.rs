//! What a checkpoint holds of a run, and the rule by which an epoch is kept.

use std::{path::Path, time::Instant};

use serde::{Deserialize, Serialize};

use super::Fit;
use crate::{
    config::bounds::{EPOCHS, MILLISECONDS, STEPS},
    doctor::thresholds::Thresholds,
    error::TrainError,
    fit::budget::Budget,
    nets::Arch,
    run::{average::Average, checkpoint::Checkpoint},
};

/// What is known of the epochs so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Best {
    /// The epoch whose network is kept.
    pub(super) epoch: u32,
    /// Most validation samples that any epoch had right.
    pub(super) peak: usize,
}

/// Whether `correct` of `total` is no worse than `peak` of `total` within one standard error of their difference.
///
/// A small validation set that is nearly solved ranks epochs by chance, and the chance is best while the learning
/// rate is still high and the accuracy jumps. The rate only falls, so of two epochs that cannot be told apart the
/// later is the better guess. With `p = (peak + 1) / (total + 2)` (Laplace, so that a perfect score has an error
/// too), a count has the variance `total p (1 - p)` and the difference of two twice that.
pub(super) fn no_worse(correct: usize, peak: usize, total: usize) -> bool {
    let (n, p) = (total as f64, (peak + 1) as f64 / (total + 2) as f64);
    correct as f64 + (2.0 * n * p * (1.0 - p)).sqrt() >= peak as f64
}

/// Sums over the steps of an epoch. Kept as bits: JSON must not round them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sums {
    pub(super) loss: u64,
    pub(super) norm: u64,
    pub(super) norm_max: u64,
    pub(super) correct: usize,
    pub(super) seen: usize,
    pub(super) steps: u64,
    /// Milliseconds of the run at the epoch's begin.
    pub(super) began: u64,
}

/// What a checkpoint says besides the numbers of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) arch: Arch,
    pub(super) fingerprint: u32,
    /// Epochs done.
    pub(super) epoch: u32,
    /// Batches of this epoch done.
    pub(super) batch: usize,
    #[serde(rename = "plan")]
    pub(super) budget: Budget,
    pub(super) sums: Sums,
    pub(super) best: Option<Best>,
    /// On the validation samples, of the last epoch; as bits.
    pub(super) validation_loss: Option<u64>,
    /// Steps the optimizer has taken.
    pub(super) optimizer_steps: u64,
    /// Milliseconds of training in all sessions.
    pub(super) elapsed: u64,
}

impl State {
    /// Refuses what no run of `epoch` steps an epoch comes to: counts that would overflow, and sums that are no numbers.
    fn check(&self, epoch: usize) -> Result<(), String> {
        self.budget.check()?;
        let within = |field: &str, value: u64, most: u64| match value <= most {
            true => Ok(()),
            false => Err(format!("{field} = {value}; allowed: 0 to {most}")),
        };
        let Sums { loss, norm, norm_max, correct, seen, steps, began } = self.sums;
        within("epoch", self.epoch.into(), (*EPOCHS.end()).into())?;
        within("batch", self.batch as u64, epoch as u64)?;
        within("optimizer_steps", self.optimizer_steps, STEPS)?;
        within("elapsed", self.elapsed, MILLISECONDS)?;
        within("sums.steps", steps, STEPS)?;
        within("sums.seen", seen as u64, STEPS)?;
        within("sums.correct", correct as u64, seen as u64)?;
        within("sums.began", began, MILLISECONDS)?;
        if let Some(best) = self.best {
            within("best.epoch", best.epoch.into(), self.epoch.into())?;
            within("best.peak", best.peak as u64, STEPS)?;
        }
        let numbers = [
            ("sums.loss", Some(loss)),
            ("sums.norm", Some(norm)),
            ("sums.norm_max", Some(norm_max)),
            ("validation_loss", self.validation_loss),
        ];
        match numbers.iter().find(|(_, bits)| bits.is_some_and(|bits| !f64::from_bits(bits).is_finite())) {
            Some((field, _)) => Err(format!("{field} is no finite number in bits")),
            None => Ok(()),
        }
    }
}

impl Fit<'_> {
    /// Writes everything that the next step depends on.
    pub(super) fn save(&mut self, path: &Path) -> Result<(), TrainError> {
        self.state.elapsed = self.elapsed();
        self.state.optimizer_steps = self.optimizer.steps;
        let mut arrays: Vec<(String, Vec<f32>)> = Vec::new();
        arrays.extend(self.net.parameters().into_iter().map(|p| (format!("weights/{}", p.name), p.value.to_vec())));
        arrays.extend(self.net.buffers().into_iter().map(|(name, v)| (format!("statistics/{name}"), v.to_vec())));
        arrays.extend(self.optimizer.memory.iter().enumerate().map(|(i, m)| (format!("memory/{i}"), m.clone())));
        arrays.extend(self.average.iter().flat_map(Average::arrays));
        Checkpoint { header: self.state.clone(), arrays }.save(path)
    }

    /// Keeps a state to which a repair may go back, if the run is to be repaired and is well.
    pub(super) fn save_healthy(&mut self) -> Result<(), TrainError> {
        let Sums { loss, steps, .. } = self.state.sums;
        // What has just begun to explode has no verdict yet; before the first step there is no loss.
        let loss = f64::from_bits(loss) / steps.max(1) as f64;
        let sound = loss <= Thresholds::default().diverged * self.baseline;
        let well = sound && self.doctor.as_ref().is_none_or(|d| d.verdicts().is_empty());
        if self.job.settings.repair && well { self.save(&self.run.healthy()) } else { Ok(()) }
    }

    /// Takes up again what [`Fit::save`] wrote.
    pub(super) fn load(&mut self, path: &Path) -> Result<(), TrainError> {
        let checkpoint = Checkpoint::<State>::load(path)?;
        let bad = |reason: &str| TrainError::Checkpoint { path: path.into(), reason: reason.into() };
        if checkpoint.header.arch != *self.net.arch() {
            return Err(bad("it is of another network than config.json and the data ask for"));
        }
        if checkpoint.header.fingerprint != self.job.fingerprint {
            return Err(bad(
                "the training data, the seed or the share to validate on have changed since it was written",
            ));
        }
        checkpoint.header.check(self.steps_in_epoch).map_err(|reason| bad(&reason))?;
        for parameter in self.net.parameters() {
            checkpoint.restore(path, &format!("weights/{}", parameter.name), parameter.value)?;
        }
        for (name, values) in self.net.buffers() {
            checkpoint.restore(path, &format!("statistics/{name}"), values)?;
        }
        let memory = checkpoint.arrays.iter().filter(|(name, _)| name.starts_with("memory/")).enumerate();
        self.optimizer.memory = memory
            .map(|(i, (name, values))| match *name == format!("memory/{i}") {
                true => Ok(values.clone()),
                false => Err(bad(&format!("`{name}` where `memory/{i}` should be"))),
            })
            .collect::<Result<_, _>>()?;
        self.optimizer.check(&self.net.trainable()).map_err(|reason| bad(&reason))?;
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
