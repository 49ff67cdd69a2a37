//! Arithmetic of tensors that broadcast, and of tensors and constants of any shape.

mod build;
mod compare;

use build::{Onnx, ints};
use compare::{check, weights};
use escarp_converter::Converted;
use escarp_runtime::Model;

fn steps(converted: &Converted) -> Vec<&'static str> {
    Model::parse(&converted.file).unwrap().steps().map(|s| s.name()).collect()
}

/// Two maps of 10 channels of 6 x 5, and a value for each channel of the second.
fn two() -> Onnx {
    Onnx::open(&[1, 3, 6, 5])
        .floats("w", &[10, 3, 3, 3], weights(1, 270, 0.6))
        .node("Conv", &["x", "w"], "a", vec![ints("pads", &[1, 1, 1, 1])])
        .floats("v", &[10, 3, 1, 1], weights(2, 30, 0.9))
        .node("Conv", &["x", "v"], "b", vec![])
        .node("GlobalAveragePool", &["b"], "p", vec![])
}

#[test]
fn of_two_maps() {
    for operator in ["Add", "Sub", "Mul", "Max", "Min"] {
        for operands in [["a", "b"], ["b", "a"]] {
            check(two().node(operator, &operands, "y", vec![]), 3.0);
        }
    }
}

#[test]
fn of_a_map_and_a_pixel() {
    for operator in ["Add", "Sub", "Mul", "Max", "Min"] {
        for operands in [["a", "p"], ["p", "a"]] {
            let converted = check(two().node(operator, &operands, "y", vec![]), 3.0);
            assert!(!steps(&converted).contains(&"copy"), "a pixel is repeated by the step itself");
        }
    }
}

/// One value for each pixel, or for each row: repeated by moving.
#[test]
fn of_a_map_and_parts_of_another() {
    for (starts, ends, axes) in
        [(vec![0], vec![1], vec![1]), (vec![2, 0], vec![3, 1], vec![1, 3]), (vec![0], vec![1], vec![2])]
    {
        for operator in ["Mul", "Sub"] {
            let onnx = two()
                .ints("starts", &starts)
                .ints("ends", &ends)
                .ints("axes", &axes)
                .node("Slice", &["b", "starts", "ends", "axes"], "s", vec![])
                .node(operator, &["a", "s"], "y", vec![]);
            check(onnx, 4.0);
        }
    }
}

#[test]
fn with_constants_of_any_shape() {
    for shape in [vec![1], vec![10, 1, 1], vec![1, 1, 6, 5], vec![5], vec![6, 1], vec![1, 10, 6, 5]] {
        let n = shape.iter().product::<i64>() as usize;
        for operator in ["Add", "Sub", "Mul", "Div"] {
            let values = weights(9, n, 0.5).iter().map(|v| v + 1.0).collect();
            let onnx = two().node("Relu", &["a"], "r", vec![]).floats("k", &shape, values);
            check(onnx.node(operator, &["r", "k"], "y", vec![]), 3.0);
        }
    }
    let onnx = two().floats("k", &[1], vec![1.5]).node("Sub", &["k", "a"], "y", vec![]);
    assert_eq!(steps(&check(onnx, 2.0)), ["conv"], "a convolution takes up both");
}

#[test]
fn limits_are_extrema_with_a_constant() {
    let onnx = two().floats("k", &[], vec![0.25]).node("Max", &["a", "k"], "y", vec![]);
    assert_eq!(steps(&check(onnx, 2.0)), ["conv"]);
    check(two().floats("k", &[], vec![0.25]).node("Min", &["a", "k", "b"], "y", vec![]), 3.0);
}

/// Batch normalization where no convolution takes it up.
#[test]
fn a_scale_and_shift_alone() {
    let onnx = Onnx::open(&[1, 10, 6, 5])
        .floats("g", &[10], weights(1, 10, 1.0))
        .floats("v", &[10], weights(2, 10, 0.2).iter().map(|v| v + 0.5).collect())
        .node("BatchNormalization", &["x", "g", "g", "g", "v"], "n", vec![])
        .node("Relu", &["n"], "y", vec![]);
    assert_eq!(steps(&check(onnx, 2.0)), ["depthwise"]);
}

#[test]
fn quotients() {
    let onnx =
        two().node("Sigmoid", &["b"], "s", vec![]).floats("k", &[], vec![0.5]).node("Add", &["s", "k"], "t", vec![]);
    check(onnx.node("Div", &["a", "t"], "y", vec![]), 4.0);
    let onnx =
        two().node("Sigmoid", &["b"], "s", vec![]).floats("k", &[], vec![0.5]).node("Add", &["s", "k"], "t", vec![]);
    check(onnx.floats("two", &[1], vec![2.0]).node("Div", &["two", "t"], "y", vec![]), 3.0);
}
