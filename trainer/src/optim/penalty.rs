//! Penalties on weights and activities: a term of the loss that pulls them towards zero.
//!
//! `l1 sum |w| + l2 sum w^2` over matrices and kernels, not over biases and batch normalization; its gradient is
//! `l1 sign(w) + 2 l2 w`. As Keras' `kernel_regularizer=L1L2(l1, l2)` on every layer. The term is part of the training
//! loss that is reported, and of the gradients that are clipped; validation reports the plain loss.
//!
//! L1 makes weights exactly zero only in the limit; L2 of `l2` is the coupled weight decay `2 l2` of PyTorch's SGD.

use serde::{Deserialize, Serialize};

use crate::engine::parameter::Parameter;

/// How strongly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Penalty {
    /// On magnitudes.
    pub l1: f32,
    /// On squares.
    pub l2: f32,
    /// On squares of activities: [`crate::nets::Net::set_activity_penalty`].
    #[serde(default)]
    pub activity: f32,
}

impl Penalty {
    /// Whether there is none on weights.
    pub fn spares_weights(&self) -> bool {
        self.l1 == 0.0 && self.l2 == 0.0
    }

    /// Adds the gradient of the term on weights to those of the parameters; returns its part of the loss.
    pub fn add(&self, parameters: &mut [Parameter<'_>]) -> f64 {
        let (l1, l2) = (self.l1, 2.0 * self.l2);
        let (mut magnitudes, mut squares) = (0.0, 0.0);
        for parameter in parameters.iter_mut().filter(|p| p.decay) {
            for (&w, g) in parameter.value.iter().zip(&mut *parameter.gradient) {
                // `signum` of zero is 1; the slope there is taken as 0.
                let sign = if w == 0.0 { 0.0 } else { w.signum() };
                *g += l1 * sign + l2 * w;
                magnitudes += f64::from(w.abs());
                squares += f64::from(w) * f64::from(w);
            }
        }
        f64::from(self.l1) * magnitudes + f64::from(self.l2) * squares
    }
}

#[cfg(test)]
mod tests {
    use super::Penalty;
    use crate::engine::parameter::Weights;

    #[test]
    fn by_hand() {
        let (mut w, mut b) = (Weights::matrix(vec![2.0f32, -0.5, 0.0], 1), Weights::new(vec![3.0f32]));
        w.gradient = vec![1.0; 3];
        let penalty = Penalty { l1: 0.25, l2: 0.5, activity: 0.0 };
        let loss = penalty.add(&mut [w.parameter("w".into(), true), b.parameter("b".into(), false)]);
        assert_eq!(loss, 0.25 * 2.5 + 0.5 * 4.25);
        assert_eq!(w.gradient, [1.0 + 0.25 + 2.0, 1.0 - 0.25 - 0.5, 1.0]);
        assert_eq!(b.gradient, [0.0], "biases are free");
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let penalty = Penalty { l1: 0.3, l2: 0.7, activity: 0.0 };
        let loss = |v: f32| penalty.add(&mut [Weights::matrix(vec![v], 1).parameter("w".into(), true)]);
        for v in [1.25f32, -0.5] {
            let mut w = Weights::matrix(vec![v], 1);
            penalty.add(&mut [w.parameter("w".into(), true)]);
            let slope = (loss(v + 0.0625) - loss(v - 0.0625)) / 0.125;
            assert!((slope - f64::from(w.gradient[0])).abs() < 1e-6, "{v}");
        }
    }
}
