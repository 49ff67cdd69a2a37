//! Activations as exporters write them: functions of one tensor are one table.

mod build;
mod compare;

use build::{Onnx, ints};
use compare::{check, pooled, weights};
use escarp_converter::Converted;
use escarp_runtime::Model;
use tract_onnx::pb;

fn steps(converted: &Converted) -> Vec<&'static str> {
    Model::parse(&converted.file).unwrap().steps().map(|s| s.name()).collect()
}

/// A convolution and constants that the patterns use.
fn convolution() -> Onnx {
    let constants: [(&str, f32); 10] = [
        ("one", 1.0),
        ("two", 2.0),
        ("three", 3.0),
        ("six", 6.0),
        ("zero", 0.0),
        ("sixth", 1.0 / 6.0),
        ("half", 0.5),
        ("root", std::f32::consts::SQRT_2),
        ("cubic", 0.044_715),
        ("pi", 0.797_884_6),
    ];
    let onnx = Onnx::new(&[0, 3, 6, 5], &[0, 10])
        .floats("w", &[10, 3, 3, 3], weights(1, 270, 0.9))
        .floats("b", &[10], weights(2, 10, 0.5))
        .node("Conv", &["x", "w", "b"], "c", vec![ints("pads", &[1, 1, 1, 1])]);
    constants.iter().fold(onnx, |onnx, (name, value)| onnx.floats(name, &[], vec![*value]))
}

type Nodes<'a> = &'a [(&'a str, &'a [&'a str], &'a str)];

fn with(nodes: Nodes) -> Onnx {
    let onnx = nodes.iter().fold(convolution(), |onnx, (operator, inputs, output)| {
        let none: Vec<pb::AttributeProto> = vec![];
        onnx.node(operator, inputs, output, none)
    });
    pooled(onnx, "m")
}

const PATTERNS: &[(&str, Nodes)] = &[
    ("SiLU", &[("Sigmoid", &["c"], "s"), ("Mul", &["c", "s"], "m")]),
    ("SiLU, the other way round", &[("Sigmoid", &["c"], "s"), ("Mul", &["s", "c"], "m")]),
    ("swish of another slope", &[("Mul", &["c", "two"], "t"), ("Sigmoid", &["t"], "s"), ("Mul", &["c", "s"], "m")]),
    ("x * hard sigmoid", &[("HardSigmoid", &["c"], "s"), ("Mul", &["c", "s"], "m")]),
    (
        "hard-swish of PyTorch",
        &[
            ("Add", &["c", "three"], "a"),
            ("Clip", &["a", "zero", "six"], "l"),
            ("Mul", &["c", "l"], "t"),
            ("Div", &["t", "six"], "m"),
        ],
    ),
    (
        "hard-swish of TensorFlow",
        &[
            ("Add", &["c", "three"], "a"),
            ("Clip", &["a", "zero", "six"], "l"),
            ("Mul", &["l", "sixth"], "t"),
            ("Mul", &["t", "c"], "m"),
        ],
    ),
    (
        "hard-swish divided first",
        &[
            ("Add", &["three", "c"], "a"),
            ("Relu", &["a"], "r"),
            ("Min", &["r", "six"], "l"),
            ("Div", &["l", "six"], "t"),
            ("Mul", &["c", "t"], "m"),
        ],
    ),
    (
        "Gelu by Erf",
        &[
            ("Div", &["c", "root"], "d"),
            ("Erf", &["d"], "e"),
            ("Add", &["e", "one"], "a"),
            ("Mul", &["c", "a"], "t"),
            ("Mul", &["t", "half"], "m"),
        ],
    ),
    (
        "Gelu by Erf, halved first",
        &[
            ("Mul", &["c", "half"], "h"),
            ("Div", &["c", "root"], "d"),
            ("Erf", &["d"], "e"),
            ("Add", &["one", "e"], "a"),
            ("Mul", &["h", "a"], "m"),
        ],
    ),
    (
        "Gelu by Tanh",
        &[
            ("Pow", &["c", "three"], "p"),
            ("Mul", &["p", "cubic"], "q"),
            ("Add", &["c", "q"], "i"),
            ("Mul", &["i", "pi"], "j"),
            ("Tanh", &["j"], "t"),
            ("Add", &["t", "one"], "a"),
            ("Mul", &["c", "half"], "h"),
            ("Mul", &["h", "a"], "m"),
        ],
    ),
    ("Mish", &[("Softplus", &["c"], "p"), ("Tanh", &["p"], "t"), ("Mul", &["c", "t"], "m")]),
    ("Softplus by Exp and Log", &[("Exp", &["c"], "e"), ("Add", &["e", "one"], "a"), ("Log", &["a"], "m")]),
    ("a square", &[("Mul", &["c", "c"], "m")]),
    ("a power", &[("Pow", &["c", "two"], "m")]),
    ("a difference with itself", &[("Relu", &["c"], "r"), ("Sub", &["r", "c"], "m")]),
    ("a quotient", &[("Abs", &["c"], "p"), ("Add", &["p", "one"], "a"), ("Div", &["c", "a"], "m")]),
];

#[test]
fn each_pattern_is_one_table() {
    for (name, nodes) in PATTERNS {
        let converted = check(with(nodes), 4.0);
        assert_eq!(steps(&converted), ["conv", "lookup", "pool"], "{name}\n{}", converted.graph);
    }
}

/// What else is read, or is an output, stays a tensor.
#[test]
fn what_others_read_stays() {
    // The sigmoid is read twice: by the product, and by a convolution.
    let onnx = convolution()
        .node("Sigmoid", &["c"], "s", vec![])
        .node("Mul", &["c", "s"], "p", vec![])
        .floats("v", &[10, 10, 1, 1], weights(3, 100, 0.5))
        .node("Conv", &["s", "v"], "d", vec![])
        .node("Mul", &["d", "p"], "m", vec![]);
    let converted = check(pooled(onnx, "m"), 4.0);
    assert_eq!(steps(&converted), ["conv", "lookup", "mul", "conv", "mul", "pool"]);
    // Of two tensors no table is made.
    let onnx = convolution()
        .floats("v", &[10, 3, 1, 1], weights(3, 30, 0.5))
        .node("Conv", &["x", "v"], "d", vec![])
        .node("Sigmoid", &["d"], "s", vec![])
        .node("Mul", &["c", "s"], "m", vec![]);
    let converted = check(pooled(onnx, "m"), 4.0);
    assert_eq!(steps(&converted), ["conv", "conv", "lookup", "mul", "pool"]);
    // Nor of different constants for the channels.
    let onnx = convolution()
        .floats("each", &[10, 1, 1], weights(3, 10, 1.0))
        .node("Sigmoid", &["c"], "s", vec![])
        .node("Mul", &["s", "each"], "e", vec![])
        .node("Tanh", &["e"], "m", vec![]);
    let converted = check(pooled(onnx, "m"), 4.0);
    assert_eq!(steps(&converted), ["conv", "lookup", "depthwise", "lookup", "pool"]);
}

/// What a convolution takes up today it takes up.
#[test]
fn a_step_with_weights_keeps_what_follows_it() {
    let converted = check(with(&[("Mul", &["c", "two"], "t"), ("Relu", &["t"], "m")]), 4.0);
    assert_eq!(steps(&converted), ["conv", "pool"]);
    let converted = check(with(&[("Mul", &["c", "two"], "t"), ("Tanh", &["t"], "m")]), 4.0);
    assert_eq!(steps(&converted), ["conv", "lookup", "pool"]);
}

/// What is no product and stands alone is no better off as a table.
#[test]
fn a_tensor_added_to_itself_stays_a_sum() {
    let converted = check(with(&[("Add", &["c", "c"], "m")]), 4.0);
    assert_eq!(steps(&converted), ["conv", "add", "pool"]);
}

/// A chain without end is several tables, and squares of squares take no longer than others.
#[test]
fn long_chains() {
    let mut onnx = convolution().node("Tanh", &["c"], "t0", vec![]);
    for i in 0..200 {
        let (from, to) = (format!("t{i}"), if i == 199 { "m".into() } else { format!("t{}", i + 1) });
        onnx = onnx.node("Mul", &[&from, &from], &to, vec![]);
    }
    let converted = check(pooled(onnx, "m"), 4.0);
    assert_eq!(steps(&converted), ["conv", "lookup", "lookup", "lookup", "lookup", "pool"]);
}
