//! Networks that were quantized before keep their scales, and int8 weights their numbers.

mod build;
mod compare;

use build::{Onnx, int, ints};
use compare::{check, defined, weights};
use escarp_converter::{Converted, Options, Samples, convert, eval::Evaluator, float_runner, measure::answer, read};
use escarp_runtime::{Cpu, Model};
use tract_onnx::pb::tensor_proto::DataType;

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

/// Several scales: the numbers are made as they are, and read as what they mean behind them.
#[test]
fn scales_of_an_activation_along_an_axis() {
    let onnx = Onnx::open(&[1, 4, 3])
        .floats("s", &[4], vec![0.01, 0.02, 0.05, 0.1])
        .bytes_int8("z", &[4], &[0, 3, -7, 1])
        .node("QuantizeLinear", &["x", "s", "z"], "q", vec![])
        .node("DequantizeLinear", &["q", "s", "z"], "y", vec![]);
    let wanted = |inputs: &[Vec<f32>]| {
        let scales = [0.01, 0.02, 0.05, 0.1];
        let one = |(i, x): (usize, &f32)| {
            let (s, z) = (scales[i / 3], [0.0, 3.0, -7.0, 1.0][i / 3]);
            (((x / s).round() + z).clamp(-128.0, 127.0) - z) * s
        };
        inputs[0].iter().enumerate().map(one).collect()
    };
    // One number of the coarsest scale is 13 steps.
    defined(onnx, 20.0, wanted);
}

/// Numbers of uint8 are given and given back: with their scale they are the real values of the network.
#[test]
fn numbers_at_both_ends() {
    for operator in ["QLinearMatMul", "MatMulInteger"] {
        let mut onnx = Onnx::new(&[1, 6], &[1, 5])
            .bytes_int8("wq", &[6, 5], &numbers(30))
            .floats("ws", &[], vec![0.004])
            .bytes_int8("wz", &[], &[0])
            .floats("s", &[], vec![0.02])
            .bytes_int8("z", &[], &[-3])
            .floats("ys", &[], vec![0.05])
            .bytes_int8("yz", &[], &[5]);
        onnx = onnx.given(DataType::Int8);
        onnx = match operator {
            "MatMulInteger" => onnx.node(operator, &["x", "wq", "z"], "y", vec![]),
            _ => onnx.node(operator, &["x", "s", "z", "wq", "ws", "wz", "ys", "yz"], "y", vec![]),
        };
        let (bytes, options) = (onnx.bytes(), Options::default());
        let graph = read(&bytes, &options).unwrap();
        let mut samples = build::Numbers::new(3).samples(8, 6);
        samples.values.iter_mut().for_each(|v| *v = (*v * 100.0).round());
        let converted = convert(&bytes, &samples, &options).unwrap();
        let float = float_runner(&bytes, &graph).unwrap();
        for i in 0..8 {
            let sample = samples.get(i).unwrap();
            let sums: Vec<f32> =
                (0..5).map(|o| (0..6).map(|k| (sample[k] + 3.0) * f32::from(numbers(30)[k * 5 + o])).sum()).collect();
            let wanted: Vec<f32> = match operator {
                "MatMulInteger" => sums,
                _ => sums.iter().map(|s| ((s * 0.02 * 0.004 / 0.05).round() + 5.0).clamp(-128.0, 127.0)).collect(),
            };
            let mut evaluator = Evaluator::new(&graph);
            let ours = evaluator.run(&sample, |_, _| {}).to_vec();
            let given = &answer(&converted.file, &sample, Cpu::PORTABLE).unwrap()[0];
            let unit = converted.plan.graph.tensors[converted.plan.graph.outputs[0].tensor].scale.scale;
            for o in 0..5 {
                assert!(
                    (ours[o] - wanted[o]).abs() <= 1e-4 * (1.0 + wanted[o].abs()) + 1e-3,
                    "{operator}: {ours:?} {wanted:?}"
                );
                assert!((given[o] - wanted[o]).abs() <= 1.01 * unit, "{operator}: {given:?} {wanted:?}");
            }
            let theirs = float.run(&sample).unwrap();
            assert_eq!(theirs.len(), 5);
        }
    }
}

/// Arithmetic of int8 wraps around, ours does not.
#[test]
fn numbers_are_read_by_those_only_who_know_them() {
    let onnx = Onnx::open(&[1, 6]).given(DataType::Uint8).node("Relu", &["x"], "y", vec![]);
    let message = read(&onnx.bytes(), &Options::default()).unwrap_err().to_string();
    assert!(message.contains("numbers of int8 or uint8; supported: what Cast or DequantizeLinear makes"), "{message}");
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
