//! Flags of the toolbox: how the weights are moved, and what keeps them and their gradients in bounds.
//!
//! `trainer/toolbox.md` tables them beside the names of Keras and PyTorch.

use clap::{Args, ValueEnum};

use super::usage;
use crate::{
    error::TrainError,
    optim::{
        Rule,
        clip::Clip,
        penalty::Penalty,
        schedule::{Schedule, Shape},
    },
};

#[derive(Args)]
#[command(next_help_heading = "Toolbox (all of it is explained in toolbox.md)")]
pub(super) struct Tools {
    /// Highest learning rate.
    #[arg(long)]
    pub lr: Option<f32>,
    /// How the learning rate goes on: one-cycle, cosine (to zero), step (see --step-every), constant.
    #[arg(long, value_enum, default_value = "one-cycle")]
    schedule: ScheduleName,
    /// Epochs after which --schedule step lowers the learning rate.
    #[arg(long, value_name = "EPOCHS")]
    step_every: Option<u32>,
    /// Factor by which --schedule step lowers it; without it 0.1.
    #[arg(long, value_name = "FACTOR")]
    step_factor: Option<f32>,
    /// Steps in which the learning rate rises linearly to that of the schedule.
    #[arg(long, value_name = "STEPS", default_value_t = 0)]
    warm_up: u64,
    /// Optimizer; without it sgd for images, adamw for sound, motion and text. Another one than that brings its usual --lr
    /// (sgd 0.01, others 0.001) and --weight-decay (adamw 0.01, others 0).
    #[arg(long, value_enum)]
    optimizer: Option<OptimizerName>,
    /// Momentum of sgd (0.9) or rmsprop (0).
    #[arg(long)]
    momentum: Option<f32>,
    /// Plain momentum in place of Nesterov's, for sgd.
    #[arg(long)]
    no_nesterov: bool,
    /// Memory of rmsprop (0.99).
    #[arg(long)]
    alpha: Option<f32>,
    /// Memory of the mean of adam and adamw (0.9).
    #[arg(long)]
    beta1: Option<f32>,
    /// Memory of the square of adam and adamw (0.999).
    #[arg(long)]
    beta2: Option<f32>,
    /// Added to the divisor of rmsprop, adam and adamw (1e-8).
    #[arg(long)]
    epsilon: Option<f32>,
    /// Pull of the weights towards zero; through the gradient (L2) but for adamw.
    #[arg(long)]
    weight_decay: Option<f32>,
    /// Pull without the detour through gradient and momentum, for sgd.
    #[arg(long)]
    decoupled: bool,
    /// Penalty on the sum of the weights' magnitudes.
    #[arg(long, default_value_t = 0.0)]
    l1: f32,
    /// Penalty on the sum of the weights' squares.
    #[arg(long, default_value_t = 0.0)]
    l2: f32,
    /// Penalty on the sum of the squares of what hidden activations and recurrent layers give, a sample's mean.
    #[arg(long, value_name = "L2", default_value_t = 0.0)]
    l2_activity: f32,
    // The group's name is capitalized as those that clap makes of flattened types: `--resume` tells groups from flags by
    // that.
    /// Largest norm of all gradients together.
    #[arg(long, value_name = "NORM", group = "Clipping")]
    clip: Option<f32>,
    /// Largest norm of each parameter's gradient, in place of --clip.
    #[arg(long, value_name = "NORM", group = "Clipping")]
    clip_norm: Option<f32>,
    /// Largest magnitude of any gradient, in place of --clip.
    #[arg(long, value_name = "LIMIT", group = "Clipping")]
    clip_value: Option<f32>,
    /// Largest norm of a unit's gradient in relation to its weights, in place of --clip; 0.01 is usual.
    #[arg(long, value_name = "FACTOR", group = "Clipping")]
    clip_adaptive: Option<f32>,
    /// Leave gradients as they are.
    #[arg(long, group = "Clipping")]
    no_clip: bool,
    /// Share of each label's probability that is spread over all classes.
    #[arg(long)]
    pub label_smoothing: Option<f32>,
    /// Train on mixtures of two samples each, shares by Beta(ALPHA, ALPHA); 0.2 to 1 is usual.
    #[arg(long, value_name = "ALPHA")]
    pub mixup: Option<f32>,
    /// Validate and export a moving average of the weights; 0.999 is usual.
    #[arg(long, value_name = "DECAY")]
    pub average: Option<f32>,
}

/// What a task's recipe says about the tools.
pub(super) struct Recipe {
    pub optimizer: OptimizerName,
    pub rate: f32,
    pub decay: f32,
    pub smoothing: f32,
    pub clip: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OptimizerName {
    Sgd,
    Rmsprop,
    Adam,
    #[value(name = "adamw")]
    AdamW,
}
use OptimizerName::{Adam, AdamW, Rmsprop, Sgd};

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScheduleName {
    OneCycle,
    Cosine,
    Step,
    Constant,
}

/// Share of the run in which the one-cycle schedule rises.
const RISE: f32 = 0.25;

impl Tools {
    /// The highest learning rate and the rule.
    pub fn rule(&self, recipe: &Recipe, share: f32) -> Result<(f32, Rule), TrainError> {
        let optimizer = self.optimizer.unwrap_or(recipe.optimizer);
        let (rate, decay) = match optimizer {
            own if own == recipe.optimizer => (recipe.rate, recipe.decay),
            Sgd => (0.01, 0.0),
            Rmsprop | Adam => (0.001, 0.0),
            AdamW => (0.001, 0.01),
        };
        let rate = self.lr.unwrap_or(share * rate);
        let only = |flag, given: bool, of: &[OptimizerName]| match given && !of.contains(&optimizer) {
            true => {
                let name = |o: &OptimizerName| format!("{o:?}").to_lowercase();
                let of: Vec<String> = of.iter().map(name).collect();
                Err(usage(flag, format!("is for --optimizer {}, not {}", of.join(" and "), name(&optimizer))))
            }
            false => Ok(()),
        };
        only("--momentum", self.momentum.is_some(), &[Sgd, Rmsprop])?;
        only("--no-nesterov", self.no_nesterov, &[Sgd])?;
        only("--decoupled", self.decoupled, &[Sgd])?;
        only("--alpha", self.alpha.is_some(), &[Rmsprop])?;
        only("--beta1", self.beta1.is_some(), &[Adam, AdamW])?;
        only("--beta2", self.beta2.is_some(), &[Adam, AdamW])?;
        only("--epsilon", self.epsilon.is_some(), &[Rmsprop, Adam, AdamW])?;
        let epsilon = self.epsilon.unwrap_or(1e-8);
        let weight_decay = self.weight_decay.unwrap_or(decay);
        let (beta1, beta2) = (self.beta1.unwrap_or(0.9), self.beta2.unwrap_or(0.999));
        let rule = match optimizer {
            Sgd => Rule::Sgd {
                momentum: self.momentum.unwrap_or(0.9),
                nesterov: !self.no_nesterov,
                weight_decay,
                decoupled: self.decoupled,
            },
            Rmsprop => Rule::RmsProp {
                alpha: self.alpha.unwrap_or(0.99),
                momentum: self.momentum.unwrap_or(0.0),
                epsilon,
                weight_decay,
            },
            Adam => Rule::Adam { beta1, beta2, epsilon, weight_decay },
            AdamW => Rule::AdamW { beta1, beta2, epsilon, weight_decay },
        };
        Ok((rate, rule))
    }

    pub fn schedule(&self) -> Result<Schedule, TrainError> {
        let step = self.schedule == ScheduleName::Step;
        for (flag, given) in
            [("--step-every", self.step_every.is_some()), ("--step-factor", self.step_factor.is_some())]
        {
            if given && !step {
                return Err(usage(flag, "is for --schedule step"));
            }
        }
        let shape = match self.schedule {
            ScheduleName::Constant => Shape::Constant,
            ScheduleName::Cosine => Shape::Cosine,
            ScheduleName::OneCycle => Shape::OneCycle { rise: RISE },
            ScheduleName::Step => {
                let every = self.step_every.ok_or_else(|| usage("--schedule step", "needs --step-every EPOCHS"))?;
                Shape::Step { every, factor: self.step_factor.unwrap_or(0.1) }
            }
        };
        Ok(Schedule { shape, warm_up: self.warm_up })
    }

    pub fn clip(&self, recipe: &Recipe) -> Clip {
        match *self {
            Self { no_clip: true, .. } => Clip::None,
            Self { clip_value: Some(limit), .. } => Clip::Value { limit },
            Self { clip_norm: Some(limit), .. } => Clip::Norm { limit },
            Self { clip_adaptive: Some(factor), .. } => Clip::Adaptive { factor },
            Self { clip, .. } => Clip::GlobalNorm { limit: clip.unwrap_or(recipe.clip) },
        }
    }

    pub fn penalty(&self) -> Penalty {
        Penalty { l1: self.l1, l2: self.l2, activity: self.l2_activity }
    }
}
