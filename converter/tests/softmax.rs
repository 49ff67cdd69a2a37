//! Softmax and LogSoftmax, inside the network and at the end of maps.

mod build;
mod compare;

use build::{Onnx, int, ints};
use compare::{check, pooled, weights};
use escarp_converter::Converted;
use escarp_runtime::{Meaning, Model};

fn steps(converted: &Converted) -> Vec<&'static str> {
    Model::parse(&converted.file).unwrap().steps().map(|s| s.name()).collect()
}

/// After a convolution of six channels over 5 x 4 pixels.
fn after(operator: &str, axis: Option<i64>, opset: i64) -> Onnx {
    let mut onnx = Onnx::new(&[0, 3, 5, 4], &[0])
        .floats("w", &[6, 3, 3, 3], weights(1, 162, 1.5))
        .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .node(operator, &["c"], "y", axis.map(|axis| int("axis", axis)).into_iter().collect());
    onnx.opset = opset;
    onnx
}

#[test]
fn over_any_dimension() {
    for axis in [None, Some(1), Some(2), Some(3), Some(-3)] {
        let converted = check(after("Softmax", axis, 13), 6.0);
        assert_eq!(converted.graph.outputs[0].meaning, Meaning::Probabilities);
        let channels = matches!(axis, Some(1 | -3));
        assert_eq!(steps(&converted), if channels { vec!["conv", "softmax"] } else { vec!["conv", "copy", "softmax"] });
        check(after("LogSoftmax", axis, 13), 3.0);
    }
}

/// Over all dimensions from the axis on.
#[test]
fn of_older_operator_sets() {
    for axis in [None, Some(1), Some(2), Some(3)] {
        check(after("Softmax", axis, 11), 6.0);
        check(after("LogSoftmax", axis, 11), 3.0);
    }
}

/// What comes behind it reads its probabilities.
#[test]
fn inside_the_network() {
    let onnx = Onnx::new(&[0, 3, 5, 4], &[0, 6])
        .floats("w", &[6, 3, 3, 3], weights(1, 162, 1.5))
        .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .node("Softmax", &["c"], "s", vec![int("axis", 1)])
        .node("Mul", &["s", "c"], "m", vec![]);
    let converted = check(pooled(onnx, "m"), 4.0);
    assert_eq!(steps(&converted), ["conv", "softmax", "mul", "pool"]);
    let onnx = Onnx::new(&[0, 8], &[0, 6])
        .floats("w", &[8, 6], weights(4, 48, 0.8))
        .node("MatMul", &["x", "w"], "m", vec![])
        .node("Softmax", &["m"], "s", vec![])
        .node("Tanh", &["s"], "y", vec![]);
    let converted = check(onnx, 4.0);
    assert_eq!(steps(&converted), ["linear", "softmax", "lookup"]);
    assert_eq!(converted.graph.outputs[0].meaning, Meaning::Plain);
}
