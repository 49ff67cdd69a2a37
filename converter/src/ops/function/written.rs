//! The functions as ONNX writes them up to operator set 13, which later ones keep.

use std::f32::consts::FRAC_1_SQRT_2;

use super::{
    super::written::{limited, with_number},
    Function,
};
use crate::{
    epilogue::Limits,
    error::Error,
    exporter::{Exported, Exporter},
    proto::float,
};

impl Function {
    /// The smallest value with a result, if not all have one; `unit` is the smallest above 0 that is asked for. Where 0 has none, of the
    /// values on both sides only the upper one will do: the table asks it too.
    fn least(self, unit: f32, negative: bool) -> Option<f32> {
        match self {
            Function::Log => Some(unit),
            Function::Sqrt => negative.then_some(0.0),
            Function::Reciprocal => (!negative).then_some(unit),
            Function::Pow { exponent } if exponent < 0.0 && (!negative || exponent.fract() != 0.0) => Some(unit),
            Function::Pow { exponent } if exponent.fract() != 0.0 => negative.then_some(0.0),
            _ => None,
        }
    }

    /// Writes it; gives the name of what it makes.
    ///
    /// # Errors
    /// [`Error::Node`] if the input is missing.
    pub fn export(self, to: &mut Exporter, site: &Exported) -> Result<String, Error> {
        let (x, name) = (site.input(0)?, site.node);
        let mut value = x.value.to_owned();
        if let Some(min) = self.least(x.scale.scale, x.scale.zero_point != i8::MIN) {
            value = limited(to, site, value, Limits { min, ..Limits::NONE });
        }
        let x = value.as_str();
        let mut of = |operator: &str, numbers: &[(&str, f32)]| {
            let attributes = numbers.iter().map(|&(name, value)| float(name, value)).collect();
            to.node(operator, name, &[x], attributes)
        };
        let made = match self {
            Function::Identity => x.to_owned(),
            Function::Reciprocal => of("Reciprocal", &[]),
            Function::LeakyRelu { alpha } => of("LeakyRelu", &[("alpha", alpha)]),
            Function::Elu { alpha } => of("Elu", &[("alpha", alpha)]),
            Function::Selu { alpha, gamma } => of("Selu", &[("alpha", alpha), ("gamma", gamma)]),
            Function::Celu { alpha } => of("Celu", &[("alpha", alpha)]),
            Function::ThresholdedRelu { alpha } => of("ThresholdedRelu", &[("alpha", alpha)]),
            Function::Sigmoid => of("Sigmoid", &[]),
            Function::Tanh => of("Tanh", &[]),
            Function::HardSigmoid { alpha, beta } => of("HardSigmoid", &[("alpha", alpha), ("beta", beta)]),
            Function::Softplus => of("Softplus", &[]),
            Function::Softsign => of("Softsign", &[]),
            Function::Exp => of("Exp", &[]),
            Function::Log => of("Log", &[]),
            Function::Sqrt => of("Sqrt", &[]),
            Function::Erf => of("Erf", &[]),
            Function::Abs => of("Abs", &[]),
            Function::Neg => of("Neg", &[]),
            Function::Sign => of("Sign", &[]),
            Function::Floor => of("Floor", &[]),
            Function::Ceil => of("Ceil", &[]),
            Function::Round => of("Round", &[]),
            Function::Pow { exponent } => with_number(to, site, "Pow", x, exponent),
            // Operators of later sets, as what they are made of.
            Function::HardSwish => {
                let gate = of("HardSigmoid", &[("alpha", 1.0 / 6.0), ("beta", 0.5)]);
                to.node("Mul", name, &[x, &gate], vec![])
            }
            Function::Mish => {
                let softplus = of("Softplus", &[]);
                let gate = to.node("Tanh", name, &[&softplus], vec![]);
                to.node("Mul", name, &[x, &gate], vec![])
            }
            Function::Gelu => {
                let inner = with_number(to, site, "Mul", x, FRAC_1_SQRT_2);
                let inner = to.node("Erf", name, &[&inner], vec![]);
                half(to, site, x, &inner)
            }
            Function::GeluTanh => {
                let cube = with_number(to, site, "Pow", x, 3.0);
                let cube = with_number(to, site, "Mul", &cube, 0.044_715);
                let sum = to.node("Add", name, &[x, &cube], vec![]);
                let inner = with_number(to, site, "Mul", &sum, 0.797_884_6);
                let inner = to.node("Tanh", name, &[&inner], vec![]);
                half(to, site, x, &inner)
            }
        };
        Ok(made)
    }
}

/// `x * (1 + inner) / 2`
fn half(to: &mut Exporter, site: &Exported, x: &str, inner: &str) -> String {
    let sum = with_number(to, site, "Add", inner, 1.0);
    let product = to.node("Mul", site.node, &[x, &sum], vec![]);
    with_number(to, site, "Mul", &product, 0.5)
}
