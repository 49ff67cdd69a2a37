//! Clipping: a bound on gradients, so that one step over a cliff of the loss cannot throw the weights away.
//!
//! (Pascanu, Mikolov and Bengio, ICML 2013, for the norm; Brock et al., ICML 2021, for the adaptive form.) A gradient
//! that is not finite is left as it is: clipping must not hide that a training has diverged.

use serde::{Deserialize, Serialize};

use crate::engine::parameter::{Parameter, gradient_norm};

/// What is bounded, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Clip {
    /// Nothing.
    None,
    /// Every number: into `-limit..=limit`. Changes the direction of the step. Keras' `clipvalue`, PyTorch's
    /// `clip_grad_value_`.
    Value {
        /// Largest magnitude.
        limit: f32,
    },
    /// The norm of each parameter's gradient by itself: `g <- g min(1, limit / |g|)`. Keras' `clipnorm`.
    Norm {
        /// Largest norm of one parameter's gradient.
        limit: f32,
    },
    /// The norm of all gradients together, which keeps the direction of the step. Keras' `global_clipnorm`, PyTorch's
    /// `clip_grad_norm_` (whose divisor is larger by 1e-6).
    GlobalNorm {
        /// Largest norm of all gradients.
        limit: f32,
    },
    /// The gradient of each unit against the unit's own weights, `|g| <= factor max(|w|, 0.001)`: what counts is by how
    /// much a step changes the weights there are. A unit is what feeds one output: see [`Parameter::units`]. The last
    /// layer is left alone, as in the paper.
    Adaptive {
        /// Largest ratio of gradient to weights; 0.01 is the paper's for large batches, larger for small ones.
        factor: f32,
    },
}

/// Weights smaller than this count as this: units that start at zero could never move otherwise.
const LEAST_WEIGHT: f64 = 1e-3;

impl Clip {
    /// Bounds the gradients.
    pub fn apply(&self, parameters: &mut [Parameter<'_>]) {
        match *self {
            Self::None => {}
            Self::Value { limit } => {
                let numbers = parameters.iter_mut().flat_map(|p| p.gradient.iter_mut());
                numbers.filter(|g| g.is_finite()).for_each(|g| *g = g.clamp(-limit, limit));
            }
            Self::Norm { limit } => parameters.iter_mut().for_each(|p| shrink(std::slice::from_mut(p), limit)),
            Self::GlobalNorm { limit } => shrink(parameters, limit),
            Self::Adaptive { factor } => {
                let last_layer = parameters.iter().rposition(|p| p.decay).unwrap_or(0);
                parameters[..last_layer].iter_mut().for_each(|p| adapt(p, factor));
            }
        }
    }
}

/// Scales gradients together so that their common norm is at most `limit`.
fn shrink(parameters: &mut [Parameter<'_>], limit: f32) {
    let norm = gradient_norm(parameters) as f32;
    if norm.is_finite() && norm > limit {
        let scale = limit / norm;
        for parameter in parameters {
            parameter.gradient.iter_mut().for_each(|g| *g *= scale);
        }
    }
}

/// Bounds the gradient of each unit of a parameter by its weights.
fn adapt(parameter: &mut Parameter<'_>, factor: f32) {
    let units = parameter.units;
    let norms = |values: &[f32]| {
        let mut squares = vec![0.0f64; units];
        for row in values.chunks_exact(units) {
            squares.iter_mut().zip(row).for_each(|(s, &v)| *s += f64::from(v) * f64::from(v));
        }
        squares.into_iter().map(f64::sqrt).collect::<Vec<_>>()
    };
    let scale = |(weight, gradient): (f64, f64)| {
        let largest = f64::from(factor) * weight.max(LEAST_WEIGHT);
        if gradient.is_finite() && gradient > largest { (largest / gradient) as f32 } else { 1.0 }
    };
    let scales: Vec<f32> = norms(parameter.value).into_iter().zip(norms(parameter.gradient)).map(scale).collect();
    for row in parameter.gradient.chunks_exact_mut(units) {
        row.iter_mut().zip(&scales).for_each(|(g, s)| *g *= s);
    }
}

#[cfg(test)]
mod tests {
    use super::Clip;
    use crate::engine::parameter::Weights;

    /// Clips gradients (2, 0; 0, -4) of a 2x2 matrix, 1.5 of a bias and 8 of a last layer.
    fn clipped(clip: Clip, bias: f32) -> [Vec<f32>; 3] {
        let mut all = [
            Weights::matrix(vec![3.0f32, 0.0, 4.0, 0.0], 2),
            Weights::new(vec![10.0f32, 0.0]),
            Weights::matrix(vec![0.0f32], 1),
        ];
        all[0].gradient = vec![2.0, 0.0, 0.0, -4.0];
        all[1].gradient = vec![bias, 0.0];
        all[2].gradient = vec![8.0];
        let [a, b, c] = &mut all;
        clip.apply(&mut [a.parameter("a".into(), true), b.parameter("b".into(), false), c.parameter("c".into(), true)]);
        all.map(|w| w.gradient)
    }

    #[test]
    fn each_kind_by_hand() {
        let untouched = [vec![2.0, 0.0, 0.0, -4.0], vec![1.5, 0.0], vec![8.0]];
        assert_eq!(clipped(Clip::None, 1.5), untouched);
        assert_eq!(clipped(Clip::Value { limit: 1.5 }, 1.5), [vec![1.5, 0.0, 0.0, -1.5], vec![1.5, 0.0], vec![1.5]]);
        // |a| = sqrt 20, |b| = 1.5, |c| = 8.
        let [a, b, c] = clipped(Clip::Norm { limit: 2.0 }, 1.5);
        assert!((a[0] - 4.0 / 20f32.sqrt()).abs() < 1e-6 && (a[3] + 8.0 / 20f32.sqrt()).abs() < 1e-6);
        assert_eq!((b[0], c[0]), (1.5, 2.0));
        // All together sqrt(20 + 4 + 64); the direction stays.
        let [a, b, c] = clipped(Clip::GlobalNorm { limit: 1.0 }, 2.0);
        let norm = 88f32.sqrt();
        for (got, was) in [(a[0], 2.0), (a[3], -4.0), (b[0], 2.0), (c[0], 8.0)] {
            assert!((got - was / norm).abs() < 1e-6);
        }
        assert_eq!(clipped(Clip::GlobalNorm { limit: 10.0 }, 1.5), untouched);
    }

    #[test]
    fn the_adaptive_kind_goes_by_units() {
        // Units of `a` are columns: (3, 4) of norm 5 with gradient (2, 0), (0, 0) with gradient (0, -4).
        let [a, b, c] = clipped(Clip::Adaptive { factor: 0.1 }, 1.5);
        assert!((a[0] - 0.5).abs() < 1e-6, "{a:?}");
        assert!((a[3] + 1e-4).abs() < 1e-9, "a unit of zeros still moves: {a:?}");
        assert!((b[0] - 1.0).abs() < 1e-6, "a bias is one unit: {b:?}");
        assert_eq!(c, [8.0], "the last layer is free");
    }

    #[test]
    fn what_is_no_number_stays_visible() {
        for clip in [
            Clip::Value { limit: 1.0 },
            Clip::Norm { limit: 1.0 },
            Clip::GlobalNorm { limit: 1.0 },
            Clip::Adaptive { factor: 0.1 },
        ] {
            assert!(clipped(clip.clone(), f32::NAN)[1][0].is_nan(), "{clip:?}");
            assert_eq!(clipped(clip.clone(), f32::INFINITY)[1][0], f32::INFINITY, "{clip:?}");
        }
    }
}
