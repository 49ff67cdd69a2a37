//! Adam and AdamW, which differ in how weights decay.

/// Numbers of one step; see [`super::Rule::Adam`] and [`super::Rule::AdamW`].
pub(super) struct Step {
    pub lr: f32,
    pub beta1: f32,
    pub beta2: f32,
    pub epsilon: f32,
    /// `g <- g + l2 w`.
    pub l2: f32,
    /// `w <- shrink w` before the step.
    pub shrink: f32,
}

impl Step {
    /// Step number `t`, the first being 1. The memories start at zero, so their expectation after `t` steps is
    /// `1 - beta^t` of what they remember; dividing by that takes the bias out:
    /// `w <- w - lr m / (1 - beta1^t) / (sqrt(s / (1 - beta2^t)) + epsilon)`.
    pub fn apply(&self, t: u64, w: &mut [f32], g: &[f32], mean: &mut [f32], square: &mut [f32]) {
        let &Self { lr, beta1, beta2, epsilon, l2, shrink } = self;
        let bias = |beta: f32| (1.0 - f64::from(beta).powf(t as f64)) as f32;
        let (rate, root) = (lr / bias(beta1), bias(beta2).sqrt());
        for ((w, &g), (m, s)) in w.iter_mut().zip(g).zip(mean.iter_mut().zip(square)) {
            let g = g + l2 * *w;
            *m = beta1 * *m + (1.0 - beta1) * g;
            *s = beta2 * *s + (1.0 - beta2) * g * g;
            *w = shrink * *w - rate * *m / (s.sqrt() / root + epsilon);
        }
    }
}
