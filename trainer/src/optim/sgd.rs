//! Stochastic gradient descent with momentum.

/// Numbers of one step; see [`super::Rule::Sgd`].
pub(super) struct Step {
    pub lr: f32,
    pub momentum: f32,
    pub nesterov: bool,
    /// `g <- g + l2 w`.
    pub l2: f32,
    /// `w <- shrink w` before the step.
    pub shrink: f32,
}

impl Step {
    pub fn apply(&self, w: &mut [f32], g: &[f32], velocity: &mut [f32]) {
        let &Self { lr, momentum, nesterov, l2, shrink } = self;
        for ((w, &g), v) in w.iter_mut().zip(g).zip(velocity) {
            let g = g + l2 * *w;
            *v = momentum * *v + g;
            *w = shrink * *w - lr * if nesterov { g + momentum * *v } else { *v };
        }
    }
}
