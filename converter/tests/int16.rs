//! Activations of int16: every operator that takes or makes them, held against the float network. Inputs and weights are such that int8
//! holds them exactly: what is lost is lost in between.

mod build;
mod compare;

use build::{Numbers, Onnx, int, ints, text};
use compare::{check_fine, check_wide, exact_samples};
use escarp_converter::{Converted, Options, Wide, convert, front_end, graph::Graph, read, refine::Refine};
use escarp_runtime::{Dtype, Model};

/// Weights in steps of 1/127 of the largest.
fn weights(seed: u64, rows: usize, depth: usize) -> Vec<f32> {
    let mut all: Vec<f32> = Numbers::new(seed).take(rows * depth).iter().map(|w| (w * 127.0).round() / 127.0).collect();
    all.iter_mut().step_by(depth).for_each(|w| *w = 1.0);
    all
}

/// A convolution of `[10, 6, 5]` in `a`, of the input.
fn first() -> Onnx {
    Onnx::open(&[1, 3, 6, 5]).floats("w", &[10, 3, 3, 3], weights(1, 10, 27)).node(
        "Conv",
        &["x", "w"],
        "a",
        vec![ints("pads", &[1, 1, 1, 1])],
    )
}

/// And a second one, `b`, of the same shape.
fn two() -> Onnx {
    first().floats("v", &[10, 3, 1, 1], weights(2, 10, 3)).node("Conv", &["x", "v"], "b", vec![])
}

fn dtypes(converted: &Converted) -> Vec<Dtype> {
    let graph = &converted.plan.graph;
    graph.nodes.iter().map(|n| graph.tensors[n.output].dtype).collect()
}

fn steps(converted: &Converted) -> Vec<&'static str> {
    Model::parse(&converted.file).unwrap().steps().map(|s| s.name()).collect()
}

/// All int16, which makes these steps.
fn all(onnx: Onnx, expected: &[&str], decibels: f64) {
    let converted = check_wide(onnx, Wide::All, decibels);
    assert_eq!(steps(&converted), expected);
    assert!(dtypes(&converted).iter().all(|&d| d == Dtype::I16), "{}", converted.plan.graph);
}

#[test]
fn convolutions() {
    let pads = || ints("pads", &[1, 1, 1, 1]);
    let plain = first().floats("u", &[7, 10, 3, 3], weights(3, 7, 90)).node("Conv", &["a", "u"], "y", vec![pads()]);
    all(plain, &["conv", "conv"], 70.0);
    let groups = first().floats("u", &[6, 5, 3, 3], weights(3, 6, 45)).node(
        "Conv",
        &["a", "u"],
        "y",
        vec![pads(), int("group", 2)],
    );
    all(groups, &["conv", "conv"], 70.0);
    let depthwise = first()
        .floats("u", &[10, 1, 3, 3], weights(3, 10, 9))
        .node("Conv", &["a", "u"], "d", vec![int("group", 10)])
        .node("Relu", &["d"], "y", vec![]);
    all(depthwise, &["conv", "depthwise"], 70.0);
    let dense = first()
        .node("Flatten", &["a"], "f", vec![])
        .floats("u", &[9, 300], weights(3, 9, 300))
        .floats("c", &[9], vec![0.5; 9])
        .node("Gemm", &["f", "u", "c"], "y", vec![int("transB", 1)]);
    let converted = check_wide(dense, Wide::All, 70.0);
    assert_eq!(steps(&converted).last(), Some(&"linear"));
}

/// A sum that a convolution takes up: its operand has the sum's width.
#[test]
fn residual_sums() {
    let onnx = || {
        two()
            .floats("u", &[10, 10, 3, 3], weights(3, 10, 90))
            .node("Conv", &["b", "u"], "c", vec![ints("pads", &[1, 1, 1, 1])])
            .node("Add", &["c", "a"], "s", vec![])
            .node("Relu", &["s"], "r", vec![])
            .floats("t", &[4, 10, 1, 1], weights(4, 4, 10))
            .node("Conv", &["r", "t"], "y", vec![])
    };
    all(onnx(), &["conv", "conv", "conv", "conv"], 70.0);
    let graph = read(&onnx().bytes(), &Options::default()).unwrap();
    let converted = check_wide(onnx(), Wide::These([graph.nodes[2].output].into()), 20.0);
    assert_eq!(dtypes(&converted), [Dtype::I16, Dtype::I8, Dtype::I16, Dtype::I8], "the operand too");
}

#[test]
fn arithmetic() {
    for (operator, step) in [("Add", "add"), ("Sub", "add"), ("Max", "add"), ("Min", "add"), ("Mul", "mul")] {
        let onnx = two().node("MaxPool", &["a"], "p", vec![ints("kernel_shape", &[1, 1])]);
        let onnx = onnx.node(operator, &["a", "b"], "m", vec![]).node("Relu", &["m"], "y", vec![]);
        let converted = check_wide(onnx, Wide::All, 68.0);
        let fused = operator == "Add";
        assert_eq!(steps(&converted), if fused { vec!["conv", "conv"] } else { vec!["conv", "conv", step] });
    }
    // Two readers of each: the sum is a step of its own.
    let sum = two().node("Add", &["a", "b"], "s", vec![]).node("Mul", &["a", "b"], "m", vec![]);
    all(sum.node("Sub", &["s", "m"], "y", vec![]), &["conv", "conv", "add", "mul", "add"], 68.0);
    let pixel = two().node("GlobalAveragePool", &["b"], "p", vec![]).node("Mul", &["a", "p"], "y", vec![]);
    all(pixel, &["conv", "conv", "pool", "mul"], 66.0);
}

#[test]
fn functions() {
    for (operator, decibels) in [("Sigmoid", 60.0), ("Tanh", 55.0), ("HardSwish", 50.0), ("LeakyRelu", 50.0)] {
        let onnx = two().node(operator, &["a"], "t", vec![]).node("Mul", &["t", "b"], "y", vec![]);
        all(onnx, &["conv", "conv", "lookup", "mul"], decibels);
    }
    // Limits that nothing takes up are exact.
    let joined = two().node("Concat", &["a", "b"], "j", vec![int("axis", 1)]).node("Relu", &["j"], "y", vec![]);
    all(joined, &["conv", "conv", "copy", "copy", "scale"], 72.0);
}

/// From int8 to int16 and back, in tables and factors.
#[test]
fn one_side_wide() {
    let onnx = || {
        first()
            .node("Sigmoid", &["a"], "s", vec![])
            .node("Concat", &["s", "a"], "j", vec![int("axis", 1)])
            .node("Clip", &["j", "low", "high"], "l", vec![])
            .floats("low", &[], vec![-0.5])
            .floats("high", &[], vec![2.5])
            .node("AveragePool", &["l"], "p", vec![ints("kernel_shape", &[2, 2])])
            .node("Mul", &["p", "p"], "m", vec![])
            .floats("u", &[20, 1, 3, 3], weights(3, 20, 9))
            .node("Conv", &["m", "u"], "d", vec![int("group", 20)])
            .floats("u2", &[20, 20, 3, 3], weights(5, 20, 180))
            .node("Conv", &["m", "u2"], "d2", vec![])
            .node("Sub", &["d", "d2"], "y", vec![])
    };
    let graph: Graph = read(&onnx().bytes(), &Options::default()).unwrap();
    let outputs: Vec<usize> = graph.nodes.iter().map(|n| n.output).collect();
    for &one in &outputs {
        check_wide(onnx(), Wide::These([one].into()), 20.0);
        let others = outputs.iter().copied().filter(|&id| id != one).collect();
        check_wide(onnx(), Wide::These(others), 20.0);
    }
    all(onnx(), &["conv", "lookup", "copy", "copy", "scale", "pool", "lookup", "depthwise", "conv", "add"], 60.0);
}

#[test]
fn pools_and_sizes() {
    let window = || vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 1]), ints("pads", &[0, 1, 0, 1])];
    all(first().node("MaxPool", &["a"], "y", window()), &["conv", "pool"], 70.0);
    all(first().node("AveragePool", &["a"], "y", window()), &["conv", "pool"], 70.0);
    let counted = [window(), vec![int("count_include_pad", 1)]].concat();
    all(first().node("AveragePool", &["a"], "y", counted), &["conv", "pool"], 70.0);
    let sizes = |mode: &str| {
        first().floats("r", &[0], vec![]).floats("s", &[4], vec![1.0, 1.0, 2.0, 2.0]).node(
            "Resize",
            &["a", "r", "s"],
            "y",
            vec![text("mode", mode)],
        )
    };
    all(sizes("nearest"), &["conv", "resize"], 70.0);
    all(sizes("linear"), &["conv", "interpolate"], 66.0);
}

/// Parts of one tensor keep its scale, parts of several share one.
#[test]
fn moves_and_joins() {
    let turned = first().node("Transpose", &["a"], "t", vec![ints("perm", &[0, 1, 3, 2])]);
    let turned = turned.floats("u", &[4, 10, 1, 1], weights(3, 4, 10)).node("Conv", &["t", "u"], "y", vec![]);
    all(turned, &["conv", "copy", "conv"], 70.0);
    let joined = || {
        two()
            .node("Sigmoid", &["b"], "s", vec![])
            .node("Concat", &["a", "s"], "j", vec![int("axis", 1)])
            .floats("u", &[4, 20, 1, 1], weights(3, 4, 20))
            .node("Conv", &["j", "u"], "y", vec![])
    };
    let converted = check_wide(joined(), Wide::All, 60.0);
    let graph = &converted.plan.graph;
    let join = graph.nodes.iter().find(|n| n.inputs.len() == 2).unwrap();
    for &part in &join.inputs {
        assert_eq!(graph.tensors[part].scale, graph.tensors[join.output].scale, "{graph}");
    }
    // A part that cannot be int16 holds the others back.
    let with_scores = two()
        .node("Softmax", &["b"], "s", vec![int("axis", 1)])
        .node("Concat", &["a", "s"], "j", vec![int("axis", 1)])
        .floats("u", &[4, 20, 1, 1], weights(3, 4, 20))
        .node("Conv", &["j", "u"], "y", vec![]);
    let converted = check_wide(with_scores, Wide::All, 30.0);
    assert_eq!(dtypes(&converted), [Dtype::I8, Dtype::I8, Dtype::I8, Dtype::I8, Dtype::I16]);
}

/// A step that has int8 only keeps what is around it at int8, and nothing else.
#[test]
fn what_has_eight_bits_only() {
    let onnx = first()
        .node("Softmax", &["a"], "s", vec![int("axis", 1)])
        .floats("u", &[4, 10, 1, 1], weights(3, 4, 10))
        .node("Conv", &["s", "u"], "c", vec![])
        .node("ArgMax", &["c"], "z", vec![int("axis", 1)])
        .node("Sigmoid", &["c"], "y", vec![])
        .output("z");
    let converted = check_wide(onnx, Wide::All, 10.0);
    let found = dtypes(&converted);
    assert_eq!(found[..3], [Dtype::I8, Dtype::I8, Dtype::I16], "{}", converted.plan.graph);
    assert!(found.contains(&Dtype::I32));
}

/// Deep sums have no room for 16 bits of what they read: it gets as many as they have room for, and no sum leaves i32.
#[test]
fn deep_sums_take_fewer_bits() {
    let wide = |depth: usize| {
        let onnx = Onnx::open(&[1, 8])
            .floats("w", &[depth as i64, 8], weights(1, depth, 8))
            .node("Gemm", &["x", "w"], "a", vec![int("transB", 1)])
            .floats("u", &[3, depth as i64], vec![1.0; 3 * depth])
            .floats("c", &[3], vec![100.0, -3.0, 0.0])
            .node("Gemm", &["a", "u", "c"], "y", vec![int("transB", 1)]);
        check_wide(onnx, Wide::All, 40.0)
    };
    for (depth, most) in [(300, 32767), (1000, 20000), (16000, 1000)] {
        let converted = wide(depth);
        let graph = &converted.plan.graph;
        let last = graph.nodes.last().unwrap();
        let (_, largest) = graph.tensors[last.inputs[0]].scale.ends();
        assert!(largest <= most, "{depth}: {largest}");
        for (_, rows) in last.op.rows() {
            for (row, &bias) in rows.weight.chunks_exact(depth).zip(&rows.bias) {
                let sum: i64 = row.iter().map(|&w| i64::from(w).abs()).sum();
                assert!(sum * i64::from(largest) + i64::from(bias).abs() < 1 << 31, "{depth}");
            }
        }
    }
    // Of so many, nothing is left that int8 would not have.
    let onnx = wide(40_000);
    assert_eq!(dtypes(&onnx), [Dtype::I8, Dtype::I16]);
}

/// An input of numbers may be int16 too; what a front end makes is int8.
#[test]
fn inputs() {
    let onnx = || {
        Onnx::open(&[1, 3, 6, 5])
            .input("z", &[1, 3, 6, 5])
            .node("Add", &["x", "z"], "s", vec![])
            .floats("w", &[4, 3, 3, 3], weights(1, 4, 27))
            .node("Conv", &["s", "w"], "y", vec![])
    };
    let converted = check_wide(onnx(), Wide::All, 70.0);
    let inputs =
        |c: &Converted| c.plan.graph.inputs.iter().map(|&id| c.plan.graph.tensors[id].dtype).collect::<Vec<_>>();
    assert_eq!(inputs(&converted), [Dtype::I16; 2]);
    let front_end = front_end::parse_pixels("0..1", 3).ok().map(|p| p.front_end);
    let options = Options { front_end, wide: Wide::All, ..Options::default() };
    let graph = read(&onnx().bytes(), &options).unwrap();
    let converted = convert(&onnx().bytes(), &exact_samples(graph.sample_len()), &options).unwrap();
    assert_eq!(inputs(&converted), [Dtype::I8, Dtype::I16]);
}

/// What is refined and brought together works on int16 as on int8, and the proof holds after it.
#[test]
fn refined() {
    let onnx = two()
        .floats("u", &[10, 10, 3, 3], Numbers::new(3).take(900))
        .node("Conv", &["b", "u"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .node("Add", &["c", "a"], "s", vec![])
        .node("Relu", &["s"], "r", vec![])
        .floats("t", &[4, 10, 1, 1], Numbers::new(4).take(40))
        .node("Conv", &["r", "t"], "y", vec![])
        .bytes();
    let options = Options { wide: Wide::All, refine: Refine::Round, ..Options::default() };
    let graph = read(&onnx, &options).unwrap();
    let converted = convert(&onnx, &exact_samples(graph.sample_len()), &options).unwrap();
    assert!(dtypes(&converted).iter().all(|&d| d == Dtype::I16), "{}", converted.plan.graph);
    let worst = converted.layers.iter().map(|l| l.snr_db).fold(f64::INFINITY, f64::min);
    assert!(worst > 40.0, "{worst}");
    for node in &converted.plan.graph.nodes {
        for (_, rows) in node.op.rows() {
            let depth = rows.weight.len() / rows.bias.len();
            for (row, &bias) in rows.weight.chunks_exact(depth).zip(&rows.bias) {
                let sum: i64 = row.iter().map(|&w| i64::from(w).abs()).sum();
                assert!(sum * rows.reach + i64::from(bias).abs() < 1 << 31, "{}", node.name);
            }
        }
    }
}

#[test]
fn the_same_every_time() {
    let bytes = two()
        .node("Add", &["a", "b"], "s", vec![])
        .node("Sigmoid", &["s"], "t", vec![])
        .node("Mul", &["t", "b"], "y", vec![])
        .bytes();
    let options = Options { wide: Wide::All, ..Options::default() };
    let graph = read(&bytes, &options).unwrap();
    let samples = exact_samples(graph.sample_len());
    let once = convert(&bytes, &samples, &options).unwrap();
    assert_eq!(convert(&bytes, &samples, &options).unwrap().file, once.file);
    // Twice the bytes of what is twice as wide.
    let narrow = convert(&bytes, &samples, &Options::default()).unwrap();
    let activations = |c: &Converted| c.plan.buffers.iter().map(|b| b.len).sum::<u64>();
    assert!(activations(&once) > activations(&narrow));
}

/// Weights that int8 does not hold: with a second term they do not show any more.
#[test]
fn weights_of_two_terms() {
    let pads = || ints("pads", &[1, 1, 1, 1]);
    let any = |seed: u64, n: usize| Numbers::new(seed).take(n);
    let first = || {
        let onnx = Onnx::open(&[1, 3, 6, 5]).floats("w", &[10, 3, 3, 3], any(1, 270)).floats("b", &[10], any(9, 10));
        onnx.node("Conv", &["x", "w", "b"], "a", vec![pads()])
    };
    let depthwise = || {
        first()
            .floats("u", &[10, 1, 3, 3], any(3, 90))
            .node("Conv", &["a", "u"], "d", vec![int("group", 10), pads()])
            .node("Relu", &["d"], "y", vec![])
    };
    check_fine(depthwise(), Wide::All, Wide::None, 30.0);
    let converted = check_fine(depthwise(), Wide::All, Wide::All, 66.0);
    assert_eq!(steps(&converted), ["conv", "conv", "depthwise", "conv"]);
    let graph = read(&depthwise().bytes(), &Options::default()).unwrap();
    assert_eq!(converted.plan.totals.macs, 2 * graph.macs());
    let residual = first()
        .floats("u", &[10, 5, 3, 3], any(3, 450))
        .node("Conv", &["x", "w"], "e", vec![pads()])
        .node("Conv", &["e", "u"], "c", vec![pads(), int("group", 2)])
        .node("Add", &["c", "a"], "s", vec![])
        .node("Flatten", &["s"], "f", vec![])
        .floats("v", &[7, 300], any(4, 2100))
        .node("Gemm", &["f", "v"], "y", vec![int("transB", 1)]);
    let converted = check_fine(residual, Wide::All, Wide::All, 64.0);
    let steps = steps(&converted);
    assert!(steps.iter().all(|s| *s == "conv"), "{steps:?}");
    // One channel is no group.
    let single = Onnx::open(&[1, 1, 6, 5])
        .floats("w", &[1, 1, 3, 3], any(1, 9))
        .node("Conv", &["x", "w"], "a", vec![])
        .floats("u", &[1, 1, 3, 3], any(3, 9))
        .node("Conv", &["a", "u"], "y", vec![]);
    check_fine(single, Wide::All, Wide::All, 60.0);
    // Without int16 there is no second term.
    let narrow = check_fine(first().node("Relu", &["a"], "y", vec![]), Wide::None, Wide::All, 30.0);
    assert_eq!(narrow.plan.steps.len(), 1);
}
