//! Mul of two tensors, and of a map and a value for each channel.

mod build;
mod compare;

use build::{Onnx, ints};
use compare::{check, pooled, weights};
use escarp_converter::{Options, read};
use escarp_runtime::Model;

/// Two convolutions of the input.
fn two(channels: [i64; 2]) -> Onnx {
    let [a, b] = channels;
    Onnx::new(&[0, 3, 6, 5], &[0, a])
        .floats("w", &[a, 3, 3, 3], weights(1, 27 * a as usize, 0.6))
        .node("Conv", &["x", "w"], "a", vec![ints("pads", &[1, 1, 1, 1])])
        .floats("v", &[b, 3, 1, 1], weights(2, 3 * b as usize, 0.9))
        .node("Conv", &["x", "v"], "b", vec![])
}

fn steps(file: &[u8]) -> Vec<&'static str> {
    Model::parse(file).unwrap().steps().map(|s| s.name()).collect()
}

#[test]
fn maps_of_one_shape() {
    let converted = check(pooled(two([10, 10]).node("Mul", &["a", "b"], "m", vec![]), "m"), 4.0);
    assert_eq!(steps(&converted.file), ["conv", "conv", "mul", "pool"]);
    // Its own square: the second operand must not be overwritten.
    check(pooled(two([9, 9]).node("Mul", &["a", "a"], "m", vec![]), "m"), 4.0);
    let limited = two([9, 9]).node("Mul", &["a", "b"], "m", vec![]).node("Relu", &["m"], "r", vec![]);
    let converted = check(pooled(limited, "r"), 4.0);
    assert_eq!(steps(&converted.file), ["conv", "conv", "mul", "pool"], "the limits are the product's");
}

/// Squeeze and excitation: a map times a gate for each of its channels, the gate on either side.
#[test]
fn a_map_and_a_value_for_each_channel() {
    for order in [["a", "g"], ["g", "a"]] {
        let onnx = two([10, 10])
            .node("GlobalAveragePool", &["b"], "p", vec![])
            .node("Sigmoid", &["p"], "g", vec![])
            .node("Mul", &order, "m", vec![]);
        let converted = check(pooled(onnx, "m"), 4.0);
        assert_eq!(steps(&converted.file), ["conv", "conv", "pool", "lookup", "mul", "pool"]);
    }
}

#[test]
fn constants_are_scales_as_before() {
    let onnx = two([10, 10]).floats("k", &[1], vec![0.25]).node("Mul", &["a", "k"], "m", vec![]);
    let converted = check(pooled(onnx, "m"), 4.0);
    assert_eq!(steps(&converted.file), ["conv", "pool"]);
}

#[test]
fn other_shapes_are_refused() {
    let onnx = two([10, 4]).node("Mul", &["a", "b"], "m", vec![]);
    let error = read(&pooled(onnx, "m").bytes(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("node_m") && error.contains("[1, 10, 6, 5] and [1, 4, 6, 5]"), "{error}");
}

/// Layers of nothing, as pruning and dead gates leave them, keep a scale and a factor.
#[test]
fn dead_layers_are_converted() {
    let dead = || {
        let onnx = two([10, 10]).floats("far", &[1, 10, 1, 1], vec![-50.0; 10]);
        onnx.node("Add", &["b", "far"], "low", vec![])
    };
    let gate = dead().node("Relu", &["low"], "r", vec![]).node("GlobalAveragePool", &["r"], "p", vec![]).node(
        "Mul",
        &["a", "p"],
        "m",
        vec![],
    );
    check(pooled(gate, "m"), 4.0);
    let square = dead().node("Relu", &["low"], "r", vec![]).node("Mul", &["r", "r"], "m", vec![]);
    check(pooled(square, "m"), 4.0);
}
