//! What a run's settings may be, whether they come from flags or from a `config.json` that somebody has edited.

use std::{fmt::Display, ops::RangeInclusive};

use crate::{
    config::{Config, Settings, Task},
    data::{
        images::Augmentation,
        mixup::ALPHAS,
        sound::{BANDS, RATES},
        text::WORDS,
    },
    error::TrainError,
    nets::LayerSpec,
    optim::{Rule, clip::Clip, schedule::Shape},
    run::folder::RunFolder,
};

/// Samples in a step.
pub const BATCHES: RangeInclusive<usize> = 1..=4096;

/// The highest learning rate that is accepted, as any above 0.
pub const HIGHEST_RATE: f32 = 100.0;

/// Epochs of a run.
pub const EPOCHS: RangeInclusive<u32> = 1..=100_000;

/// Steps of a run: those of [`EPOCHS`] over more samples than any list can have. Counts of a checkpoint stay below it too,
/// so that none can overflow, and all are exact as floats.
pub const STEPS: u64 = 1 << 53;

/// Minutes of a time budget.
pub const MINUTES: f64 = 1e6;

/// The same in seconds.
pub const SECONDS: u64 = 60_000_000;

/// Time that a run has taken: 139 years.
pub const MILLISECONDS: u64 = 1 << 42;

/// Pixels that pictures are shifted by and covered with: the largest side there is.
const PIXELS: RangeInclusive<usize> = 0..=512;

/// A setting that makes no sense.
#[derive(Debug)]
pub struct Wrong {
    /// The flag that sets it.
    pub flag: &'static str,
    /// Where it stands in `config.json`.
    pub key: &'static str,
    /// What is allowed.
    pub reason: String,
}

/// How pictures vary is not told by a flag but by the recipe.
const NO_AUGMENT: &str = "--no-augment";

type Checked = Result<(), Wrong>;

fn fits(flag: &'static str, key: &'static str, fits: bool, allowed: &str) -> Checked {
    if fits { Ok(()) } else { Err(Wrong { flag, key, reason: format!("must be {allowed}") }) }
}

fn within<T: PartialOrd + Display>(
    flag: &'static str,
    key: &'static str,
    value: T,
    allowed: RangeInclusive<T>,
) -> Checked {
    let (least, most) = (allowed.start(), allowed.end());
    fits(flag, key, allowed.contains(&value), &format!("{least} to {most}, not {value}"))
}

/// Checks all settings of a run.
///
/// # Errors
/// The first that is out of bounds.
pub fn check(task: &Task, settings: &Settings) -> Checked {
    within("--epochs", "settings.epochs", settings.epochs, EPOCHS)?;
    within("--batch", "settings.batch", settings.batch, BATCHES)?;
    if settings.batch == 1 && task.net().iter().any(LayerSpec::normalizes) {
        let reason = "1 sample has no statistics for this network's batch normalization; take 2 or more".into();
        return Err(Wrong { flag: "--batch", key: "settings.batch", reason });
    }
    let rate = settings.rate;
    let allowed = format!("above 0 and at most {HIGHEST_RATE}");
    fits("--lr", "settings.rate", rate > 0.0 && rate <= HIGHEST_RATE, &allowed)?;
    let minutes = settings.minutes.is_none_or(|m| m > 0.0 && m <= MINUTES);
    fits("--minutes", "settings.minutes", minutes, "above 0 and at most 1000000")?;
    within("--validation", "settings.validation", settings.validation, 0.0..=0.9)?;
    let smoothing = (0.0..1.0).contains(&settings.label_smoothing);
    fits("--label-smoothing", "settings.label_smoothing", smoothing, "0 or more and below 1")?;
    let average = settings.average.is_none_or(|decay| decay > 0.0 && decay < 1.0);
    fits("--average", "settings.average", average, "above 0 and below 1")?;
    settings.mixup.map_or(Ok(()), |alpha| within("--mixup", "settings.mixup", alpha, ALPHAS))?;
    if settings.repair && settings.watch == 0 {
        let reason = "needs a doctor that looks: watch must be above 0".into();
        return Err(Wrong { flag: "--repair", key: "settings.repair", reason });
    }
    schedule(settings)?;
    rule(&settings.rule)?;
    clip(&settings.clip)?;
    let penalty = &settings.penalty;
    within("--l1", "settings.penalty.l1", penalty.l1, 0.0..=1.0)?;
    within("--l2", "settings.penalty.l2", penalty.l2, 0.0..=1.0)?;
    within("--l2-activity", "settings.penalty.activity", penalty.activity, 0.0..=1.0)?;
    data(task, settings)
}

fn schedule(settings: &Settings) -> Checked {
    let schedule = &settings.schedule;
    within("--warm-up", "settings.schedule.warm_up", schedule.warm_up, 0..=1_000_000)?;
    match schedule.shape {
        Shape::Constant | Shape::Cosine => Ok(()),
        Shape::OneCycle { rise } => {
            fits("--schedule", "settings.schedule.shape.rise", rise > 0.0 && rise < 1.0, "above 0 and below 1")
        }
        Shape::Step { every, factor } => {
            within("--step-every", "settings.schedule.shape.every", every, EPOCHS)?;
            let sound = factor > 0.0 && factor <= 1.0;
            fits("--step-factor", "settings.schedule.shape.factor", sound, "above 0 and at most 1")
        }
    }
}

fn rule(rule: &Rule) -> Checked {
    let memory = |flag, key, value: f32| fits(flag, key, (0.0..1.0).contains(&value), "0 or more and below 1");
    let momentum = |value| memory("--momentum", "settings.rule.momentum", value);
    let epsilon =
        |value: f32| fits("--epsilon", "settings.rule.epsilon", value > 0.0 && value <= 1.0, "above 0 and at most 1");
    let decay = match *rule {
        Rule::Sgd { momentum: m, weight_decay, .. } => {
            momentum(m)?;
            weight_decay
        }
        Rule::RmsProp { alpha, momentum: m, epsilon: e, weight_decay } => {
            memory("--alpha", "settings.rule.alpha", alpha)?;
            momentum(m)?;
            epsilon(e)?;
            weight_decay
        }
        Rule::Adam { beta1, beta2, epsilon: e, weight_decay }
        | Rule::AdamW { beta1, beta2, epsilon: e, weight_decay } => {
            memory("--beta1", "settings.rule.beta1", beta1)?;
            memory("--beta2", "settings.rule.beta2", beta2)?;
            epsilon(e)?;
            weight_decay
        }
    };
    within("--weight-decay", "settings.rule.weight_decay", decay, 0.0..=1.0)
}

fn clip(clip: &Clip) -> Checked {
    let (flag, key, limit) = match *clip {
        Clip::None => return Ok(()),
        Clip::Value { limit } => ("--clip-value", "settings.clip.limit", limit),
        Clip::Norm { limit } => ("--clip-norm", "settings.clip.limit", limit),
        Clip::GlobalNorm { limit } => ("--clip", "settings.clip.limit", limit),
        Clip::Adaptive { factor } => ("--clip-adaptive", "settings.clip.factor", factor),
    };
    fits(flag, key, limit > 0.0 && limit.is_finite(), "above 0")
}

fn data(task: &Task, settings: &Settings) -> Checked {
    match *task {
        Task::Image { size, augmentation, .. } => {
            size.map_or(Ok(()), |size| within("--size", "task.size", size, 8..=512))?;
            let Augmentation { shift, flip: _, colour, cutout } = augmentation.unwrap_or_default();
            within(NO_AUGMENT, "task.augmentation.shift", shift, PIXELS)?;
            within(NO_AUGMENT, "task.augmentation.cutout", cutout, PIXELS)?;
            within(NO_AUGMENT, "task.augmentation.colour", colour, 0.0..=1.0)
        }
        Task::Sound { rate, bands, frames, .. } => {
            rate.map_or(Ok(()), |rate| within("--rate", "task.rate", rate, RATES))?;
            within("--bands", "task.bands", bands, BANDS)?;
            within("--frames", "task.frames", frames.unwrap_or(1), 1..=u16::MAX)
        }
        Task::Motion { rate, frames, .. } => {
            fits("--rate", "task.rate", rate > 0.0 && rate <= 1e6, "above 0 and at most 1000000")?;
            within("--frames", "task.frames", frames, 2..=u16::MAX)
        }
        Task::Text { words, tokens, .. } => {
            within("--words", "task.words", words, WORDS)?;
            within("--tokens", "task.tokens", tokens.unwrap_or(1), 1..=u16::MAX)?;
            if settings.mixup.is_some() {
                let reason = "mixes numbers that measure something; texts are the numbers of words".into();
                return Err(Wrong { flag: "--mixup", key: "settings.mixup", reason });
            }
            if settings.qat {
                let reason = "is for what escarp-convert packs; it packs no nets that take texts".into();
                return Err(Wrong { flag: "--qat", key: "settings.qat", reason });
            }
            Ok(())
        }
    }
}

/// Checks what a run is about to be continued with: its settings, and those that an unfinished repair brings.
///
/// # Errors
/// [`TrainError::NoRun`] with file, key and what is allowed.
pub fn check_run(folder: &RunFolder, config: &Config) -> Result<(), TrainError> {
    let checked = |file, config: &Config| {
        check(&config.task, &config.settings).map_err(|Wrong { key, reason, .. }| TrainError::NoRun {
            folder: folder.path().into(),
            reason: format!("{file}: {key} {reason}"),
        })
    };
    checked("config.json", config)?;
    folder.planned_repair()?.map_or(Ok(()), |planned| checked("repair.json", &planned))
}
