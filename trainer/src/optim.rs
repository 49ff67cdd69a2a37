//! From gradients to steps: SGD, RMSprop, Adam and AdamW, each as PyTorch has it.

mod adam;
pub mod clip;
pub mod penalty;
mod rmsprop;
pub mod schedule;
mod sgd;

use serde::{Deserialize, Serialize};

use crate::engine::parameter::Parameter;

/// How a gradient `g` moves a number `w` at learning rate `lr`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Rule {
    /// `v <- momentum v + g`, `w <- w - lr v`; Nesterov: `w <- w - lr (g + momentum v)`. As PyTorch's `SGD`.
    Sgd {
        /// 0 is plain gradient descent; 0.9 is usual.
        momentum: f32,
        /// Look ahead along the momentum.
        nesterov: bool,
        /// `g <- g + weight_decay w` before all else (L2), or, if `decoupled`, `w <- w - lr weight_decay w`.
        weight_decay: f32,
        /// Keep the decay out of the momentum (SGDW; Loshchilov and Hutter, ICLR 2019).
        decoupled: bool,
    },
    /// `s <- alpha s + (1 - alpha) g^2`, `v <- momentum v + g / (sqrt(s) + epsilon)`, `w <- w - lr v` (Hinton, lecture
    /// 6e, 2012). As PyTorch's `RMSprop`, not centered.
    #[serde(rename = "rmsprop")]
    RmsProp {
        /// Memory of the square; 0.99 is PyTorch's, 0.9 Keras' (there `rho`).
        alpha: f32,
        /// 0 is without.
        momentum: f32,
        /// Added to the root of the square; 1e-8 is PyTorch's.
        epsilon: f32,
        /// `g <- g + weight_decay w` before all else (L2).
        weight_decay: f32,
    },
    /// Adam (Kingma and Ba, ICLR 2015), as PyTorch's `Adam`.
    Adam {
        /// Memory of the mean; 0.9 is usual.
        beta1: f32,
        /// Memory of the square; 0.999 is usual.
        beta2: f32,
        /// Added to the root of the square; 1e-8 is usual.
        epsilon: f32,
        /// `g <- g + weight_decay w` before all else (L2).
        weight_decay: f32,
    },
    /// Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019), as PyTorch's `AdamW`.
    #[serde(rename = "adamw")]
    AdamW {
        /// Memory of the mean; 0.9 is usual.
        beta1: f32,
        /// Memory of the square; 0.999 is usual.
        beta2: f32,
        /// Added to the root of the square; 1e-8 is usual.
        epsilon: f32,
        /// `w <- w - lr weight_decay w`.
        weight_decay: f32,
    },
}

impl Rule {
    /// SGD with momentum 0.9, Nesterov, L2.
    pub fn sgd(weight_decay: f32) -> Self {
        Self::Sgd { momentum: 0.9, nesterov: true, weight_decay, decoupled: false }
    }

    /// RMSprop with PyTorch's defaults.
    pub fn rmsprop(weight_decay: f32) -> Self {
        Self::RmsProp { alpha: 0.99, momentum: 0.0, epsilon: 1e-8, weight_decay }
    }

    /// Adam with the usual memories.
    pub fn adam(weight_decay: f32) -> Self {
        Self::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay }
    }

    /// AdamW with the usual memories.
    pub fn adam_w(weight_decay: f32) -> Self {
        Self::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay }
    }

    /// Arrays remembered for each parameter.
    fn slots(&self) -> usize {
        match self {
            Self::Sgd { .. } => 1,
            Self::RmsProp { .. } | Self::Adam { .. } | Self::AdamW { .. } => 2,
        }
    }
}

/// A rule with its memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimizer {
    /// What is applied.
    pub rule: Rule,
    /// Steps taken; part of a checkpoint.
    pub steps: u64,
    /// Memory, parameter after parameter: velocity for SGD; square, then velocity for RMSprop; mean, then square for
    /// Adam and AdamW. Part of a checkpoint. Empty before the first step; a checkpoint's memory may be put here as it
    /// was.
    pub memory: Vec<Vec<f32>>,
}

impl Optimizer {
    /// A rule that remembers nothing yet.
    pub fn new(rule: Rule) -> Self {
        Self { rule, steps: 0, memory: Vec::new() }
    }

    /// Whether the memory is none yet, or has an array of the right length for each slot of each of `parameters`.
    ///
    /// # Errors
    /// In words, what does not fit.
    pub fn check(&self, parameters: &[Parameter<'_>]) -> Result<(), String> {
        let slots = self.rule.slots();
        let (has, wanted) = (self.memory.len(), parameters.len() * slots);
        if has != 0 && has != wanted {
            return Err(format!("the optimizer's memory has {has} arrays; this run's optimizer needs {wanted}"));
        }
        for (i, memory) in self.memory.iter().enumerate() {
            let (name, wanted) = (&parameters[i / slots].name, parameters[i / slots].value.len());
            if memory.len() != wanted {
                return Err(format!("`memory/{i}` has {} values, `{name}` {wanted}", memory.len()));
            }
        }
        Ok(())
    }

    /// Moves every parameter by its gradient at learning rate `lr`.
    pub fn step(&mut self, parameters: &mut [Parameter<'_>], lr: f32) {
        let slots = self.rule.slots();
        self.memory.resize_with(parameters.len() * slots, Vec::new);
        self.steps += 1;
        for (parameter, memory) in parameters.iter_mut().zip(self.memory.chunks_exact_mut(slots)) {
            for slot in &mut *memory {
                slot.resize(parameter.value.len(), 0.0);
            }
            let decays = |weight_decay: f32| if parameter.decay { weight_decay } else { 0.0 };
            let (w, g) = (&mut *parameter.value, &*parameter.gradient);
            match (&self.rule, memory) {
                (&Rule::Sgd { momentum, nesterov, weight_decay, decoupled }, [velocity]) => {
                    let decay = decays(weight_decay);
                    let (l2, shrink) = if decoupled { (0.0, 1.0 - lr * decay) } else { (decay, 1.0) };
                    sgd::Step { lr, momentum, nesterov, l2, shrink }.apply(w, g, velocity);
                }
                (&Rule::RmsProp { alpha, momentum, epsilon, weight_decay }, [square, velocity]) => {
                    let l2 = decays(weight_decay);
                    rmsprop::Step { lr, alpha, momentum, epsilon, l2 }.apply(w, g, square, velocity);
                }
                (&Rule::Adam { beta1, beta2, epsilon, weight_decay }, [mean, square]) => {
                    let (l2, shrink) = (decays(weight_decay), 1.0);
                    let step = adam::Step { lr, beta1, beta2, epsilon, l2, shrink };
                    step.apply(self.steps, w, g, mean, square);
                }
                (&Rule::AdamW { beta1, beta2, epsilon, weight_decay }, [mean, square]) => {
                    let (l2, shrink) = (0.0, 1.0 - lr * decays(weight_decay));
                    let step = adam::Step { lr, beta1, beta2, epsilon, l2, shrink };
                    step.apply(self.steps, w, g, mean, square);
                }
                _ => unreachable!("the memory has as many slots as its rule"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Optimizer, Rule};
    use crate::engine::parameter::Weights;

    /// Two steps at lr 0.1 with gradients 1 then 2 from w = 1.
    fn two_steps(rule: Rule, decay: bool) -> f32 {
        let mut w = Weights::new(vec![1.0f32]);
        let mut optimizer = Optimizer::new(rule);
        for g in [1.0, 2.0] {
            w.gradient[0] = g;
            optimizer.step(&mut [w.parameter("w".into(), decay)], 0.1);
        }
        w.value[0]
    }

    #[track_caller]
    fn close(rule: Rule, decay: bool, w: f32) {
        let got = two_steps(rule.clone(), decay);
        assert!((got - w).abs() < 2e-5, "{rule:?}: {got}, by hand {w}");
    }

    #[test]
    fn sgd_by_hand() {
        let sgd = |nesterov, weight_decay, decoupled| Rule::Sgd { momentum: 0.5, nesterov, weight_decay, decoupled };
        // v = 1, w = 0.9; v = 2.5, w = 0.65.
        close(sgd(false, 0.0, false), true, 0.65);
        // v = 1, w = 1 - 0.15; v = 2.5, w = 0.85 - 0.1 (2 + 1.25).
        close(sgd(true, 0.0, false), true, 0.525);
        // g = 1.1, w = 0.89; g = 2.089, v = 2.639.
        close(sgd(false, 0.1, false), true, 0.6261);
        close(sgd(false, 0.1, false), false, 0.65);
        // w = 0.99 - 0.1 = 0.89; w = 0.89 * 0.99 - 0.25.
        close(sgd(false, 0.1, true), true, 0.6311);
    }

    #[test]
    fn rmsprop_by_hand() {
        let rule = |momentum, weight_decay| Rule::RmsProp { alpha: 0.75, momentum, epsilon: 1e-8, weight_decay };
        // s = 0.25, g / sqrt(s) = 2, w = 0.8; s = 1.1875, g / sqrt(s) = 1.835326.
        close(rule(0.0, 0.0), true, 0.616_467_4);
        // v = 2, w = 0.8; v = 0.5 * 2 + 1.835326.
        close(rule(0.5, 0.0), true, 0.516_467_4);
        // The first step does not see the size of g = 1.1: w = 0.8; g = 2.08, s = 0.226875 + 1.0816, ratio 1.818363.
        close(rule(0.0, 0.1), true, 0.618_163_7);
        close(rule(0.0, 0.1), false, 0.616_467_4);
    }

    #[test]
    fn adam_by_hand() {
        // The first step of Adam is lr whatever the gradient; the second: m = 0.29, s = 0.004999;
        // m / 0.19 = 1.526316, sqrt(s / 0.001999) = 1.581376, ratio 0.965182.
        close(Rule::adam(0.0), true, 1.0 - 0.1 - 0.096_518_2);
        close(Rule::adam_w(0.0), true, 1.0 - 0.1 - 0.096_518_2);
        // Decoupled: 1 - lr 0.5 = 0.95 before each step.
        close(Rule::adam_w(0.5), true, (0.95 - 0.1) * 0.95 - 0.096_518_2);
        // Coupled: g = 1.5, w = 0.9; g = 2.45, m / 0.19 = 2, sqrt(s / 0.001999) = 2.031548, ratio 0.984471.
        close(Rule::adam(0.5), true, 0.9 - 0.098_447_1);
        close(Rule::adam(0.5), false, 0.9 - 0.096_518_2);
    }
}
