//! Functions of each value by itself, from LeakyRelu to Pow by a constant. They become a table of 256 results. So do limits alone,
//! Relu and Clip, where what makes their input cannot take them.

mod math;
mod written;

use std::sync::Arc;

use super::{arrange::whole, rescale::QRescale, table::QTable, written as common};
use crate::{
    epilogue::{Epilogue, Limits},
    error::Error,
    exporter::{Exported, Exporter},
    graph::{Channels, Cost, Map, Meaning, Op, Pointwise, Products, ScaleRule, Widths},
    importer::{Hint, Import, Importer},
    onnx::Node,
    qgraph::QOp,
    scale::Scale,
    shape::Shape,
    site::Site,
    substitute::Substitute,
    view::View,
};
pub use math::Function;

const FUNCTION: Import = Import::new(import).hint(|_| Hint::Through);

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[
    ("LeakyRelu", FUNCTION),
    ("Elu", FUNCTION),
    ("Sigmoid", FUNCTION),
    ("Tanh", FUNCTION),
    ("HardSigmoid", FUNCTION),
    ("HardSwish", FUNCTION),
    ("Selu", FUNCTION),
    ("Celu", FUNCTION),
    ("ThresholdedRelu", FUNCTION),
    ("Gelu", FUNCTION),
    ("Mish", FUNCTION),
    ("Softplus", FUNCTION),
    ("Softsign", FUNCTION),
    ("Exp", FUNCTION),
    ("Log", FUNCTION),
    ("Sqrt", FUNCTION),
    ("Reciprocal", FUNCTION),
    ("Erf", FUNCTION),
    ("Abs", FUNCTION),
    ("Neg", FUNCTION),
    ("Sign", FUNCTION),
    ("Floor", FUNCTION),
    ("Ceil", FUNCTION),
    ("Round", FUNCTION),
];

/// A function, and what follows it.
#[derive(Clone, Copy, Debug)]
struct Elementwise {
    function: Function,
    limits: Limits,
}

impl Elementwise {
    fn at(&self, x: f32) -> f32 {
        self.limits.clamp(self.function.at(x))
    }

    /// It is limits and nothing else.
    fn passes(&self) -> bool {
        matches!(self.function, Function::Identity)
    }
}

impl Op for Elementwise {
    fn detail(&self) -> String {
        format!("{:?} clamp {}", self.function, self.limits)
    }

    fn weights(&self) -> Vec<(&'static str, &[f32])> {
        vec![]
    }

    fn cost(&self, _: Shape) -> Cost {
        Cost::NONE
    }

    fn state_len(&self) -> usize {
        0
    }

    fn eval(&self, inputs: &[Map], _: &mut [f32], out: &mut [f32], _: Shape) {
        for (y, &x) in out.iter_mut().zip(inputs[0].values) {
            *y = self.at(x);
        }
    }

    fn scale_rule(&self) -> ScaleRule {
        ScaleRule::OfValues
    }

    fn least_unit(&self, inputs: &[Scale], wide: bool) -> f64 {
        if self.passes() && (wide || inputs[0].is_wide()) { QRescale::least_unit(inputs[0], wide) } else { 0.0 }
    }

    fn widths(&self) -> Widths {
        Widths::Each
    }

    fn room(&self, _: f64) -> f64 {
        i16::MAX.into()
    }

    fn quantize(&self, site: &Site) -> Result<Box<dyn QOp>, Error> {
        if self.passes() && site.any_wide() {
            return Ok(Box::new(QRescale::new(site, self.limits)?));
        }
        Ok(Box::new(QTable::new(site, |x| self.at(x))))
    }

    fn products(&self, _: Shape, _: Shape) -> Option<Products<'_>> {
        None
    }

    fn channels(&self) -> Channels {
        Channels::FIXED
    }

    fn scale_channels(&mut self, _: &[f32], _: &[f32]) {}

    fn alone(&self) -> Result<(), &'static str> {
        Ok(())
    }

    fn follows(&self) -> Option<Epilogue<'_>> {
        self.passes().then_some(Epilogue::Limits(self.limits))
    }

    fn absorb(&mut self, next: &Epilogue) -> bool {
        let Epilogue::Limits(limits) = next else { return false };
        self.limits = self.limits.then(*limits);
        true
    }

    fn pointwise(&self) -> Option<Pointwise> {
        let one = *self;
        Some(Arc::new(move |values| one.at(values[0])))
    }

    fn export(&self, to: &mut Exporter, site: &Exported) -> Result<String, Error> {
        let value = self.function.export(to, site)?;
        Ok(common::limited(to, site, value, self.limits))
    }
}

/// Reads a function. A Sigmoid at the end is not executed; what ends in a HardSigmoid gives probabilities.
fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    let number = |name: &str, otherwise: f32| -> Result<f32, Error> {
        let value = node.float(name)?.unwrap_or(otherwise);
        if value.is_finite() { Ok(value) } else { Err(node.unsupported(name, value, "finite numbers")) }
    };
    let (function, attributes): (_, &[&str]) = match node.operator() {
        "LeakyRelu" => (Function::LeakyRelu { alpha: number("alpha", 0.01)? }, &["alpha"]),
        "Elu" => (Function::Elu { alpha: number("alpha", 1.0)? }, &["alpha"]),
        "Selu" => {
            let (alpha, gamma) = (number("alpha", 1.673_263_2)?, number("gamma", 1.050_701)?);
            (Function::Selu { alpha, gamma }, &["alpha", "gamma"])
        }
        "Celu" => match number("alpha", 1.0)? {
            0.0 => return Err(node.unsupported("alpha", 0, "any number but 0")),
            alpha => (Function::Celu { alpha }, &["alpha"]),
        },
        "ThresholdedRelu" => (Function::ThresholdedRelu { alpha: number("alpha", 1.0)? }, &["alpha"]),
        "HardSigmoid" => {
            (Function::HardSigmoid { alpha: number("alpha", 0.2)?, beta: number("beta", 0.5)? }, &["alpha", "beta"])
        }
        "Gelu" => match node.text("approximate")?.as_deref() {
            None | Some("none") => (Function::Gelu, &["approximate"]),
            Some("tanh") => (Function::GeluTanh, &["approximate"]),
            Some(other) => return Err(node.unsupported("approximate", other, "none, tanh")),
        },
        "HardSwish" => (Function::HardSwish, &[]),
        "Tanh" => (Function::Tanh, &[]),
        "Sigmoid" => (Function::Sigmoid, &[]),
        "Mish" => (Function::Mish, &[]),
        "Softplus" => (Function::Softplus, &[]),
        "Softsign" => (Function::Softsign, &[]),
        "Exp" => (Function::Exp, &[]),
        "Log" => (Function::Log, &[]),
        "Sqrt" => (Function::Sqrt, &[]),
        "Reciprocal" => (Function::Reciprocal, &[]),
        "Erf" => (Function::Erf, &[]),
        "Abs" => (Function::Abs, &[]),
        "Neg" => (Function::Neg, &[]),
        "Sign" => (Function::Sign, &[]),
        "Floor" => (Function::Floor, &[]),
        "Ceil" => (Function::Ceil, &[]),
        "Round" => (Function::Round, &[]),
        other => return Err(node.wrong(format!("{other} is in the table and has no function"))),
    };
    node.only(attributes)?;
    let x = importer.view(node, 0)?;
    let x = whole(importer, node, x)?;
    let before = x.tensor;
    let y = made(importer, node, x, function, Limits::NONE)?;
    match function {
        Function::Celu { alpha } if alpha != 1.0 => {
            // tract leaves `alpha` out in front of the exponential.
            let mut instead = Substitute::new(node);
            let alpha = instead.floats(&[], vec![alpha]);
            let divided = instead.node("Div", &[node.input(0).unwrap_or_default(), &alpha], &[]);
            let elu = instead.node("Elu", &[&divided], &[]);
            instead.node("Mul", &[&elu, &alpha], &[]);
            importer.substitute(instead);
        }
        Function::Sigmoid => importer.may_end(node, y.tensor, before, Meaning::Sigmoid),
        Function::HardSigmoid { .. } => importer.means(y.tensor, Meaning::Probabilities),
        _ => {}
    }
    importer.define(node, 0, y)
}

/// Limits of a tensor, for the files that read them.
pub fn limited(importer: &mut Importer, node: &Node, x: View, limits: Limits) -> Result<View, Error> {
    made(importer, node, x, Function::Identity, limits)
}

/// A function of a tensor, for the files that read others' parts.
pub fn applied(importer: &mut Importer, node: &Node, x: View, function: Function) -> Result<View, Error> {
    made(importer, node, x, function, Limits::NONE)
}

fn made(importer: &mut Importer, node: &Node, x: View, function: Function, limits: Limits) -> Result<View, Error> {
    let x = whole(importer, node, x)?;
    let id = importer.emit(node, Elementwise { function, limits }, vec![x.tensor], x.shape)?;
    Ok(x.on(id))
}
