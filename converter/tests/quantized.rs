//! Networks that were quantized before keep their scales, and int8 weights their numbers.

mod build;
mod compare;

use build::{Onnx, int, ints};
use compare::{check, weights};
use escarp_converter::{Converted, Options, read};
use escarp_runtime::Model;

fn steps(converted: &Converted) -> Vec<&'static str> {
    Model::parse(&converted.file).unwrap().steps().map(|s| s.name()).collect()
}

/// Quantizes and dequantizes `from` to `to` with that scale and zero point of int8.
fn pair(onnx: Onnx, from: &str, to: &str, scale: f32, zero: i8) -> Onnx {
    let [s, z, q] = ["scale", "zero", "q"].map(|what| format!("{to} {what}"));
    onnx.floats(&s, &[], vec![scale])
        .bytes_int8(&z, &[], &[zero])
        .node("QuantizeLinear", &[from, &s, &z], &q, vec![])
        .node("DequantizeLinear", &[&q, &s, &z], to, vec![])
}

fn numbers(n: usize) -> Vec<i8> {
    weights(11, n, 126.0).iter().map(|w| w.round() as i8).collect()
}

/// As onnxruntime writes them: pairs around every operator, weights as int8 with a scale for each channel.
#[test]
fn pairs_around_operators() {
    let mut onnx = pair(Onnx::open(&[1, 3, 6, 5]), "x", "xd", 1.0 / 120.0, -3)
        .bytes_int8("wq", &[10, 3, 3, 3], &numbers(270))
        .floats("ws", &[10], weights(3, 10, 0.001).iter().map(|v| 0.002 + v.abs()).collect())
        .bytes_int8("wz", &[10], &[0; 10])
        .node("DequantizeLinear", &["wq", "ws", "wz"], "w", vec![int("axis", 0)])
        .node("Conv", &["xd", "w"], "c", vec![ints("pads", &[1; 4])])
        .node("Relu", &["c"], "r", vec![]);
    onnx = pair(onnx, "r", "rd", 0.02, -128);
    onnx = pair(onnx.node("GlobalAveragePool", &["rd"], "p", vec![]), "p", "y", 0.01, -128);
    let converted = check(onnx, 1.01);
    assert_eq!(steps(&converted), ["conv", "pool"], "no step is left of the pairs");
    let scales: Vec<(f32, i8)> =
        converted.plan.graph.tensors.iter().map(|t| (t.scale.scale, t.scale.zero_point)).collect();
    for kept in [(1.0 / 120.0, -3), (0.02, -128), (0.01, -128)] {
        assert!(scales.contains(&kept), "{kept:?} in {scales:?}");
    }
    let rows = converted.plan.graph.nodes[0].op.rows();
    let kept = numbers(270);
    // Ours stand [row][tap][channel], ONNX's [row][channel][tap].
    for (i, &w) in rows[0].1.weight.iter().enumerate() {
        let (row, tap, channel) = (i / 27, i % 27 / 3, i % 3);
        assert_eq!(w, kept[row * 27 + channel * 9 + tap]);
    }
}

/// A tensor that is also read without its rounding is rounded by a table of its own.
#[test]
fn a_pair_beside_another_reader() {
    let onnx = Onnx::open(&[1, 8]).floats("w", &[8, 8], weights(1, 64, 0.3)).node("MatMul", &["x", "w"], "m", vec![]);
    let onnx = pair(onnx, "m", "md", 0.02, 4).node("Mul", &["m", "md"], "y", vec![]);
    // Where rounding before the pair falls on the other side of a half, the product is a step of 0.02 off.
    assert_eq!(steps(&check(onnx, 8.0)), ["linear", "lookup", "mul"]);
}

#[test]
fn a_scale_of_an_activation_along_an_axis_is_refused() {
    let onnx = Onnx::open(&[1, 4])
        .floats("s", &[4], vec![0.1; 4])
        .bytes_int8("z", &[4], &[0; 4])
        .node("QuantizeLinear", &["x", "s", "z"], "q", vec![])
        .node("DequantizeLinear", &["q", "s", "z"], "y", vec![]);
    let message = read(&onnx.bytes(), &Options::default()).unwrap_err().to_string();
    assert!(message.contains("y_scale = several numbers; supported: one scale"), "{message}");
}

/// An integer product between its scales, and weights whose scale follows: both are what float operators are.
#[test]
fn operators_on_integers() {
    let onnx = Onnx::open(&[1, 6])
        .bytes_int8("wq", &[6, 5], &numbers(30))
        .bytes_int8("wz", &[], &[0])
        .floats("ws", &[], vec![0.004])
        .node("DynamicQuantizeLinear", &["x"], "xq,xs,xz", vec![])
        .node("MatMulInteger", &["xq", "wq", "xz", "wz"], "i", vec![])
        .node("Cast", &["i"], "f", vec![int("to", 1)])
        .node("Mul", &["xs", "ws"], "s", vec![])
        .node("Mul", &["f", "s"], "y", vec![]);
    let graph = read(&onnx.bytes(), &Options::default()).unwrap();
    assert_eq!(graph.nodes.len(), 1, "{graph}");
    let mut evaluator = escarp_converter::eval::Evaluator::new(&graph);
    let x = weights(5, 6, 1.0);
    let y = evaluator.run(&x, |_, _| {}).to_vec();
    for (o, y) in y.iter().enumerate() {
        let sum: f32 = (0..6).map(|i| x[i] * f32::from(numbers(30)[i * 5 + o]) * 0.004).sum();
        assert!((sum - y).abs() < 1e-5, "{sum} {y}");
    }
}
