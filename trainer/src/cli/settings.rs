//! From flags to the settings of a run: each task's recipe.

use super::{
    Common,
    tools::{OptimizerName, Recipe},
    transfer::Pace,
    usage,
};
use crate::{
    config::{
        Settings, Task,
        bounds::{Wrong, check},
    },
    error::TrainError,
};

/// Fills in the recipe of each task where no flag says otherwise, and checks them all.
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
        label_smoothing: tools.label_smoothing.unwrap_or(recipe.smoothing),
        rule,
        clip: tools.clip(&recipe),
        penalty: tools.penalty(),
        average: tools.average,
        mixup: tools.mixup,
        watch: common.watch,
        init_from: common.transfer.init_from.clone(),
        freeze: common.transfer.freeze(),
        qat: common.transfer.qat,
        repair: common.repair,
    };
    check(task, &settings).map_err(|Wrong { flag, reason, .. }| usage(flag, reason))?;
    Ok(settings)
}
