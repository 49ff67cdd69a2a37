//! The functions themselves, in f32 by `libm`, so that a table is the same on every machine.

use std::f32::consts::FRAC_1_SQRT_2;

/// As ONNX defines them.
#[derive(Clone, Copy, Debug)]
pub enum Function {
    /// `x`: limits alone.
    Identity,
    /// `1 / x`
    Reciprocal,
    /// `x` above 0, `alpha * x` below.
    LeakyRelu { alpha: f32 },
    /// `x` above 0, `alpha * (exp(x) - 1)` below.
    Elu { alpha: f32 },
    /// `gamma` times the Elu of `alpha`.
    Selu { alpha: f32, gamma: f32 },
    /// `x` above 0, `alpha * (exp(x / alpha) - 1)` below.
    Celu { alpha: f32 },
    /// `x` above `alpha`, else 0.
    ThresholdedRelu { alpha: f32 },
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `tanh(x)`
    Tanh,
    /// `alpha * x + beta`, from 0 to 1.
    HardSigmoid { alpha: f32, beta: f32 },
    /// `x` times the hard sigmoid of 1/6 and 1/2.
    HardSwish,
    /// `x * (1 + erf(x / sqrt(2))) / 2`
    Gelu,
    /// `x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) / 2`
    GeluTanh,
    /// `x * tanh(ln(1 + exp(x)))`
    Mish,
    /// `ln(1 + exp(x))`
    Softplus,
    /// `x / (1 + |x|)`
    Softsign,
    /// `exp(x)`
    Exp,
    /// The natural logarithm; undefined below 0.
    Log,
    /// Undefined below 0.
    Sqrt,
    /// The error function.
    Erf,
    /// `|x|`
    Abs,
    /// `-x`
    Neg,
    /// -1, 0 or 1.
    Sign,
    /// To the next integer below.
    Floor,
    /// To the next integer above.
    Ceil,
    /// To the nearest integer, of two the even one.
    Round,
    /// `x^exponent`; below 0 undefined but for integers.
    Pow { exponent: f32 },
}

impl Function {
    /// Its value.
    pub fn at(self, x: f32) -> f32 {
        let hard = |alpha: f32, beta: f32| (alpha * x + beta).clamp(0.0, 1.0);
        let elu = |alpha: f32| if x < 0.0 { alpha * libm::expm1f(x) } else { x };
        // Of e^x and 1 the larger one is taken out of the logarithm, so that nothing overflows.
        let softplus = || x.max(0.0) + libm::log1pf(libm::expf(-x.abs()));
        match self {
            Function::Identity => x,
            Function::Reciprocal => 1.0 / x,
            Function::LeakyRelu { alpha } => x * if x < 0.0 { alpha } else { 1.0 },
            Function::Elu { alpha } => elu(alpha),
            Function::Selu { alpha, gamma } => gamma * elu(alpha),
            Function::Celu { alpha } => {
                if x < 0.0 {
                    alpha * libm::expm1f(x / alpha)
                } else {
                    x
                }
            }
            Function::ThresholdedRelu { alpha } => {
                if x > alpha {
                    x
                } else {
                    0.0
                }
            }
            Function::Sigmoid => 1.0 / (1.0 + libm::expf(-x)),
            Function::Tanh => libm::tanhf(x),
            Function::HardSigmoid { alpha, beta } => hard(alpha, beta),
            Function::HardSwish => x * hard(1.0 / 6.0, 0.5),
            Function::Gelu => 0.5 * x * (1.0 + libm::erff(x * FRAC_1_SQRT_2)),
            Function::GeluTanh => 0.5 * x * (1.0 + libm::tanhf(0.797_884_6 * (x + 0.044_715 * x * x * x))),
            Function::Mish => x * libm::tanhf(softplus()),
            Function::Softplus => softplus(),
            Function::Softsign => x / (1.0 + x.abs()),
            Function::Exp => libm::expf(x),
            Function::Log => libm::logf(x),
            Function::Sqrt => x.sqrt(),
            Function::Erf => libm::erff(x),
            Function::Abs => x.abs(),
            Function::Neg => -x,
            Function::Sign if x == 0.0 => 0.0,
            Function::Sign => x.signum(),
            Function::Floor => x.floor(),
            Function::Ceil => x.ceil(),
            Function::Round => x.round_ties_even(),
            Function::Pow { exponent: 2.0 } => x * x,
            Function::Pow { exponent } => libm::powf(x, exponent),
        }
    }
}
