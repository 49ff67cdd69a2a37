//! Functions of each value by itself: LeakyRelu, Elu, Sigmoid, Tanh, HardSigmoid, HardSwish. They become a table of 256 results.
//! (SiLU is written as Sigmoid and Mul.) So do limits alone, Relu and Clip, where what makes their input cannot take them.

use escarp_runtime::{
    format::PARAMS_ALIGN,
    ops::{LookupStep, Step},
};

use super::arrange::whole;
use crate::{
    blocks::Block,
    epilogue::{Epilogue, Limits},
    error::Error,
    graph::{Cost, Map, Meaning, Op, ScaleRule},
    importer::{Hint, Import, Importer},
    onnx::Node,
    qgraph::{InPlace, Placed, QOp, State},
    rows::Rows,
    scale::Scale,
    shape::Shape,
    site::Site,
    view::View,
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[
    ("LeakyRelu", Import::new(import).hint(|_| Hint::Through)),
    ("Elu", Import::new(import).hint(|_| Hint::Through)),
    ("Sigmoid", Import::new(import).hint(|_| Hint::Through)),
    ("Tanh", Import::new(import).hint(|_| Hint::Through)),
    ("HardSigmoid", Import::new(import).hint(|_| Hint::Through)),
    ("HardSwish", Import::new(import).hint(|_| Hint::Through)),
];

/// As ONNX defines them.
#[derive(Clone, Copy, Debug)]
enum Function {
    /// `x`: limits alone.
    Identity,
    /// `1 / x`
    Reciprocal,
    /// `x` above 0, `alpha * x` below.
    LeakyRelu { alpha: f32 },
    /// `x` above 0, `alpha * (exp(x) - 1)` below.
    Elu { alpha: f32 },
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `tanh(x)`
    Tanh,
    /// `alpha * x + beta`, from 0 to 1.
    HardSigmoid { alpha: f32, beta: f32 },
    /// `x` times the hard sigmoid of 1/6 and 1/2.
    HardSwish,
}

impl Function {
    /// By `libm`, so that a table is the same on every machine.
    fn at(self, x: f32) -> f32 {
        let hard = |alpha: f32, beta: f32| (alpha * x + beta).clamp(0.0, 1.0);
        match self {
            Function::Identity => x,
            Function::Reciprocal => 1.0 / x,
            Function::LeakyRelu { alpha } => x * if x < 0.0 { alpha } else { 1.0 },
            Function::Elu { alpha } => {
                if x < 0.0 {
                    alpha * libm::expm1f(x)
                } else {
                    x
                }
            }
            Function::Sigmoid => 1.0 / (1.0 + libm::expf(-x)),
            Function::Tanh => libm::tanhf(x),
            Function::HardSigmoid { alpha, beta } => hard(alpha, beta),
            Function::HardSwish => x * hard(1.0 / 6.0, 0.5),
        }
    }
}

/// A function, and what follows it.
#[derive(Debug)]
struct Elementwise {
    function: Function,
    limits: Limits,
}

impl Elementwise {
    fn at(&self, x: f32) -> f32 {
        self.limits.clamp(self.function.at(x))
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

    fn least_unit(&self, _: &[Scale]) -> f64 {
        0.0
    }

    fn quantize(&self, site: &Site) -> Result<Box<dyn QOp>, Error> {
        let entry = |q: i8| site.output.quantize(self.at(site.inputs[0].dequantize(q)));
        Ok(Box::new(QElementwise { table: (i8::MIN..=i8::MAX).map(entry).collect() }))
    }

    fn alone(&self) -> Result<(), &'static str> {
        Ok(())
    }

    fn follows(&self) -> Option<Epilogue<'_>> {
        matches!(self.function, Function::Identity).then_some(Epilogue::Limits(self.limits))
    }

    fn absorb(&mut self, next: &Epilogue) -> bool {
        let Epilogue::Limits(limits) = next else { return false };
        self.limits = self.limits.then(*limits);
        true
    }
}

/// A function in integers.
#[derive(Debug)]
struct QElementwise {
    /// What -128, -127, ... become.
    table: Vec<i8>,
}

impl QOp for QElementwise {
    fn detail(&self) -> String {
        let end = |q: Option<&i8>| q.map_or(String::new(), i8::to_string);
        format!("{} to {} through a table", end(self.table.first()), end(self.table.last()))
    }

    fn rows(&self) -> Vec<(&'static str, &Rows)> {
        vec![]
    }

    fn in_place(&self) -> InPlace {
        InPlace::IfItDies(0)
    }

    fn states(&self) -> Vec<State> {
        vec![]
    }

    fn constants(&self) -> Result<Vec<Block>, Error> {
        let bytes = self.table.iter().map(|q| q.cast_unsigned()).collect();
        Ok(vec![Block { bytes, alignment: PARAMS_ALIGN, weights: None }])
    }

    fn records(&self, placed: &Placed) -> Result<Vec<Step>, Error> {
        let [table] = placed.constants()?;
        Ok(vec![LookupStep { input: placed.input(0)?.id, output: placed.output.id, table }.into()])
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
        "HardSigmoid" => {
            (Function::HardSigmoid { alpha: number("alpha", 0.2)?, beta: number("beta", 0.5)? }, &["alpha", "beta"])
        }
        "HardSwish" => (Function::HardSwish, &[]),
        "Tanh" => (Function::Tanh, &[]),
        "Sigmoid" => (Function::Sigmoid, &[]),
        other => return Err(node.wrong(format!("{other} is in the table and has no function"))),
    };
    node.only(attributes)?;
    let x = importer.view(node, 0)?;
    let x = whole(importer, node, x)?;
    let before = x.tensor;
    let y = made(importer, node, x, function, Limits::NONE)?;
    match function {
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

/// `1 / x` of a tensor, for the file that divides.
pub fn reciprocal(importer: &mut Importer, node: &Node, x: View) -> Result<View, Error> {
    made(importer, node, x, Function::Reciprocal, Limits::NONE)
}

fn made(importer: &mut Importer, node: &Node, x: View, function: Function, limits: Limits) -> Result<View, Error> {
    let x = whole(importer, node, x)?;
    let id = importer.emit(node, Elementwise { function, limits }, vec![x.tensor], x.shape)?;
    Ok(x.on(id))
}
