//! Functions by table: LeakyRelu, Elu, Sigmoid, Tanh, HardSigmoid, HardSwish, inside the graph.

mod build;
mod compare;

use build::{Onnx, attribute, ints};
use compare::{check, pooled, weights};
use escarp_converter::{Options, read};
use escarp_runtime::{Meaning, Model};
use tract_onnx::pb::{self, attribute_proto::AttributeType};

fn float(name: &str, f: f32) -> pb::AttributeProto {
    pb::AttributeProto { r#type: AttributeType::Float as i32, f, ..attribute(name) }
}

/// A convolution, the function, another convolution: the function's tensor has channels to fill.
fn between(operator: &str, attributes: Vec<pb::AttributeProto>) -> Onnx {
    let onnx = Onnx::new(&[0, 3, 6, 5], &[0, 5])
        .floats("w", &[10, 3, 3, 3], weights(1, 270, 0.6))
        .floats("b", &[10], weights(2, 10, 0.5))
        .node("Conv", &["x", "w", "b"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .node(operator, &["c"], "f", attributes)
        .floats("v", &[5, 10, 1, 1], weights(3, 50, 0.5))
        .node("Conv", &["f", "v"], "d", vec![]);
    pooled(onnx, "d")
}

#[test]
fn each_function_follows_the_float_one() {
    let cases = [
        ("LeakyRelu", vec![]),
        ("LeakyRelu", vec![float("alpha", 0.3)]),
        ("Elu", vec![]),
        ("Elu", vec![float("alpha", 2.0)]),
        ("Sigmoid", vec![]),
        ("Tanh", vec![]),
        ("HardSigmoid", vec![]),
        ("HardSigmoid", vec![float("alpha", 0.5), float("beta", 0.25)]),
        ("HardSwish", vec![]),
    ];
    for (operator, attributes) in cases {
        let converted = check(between(operator, attributes), 4.0);
        let steps = Model::parse(&converted.file).unwrap().steps().map(|s| s.name()).collect::<Vec<_>>();
        assert_eq!(steps, ["conv", "lookup", "conv", "pool"], "{operator}");
        assert!(converted.graph.to_string().contains(operator), "{}", converted.graph);
    }
}

/// The result lies where the operand lay, unless somebody else reads that.
#[test]
fn the_operand_is_overwritten_if_nobody_else_reads_it() {
    let once = check(between("Tanh", vec![]), 4.0);
    let twice = Onnx::new(&[0, 3, 6, 5], &[0, 10])
        .floats("w", &[10, 3, 3, 3], weights(1, 270, 0.6))
        .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .node("Tanh", &["c"], "f", vec![])
        .node("Add", &["f", "c"], "s", vec![]);
    let twice = check(pooled(twice, "s"), 4.0);
    let places = |converted: &escarp_converter::Converted| {
        let model = Model::parse(&converted.file).unwrap();
        let lookup = model.steps().find(|s| s.name() == "lookup").unwrap();
        let at = |id| model.tensor(id).unwrap().offset;
        (at(lookup.reads().inputs[0].unwrap()), at(lookup.output()))
    };
    let ((a, b), (c, d)) = (places(&once), places(&twice));
    assert_eq!(a, b);
    assert_ne!(c, d);
}

/// Limits go into the table; a Sigmoid at the end is still taken off, a Tanh there is executed.
#[test]
fn what_follows_and_what_ends() {
    let onnx = Onnx::new(&[0, 8], &[0, 6])
        .floats("w", &[8, 6], weights(4, 48, 0.8))
        .node("MatMul", &["x", "w"], "m", vec![])
        .node("Elu", &["m"], "e", vec![])
        .node("Relu", &["e"], "r", vec![])
        .node("Tanh", &["r"], "y", vec![]);
    let converted = check(onnx, 4.0);
    assert_eq!(converted.graph.nodes.len(), 3, "{}", converted.graph);
    assert_eq!(Model::parse(&converted.file).unwrap().meaning(), Meaning::Plain);
    let onnx = Onnx::new(&[0, 8], &[0, 6])
        .floats("w", &[8, 6], weights(4, 48, 0.8))
        .node("MatMul", &["x", "w"], "m", vec![])
        .node("Sigmoid", &["m"], "y", vec![]);
    let graph = read(&onnx.bytes(), &Options::default()).unwrap();
    assert_eq!((graph.nodes.len(), graph.meaning), (1, Meaning::Sigmoid));
}

#[test]
fn wrong_numbers_are_refused() {
    let error = read(&between("LeakyRelu", vec![float("alpha", f32::NAN)]).bytes(), &Options::default()).unwrap_err();
    assert!(error.to_string().contains("alpha") && error.to_string().contains("node_f"), "{error}");
    let error = read(&between("Tanh", vec![float("alpha", 1.0)]).bytes(), &Options::default()).unwrap_err();
    assert!(error.to_string().contains("alpha"), "{error}");
}
