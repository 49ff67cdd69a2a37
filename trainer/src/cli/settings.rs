//! From flags to the settings of a run: each task's recipe, and what is allowed.

use super::tools::{OptimizerName, Recipe};
use super::transfer::Pace;
use super::{Common, fits, usage, within};
use crate::config::{Settings, Task};
use crate::data::sound::{BANDS, RATES};
use crate::data::text::WORDS;
use crate::error::TrainError;
use crate::nets::LayerSpec;

/// Fills in the recipe of each task where no flag says otherwise, and checks what flags say.
pub(super) fn settings(common: &Common, task: &Task) -> Result<Settings, TrainError> {
    let (epochs, batch, recipe) = match task {
        Task::Image { .. } => {
            let optimizer = OptimizerName::Sgd;
            (30, 64, Recipe { optimizer, rate: 0.1, decay: 5e-4, smoothing: 0.05, clip: 5.0 })
        }
        Task::Sound { .. } => {
            let optimizer = OptimizerName::AdamW;
            (100, 32, Recipe { optimizer, rate: 4e-3, decay: 1e-2, smoothing: 0.1, clip: 1.0 })
        }
        Task::Motion { .. } => {
            let optimizer = OptimizerName::AdamW;
            (50, 32, Recipe { optimizer, rate: 1e-2, decay: 1e-2, smoothing: 0.05, clip: 1.0 })
        }
        Task::Text { .. } => {
            let optimizer = OptimizerName::AdamW;
            (10, 32, Recipe { optimizer, rate: 4e-3, decay: 1e-2, smoothing: 0.0, clip: 1.0 })
        }
    };
    let tools = &common.tools;
    let Pace { epochs: share, rate } = common.transfer.pace();
    let epochs = ((epochs as f32 * share).round() as u32).max(1);
    let (rate, rule) = tools.rule(&recipe, rate)?;
    let settings = Settings {
        // A budget without a number of epochs is the only limit.
        epochs: common.epochs.unwrap_or(if common.minutes.is_some() { 100_000 } else { epochs }),
        batch: common.batch.unwrap_or(batch),
        rate,
        schedule: tools.schedule()?,
        minutes: common.minutes,
        seed: common.seed,
        validation: common.validation,
        label_smoothing: tools.label_smoothing(&recipe)?,
        rule,
        clip: tools.clip(&recipe)?,
        penalty: tools.penalty()?,
        average: tools.average()?,
        mixup: tools.mixup()?,
        watch: common.watch,
        init_from: common.transfer.init_from.clone(),
        freeze: common.transfer.freeze(),
        qat: common.transfer.qat,
        repair: common.repair,
    };
    within("--epochs", settings.epochs, 1..=100_000)?;
    within("--batch", settings.batch, 1..=4096)?;
    if settings.batch == 1 && task.net().iter().any(LayerSpec::normalizes) {
        let reason = "1 sample has no statistics for this network's batch normalization; take 2 or more";
        return Err(usage("--batch", reason));
    }
    within("--validation", settings.validation, 0.0..=0.9)?;
    fits("--minutes", settings.minutes.is_none_or(|m| m > 0.0 && m <= 1e6), "above 0 and at most 1000000")?;
    match *task {
        Task::Image { size, .. } => {
            size.map_or(Ok(()), |size| within("--size", size, 8..=512))?;
        }
        Task::Sound { rate, bands, frames, .. } => {
            rate.map_or(Ok(()), |rate| within("--rate", rate, RATES))?;
            within("--bands", bands, BANDS)?;
            within("--frames", frames.unwrap_or(1), 1..=u16::MAX)?;
        }
        Task::Motion { rate, frames, .. } => {
            fits("--rate", rate > 0.0 && rate <= 1e6, "above 0 and at most 1000000")?;
            within("--frames", frames, 2..=u16::MAX)?;
        }
        Task::Text { words, tokens, .. } => {
            within("--words", words, WORDS)?;
            within("--tokens", tokens.unwrap_or(1), 1..=u16::MAX)?;
            if settings.mixup.is_some() {
                return Err(usage("--mixup", "mixes numbers that measure something; texts are the numbers of words"));
            }
            if settings.qat {
                return Err(usage("--qat", "is for what escarp-convert packs; it packs no nets that take texts"));
            }
        }
    }
    Ok(settings)
}
