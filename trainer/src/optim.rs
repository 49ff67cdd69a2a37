//! From gradients to steps: SGD with momentum, AdamW, and clipping by global norm.

use serde::{Deserialize, Serialize};

use crate::parameter::{Parameter, gradient_norm};

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
        /// Keep the decay out of the momentum.
        decoupled: bool,
    },
    /// Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019), as PyTorch's `AdamW`.
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

    /// AdamW with the usual memories.
    pub fn adam_w(weight_decay: f32) -> Self {
        Self::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay }
    }

    /// Numbers remembered for each parameter.
    fn slots(&self) -> usize {
        match self {
            Self::Sgd { .. } => 1,
            Self::AdamW { .. } => 2,
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
    /// Memory, parameter after parameter: velocity for SGD; mean, then square for AdamW. Part of a checkpoint. Empty
    /// before the first step; a checkpoint's memory may be put here as it was.
    pub memory: Vec<Vec<f32>>,
}

impl Optimizer {
    /// A rule that remembers nothing yet.
    pub fn new(rule: Rule) -> Self {
        Self { rule, steps: 0, memory: Vec::new() }
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
            match (&self.rule, memory) {
                (&Rule::Sgd { momentum, nesterov, weight_decay, decoupled }, [velocity]) => {
                    let decay = if parameter.decay { weight_decay } else { 0.0 };
                    let (l2, shrink) = if decoupled { (0.0, 1.0 - lr * decay) } else { (decay, 1.0) };
                    for ((w, &g), v) in parameter.value.iter_mut().zip(&*parameter.gradient).zip(velocity) {
                        let g = g + l2 * *w;
                        *v = momentum * *v + g;
                        *w = shrink * *w - lr * if nesterov { g + momentum * *v } else { *v };
                    }
                }
                (&Rule::AdamW { beta1, beta2, epsilon, weight_decay }, [mean, square]) => {
                    let shrink = if parameter.decay { 1.0 - lr * weight_decay } else { 1.0 };
                    // The memories start at zero; dividing by 1 - beta^t takes that bias out.
                    let bias = |beta: f32| (1.0 - f64::from(beta).powf(self.steps as f64)) as f32;
                    let (rate, root) = (lr / bias(beta1), bias(beta2).sqrt());
                    let memories = mean.iter_mut().zip(square);
                    for ((w, &g), (m, s)) in parameter.value.iter_mut().zip(&*parameter.gradient).zip(memories) {
                        *m = beta1 * *m + (1.0 - beta1) * g;
                        *s = beta2 * *s + (1.0 - beta2) * g * g;
                        *w = shrink * *w - rate * *m / (s.sqrt() / root + epsilon);
                    }
                }
                _ => unreachable!("the memory has as many slots as its rule"),
            }
        }
    }
}

/// Scales all gradients together so that their common norm is at most `largest`; returns the norm before.
/// A norm that is not finite is returned and nothing scaled.
pub fn clip_global_norm(parameters: &mut [Parameter<'_>], largest: f32) -> f32 {
    let norm = gradient_norm(parameters) as f32;
    if norm.is_finite() && norm > largest {
        let scale = largest / norm;
        for parameter in parameters {
            parameter.gradient.iter_mut().for_each(|g| *g *= scale);
        }
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::{Optimizer, Rule, clip_global_norm};
    use crate::parameter::Weights;

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

    #[test]
    fn sgd_by_hand() {
        let sgd = |nesterov, weight_decay, decoupled| Rule::Sgd { momentum: 0.5, nesterov, weight_decay, decoupled };
        // v = 1, w = 0.9; v = 2.5, w = 0.65.
        assert!((two_steps(sgd(false, 0.0, false), true) - 0.65).abs() < 1e-6);
        // v = 1, w = 1 - 0.15; v = 2.5, w = 0.85 - 0.1 (2 + 1.25).
        assert!((two_steps(sgd(true, 0.0, false), true) - 0.525).abs() < 1e-6);
        // g = 1.1, w = 0.89; g = 2.089, v = 2.639.
        assert!((two_steps(sgd(false, 0.1, false), true) - 0.6261).abs() < 1e-6);
        assert!((two_steps(sgd(false, 0.1, false), false) - 0.65).abs() < 1e-6);
        // w = 0.99 - 0.1 = 0.89; w = 0.89 * 0.99 - 0.25.
        assert!((two_steps(sgd(false, 0.1, true), true) - 0.6311).abs() < 1e-6);
    }

    #[test]
    fn adam_w_by_hand() {
        // The first step of Adam is lr whatever the gradient; the second: m = 0.29, s = 0.004999;
        // m / 0.19 = 1.526316, sqrt(s / 0.001999) = 1.581376, ratio 0.965182.
        let w = two_steps(Rule::adam_w(0.0), true);
        assert!((w - (1.0 - 0.1 - 0.096_518_2)).abs() < 2e-5, "{w}");
        let decayed = two_steps(Rule::adam_w(0.5), true);
        assert!((decayed - ((0.95 - 0.1) * 0.95 - 0.096_518_2)).abs() < 2e-5, "{decayed}");
    }

    #[test]
    fn clipping_keeps_the_direction() {
        let (mut a, mut b) = (Weights::new(vec![0.0f32; 2]), Weights::new(vec![0.0f32]));
        a.gradient = vec![2.0, 0.0];
        b.gradient = vec![1.5];
        let norm = clip_global_norm(&mut [a.parameter("a".into(), true), b.parameter("b".into(), true)], 1.0);
        assert_eq!((norm, a.gradient[0], b.gradient[0]), (2.5, 0.8, 0.6));
        let norm = clip_global_norm(&mut [a.parameter("a".into(), true), b.parameter("b".into(), true)], 2.0);
        assert!((norm - 1.0).abs() < 1e-6 && a.gradient[0] == 0.8);
        b.gradient[0] = f32::NAN;
        assert!(clip_global_norm(&mut [b.parameter("b".into(), true)], 2.0).is_nan());
    }
}
