//! RMSprop: every number's gradient divided by the root of its own mean square, so that all move at the same pace.

/// Numbers of one step; see [`super::Rule::RmsProp`].
pub(super) struct Step {
    pub lr: f32,
    pub alpha: f32,
    pub momentum: f32,
    pub epsilon: f32,
    /// `g <- g + l2 w`.
    pub l2: f32,
}

impl Step {
    pub fn apply(&self, w: &mut [f32], g: &[f32], square: &mut [f32], velocity: &mut [f32]) {
        let &Self { lr, alpha, momentum, epsilon, l2 } = self;
        for ((w, &g), (s, v)) in w.iter_mut().zip(g).zip(square.iter_mut().zip(velocity)) {
            let g = g + l2 * *w;
            *s = alpha * *s + (1.0 - alpha) * g * g;
            *v = momentum * *v + g / (s.sqrt() + epsilon);
            *w -= lr * *v;
        }
    }
}
