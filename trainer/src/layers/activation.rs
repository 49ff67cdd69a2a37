//! Functions of one number, applied to every number: `y = f(x)`, `dx = dy f'(x)`.
//!
//! ```text
//! relu        max(x, 0)               f' = 1 where x > 0, else 0
//! leaky relu  x where x > 0, else a x  f' = 1 where x > 0, else a           (a is 0.01 unless told)
//! sigmoid     s = 1 / (1 + e^-x)      f' = s (1 - s), at most 1/4: the classical cause of vanishing gradients
//! tanh        t                       f' = 1 - t^2, at most 1
//! silu        x s                     f' = s (1 + x (1 - s))               (Elfwing et al., 2018; also "swish")
//! hard-swish  x min(max(x + 3, 0), 6) / 6
//!                                     f' = 0 below -3, 1 above 3, (2 x + 3) / 6 between   (Howard et al., ICCV 2019)
//! hard-sigmoid
//!             min(max(x + 3, 0), 6) / 6
//!                                     f' = 1/6 between -3 and 3, else 0                   (the same)
//! ```
//!
//! A NaN stays a NaN in all of them.

use ndarray::ArrayD;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{InputGradient, Layer, Pass, numbers, numbers_mut, only, reshape};
use crate::{
    engine::{scalar::Scalar, simd::vectorized},
    layers::{
        kind,
        onnx::{Graph, Value, float},
    },
};

/// Which function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Function {
    /// `max(x, 0)`.
    Relu,
    /// `x`, or `a x` below zero.
    LeakyRelu,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `x sigmoid(x)`.
    Silu,
    /// `x min(max(x + 3, 0), 6) / 6`.
    HardSwish,
    /// `min(max(x + 3, 0), 6) / 6`.
    HardSigmoid,
}

impl Function {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Relu, Self::LeakyRelu, Self::Sigmoid, Self::Tanh, Self::Silu, Self::HardSwish, Self::HardSigmoid];
}

/// The leaky ReLU's slope below zero unless told: PyTorch's (Keras: 0.3).
pub const SLOPE: f64 = 0.01;

/// `y = f(x)`, any shape.
#[derive(Clone, Copy, Debug)]
pub struct Activation {
    /// Which function.
    pub function: Function,
    /// Of the leaky ReLU below zero.
    pub slope: f64,
}

impl From<Function> for Activation {
    fn from(function: Function) -> Self {
        Self { function, slope: SLOPE }
    }
}

/// Numbers that a thread takes at a time.
const PIECE: usize = 1 << 14;

impl Activation {
    /// Calls `visit` with the function and `(x, y) -> f'(x)`, both known to the compiler.
    fn with<T: Scalar, V: Visit<T>>(self, visit: V) {
        let (zero, one, slope) = (T::zero(), T::one(), T::of(self.slope));
        let (three, six) = (T::of(3.0), T::of(6.0));
        match self.function {
            Function::Relu => visit.visit(
                |x| if x < zero { zero } else { x },
                // Decided by the output, as in the layers that have a ReLU inside.
                |_, y| if y > zero { one } else { zero },
            ),
            Function::LeakyRelu => {
                visit.visit(|x| if x < zero { slope * x } else { x }, |x, _| if x > zero { one } else { slope });
            }
            Function::Sigmoid => visit.visit(T::sigmoid, |_, y| y * (one - y)),
            Function::Tanh => visit.visit(T::fast_tanh, |_, y| one - y * y),
            Function::Silu => visit.visit(
                |x| x * x.sigmoid(),
                |x, y| {
                    let s = x.sigmoid();
                    s + y * (one - s)
                },
            ),
            Function::HardSwish => visit.visit(
                |x| match x {
                    x if x < -three => zero,
                    x if x > three => x,
                    x => x * (x + three) / six,
                },
                |x, _| match x {
                    x if x < -three => zero,
                    x if x > three => one,
                    x => (x + x + three) / six,
                },
            ),
            Function::HardSigmoid => visit.visit(
                |x| match x {
                    x if x < -three => zero,
                    x if x > three => one,
                    x => (x + three) / six,
                },
                |x, _| if x <= -three || x >= three { zero } else { one / six },
            ),
        }
    }
}

/// What to do with a function and its derivative.
trait Visit<T> {
    fn visit(self, f: impl Fn(T) -> T + Sync, derivative: impl Fn(T, T) -> T + Sync);
}

struct Forward<'a, T>(&'a [T], &'a mut [T]);

impl<T: Scalar> Visit<T> for Forward<'_, T> {
    fn visit(self, f: impl Fn(T) -> T + Sync, _: impl Fn(T, T) -> T + Sync) {
        (self.0.par_chunks(PIECE), self.1.par_chunks_mut(PIECE)).into_par_iter().for_each(|(x, y)| {
            vectorized(
                #[inline(always)]
                || y.iter_mut().zip(x).for_each(|(y, &x)| *y = f(x)),
            );
        });
    }
}

struct Backward<'a, T>(&'a [T], &'a [T], &'a mut [T]);

impl<T: Scalar> Visit<T> for Backward<'_, T> {
    fn visit(self, _: impl Fn(T) -> T + Sync, derivative: impl Fn(T, T) -> T + Sync) {
        let Self(x, y, d) = self;
        (x.par_chunks(PIECE), y.par_chunks(PIECE), d.par_chunks_mut(PIECE)).into_par_iter().for_each(|(x, y, d)| {
            vectorized(
                #[inline(always)]
                || {
                    d.iter_mut().zip(x).zip(y).for_each(|((d, &x), &y)| *d *= derivative(x, y));
                },
            );
        });
    }
}

impl<T: Scalar> Layer<T> for Activation {
    fn activation(&self) -> Option<kind::Activation> {
        Some(match self.function {
            Function::Relu => kind::Activation::Relu,
            Function::LeakyRelu => kind::Activation::LeakyRelu,
            Function::Sigmoid => kind::Activation::Sigmoid,
            Function::Tanh => kind::Activation::Tanh,
            Function::Silu => kind::Activation::Silu,
            Function::HardSwish => kind::Activation::HardSwish,
            Function::HardSigmoid => kind::Activation::HardSigmoid,
        })
    }

    fn forward(&mut self, inputs: &[&ArrayD<T>], y: &mut ArrayD<T>, _: &mut Pass<'_, T>) {
        let x = only(inputs);
        reshape(y, x.shape());
        self.with(Forward(numbers(x), numbers_mut(y)));
    }

    fn backward(
        &mut self,
        inputs: &[&ArrayD<T>],
        y: &ArrayD<T>,
        dy: &mut ArrayD<T>,
        dx: &mut [InputGradient<'_, T>],
        _: &mut Pass<'_, T>,
    ) {
        self.with(Backward(numbers(only(inputs)), numbers(y), numbers_mut(dy)));
        dx[0].give(dy);
    }

    fn export(&self, name: &str, inputs: &[Value], graph: &mut Graph) -> Value {
        match self.function {
            Function::Relu => graph.node("Relu", name, inputs, vec![]),
            Function::LeakyRelu => graph.node("LeakyRelu", name, inputs, vec![float("alpha", self.slope)]),
            Function::Sigmoid => graph.node("Sigmoid", name, inputs, vec![]),
            Function::Tanh => graph.node("Tanh", name, inputs, vec![]),
            Function::Silu => {
                let gate = graph.node("Sigmoid", &format!("{name}.gate"), inputs, vec![]);
                graph.node("Mul", name, &[inputs[0].clone(), gate], vec![])
            }
            Function::HardSwish => graph.node("HardSwish", name, inputs, vec![]),
            Function::HardSigmoid => graph.node("HardSigmoid", name, inputs, vec![float("alpha", 1.0 / 6.0)]),
        }
    }
}
