//! Each operator: our f32 meaning against tract's, and the int8 file, run by the runtime, against both.

mod build;

use build::{Numbers, Onnx, attribute, int, ints, text};
use escarp_converter::{
    Options, Samples, convert,
    eval::Evaluator,
    float_runner,
    measure::{Scores, measure},
    read,
};
use escarp_runtime::Cpu;
use tract_onnx::pb;

/// Float within 1e-4 of tract; int8 within `steps` output steps of float, on all of 24 samples.
fn check(onnx: Onnx, steps: f32) -> escarp_converter::Converted {
    let bytes = onnx.bytes();
    let options = Options { name: "test".into(), ..Options::default() };
    let graph = read(&bytes, &options).unwrap();
    let samples = Numbers::new(7).samples(24, graph.sample_len());
    let float = float_runner(&bytes, &graph).unwrap();
    let mut evaluator = Evaluator::new(&graph);
    for i in 0..samples.len() {
        let sample = samples.get(i).unwrap();
        let (ours, theirs) = (evaluator.run(&sample, |_, _| {}).to_vec(), float.run(&sample).unwrap());
        assert_eq!(ours.len(), theirs.len());
        for (a, b) in ours.iter().zip(&theirs) {
            assert!((a - b).abs() <= 1e-4 * (1.0 + b.abs()), "sample {i}: ours {a}, tract {b}\n{graph}");
        }
    }
    let converted = convert(&bytes, &samples, &options).unwrap();
    let picks: Vec<usize> = (0..samples.len()).collect();
    let on = |cpu| measure(&converted.file, &float, &samples, &picks, cpu, &|| {}).unwrap();
    let (scores, portable) = (on(options.cpu), on(Cpu::PORTABLE));
    assert_eq!(scores.total, 24);
    let int8 = |s: &Scores| s.answers.iter().map(|a| a.int8.clone()).collect::<Vec<_>>();
    assert_eq!(int8(&scores), int8(&portable), "{} kernels against portable", options.cpu.isa().name());
    let unit = converted.plan.graph.tensors[converted.plan.graph.output].scale.scale;
    for answer in &scores.answers {
        for (float, int8) in answer.float.iter().zip(&answer.int8) {
            let off = (float - int8).abs() / unit;
            assert!(off <= steps, "float {float}, int8 {int8}: {off} steps\n{}", converted.plan.graph);
        }
    }
    converted
}

fn weights(seed: u64, n: usize, scale: f32) -> Vec<f32> {
    Numbers::new(seed).take(n).iter().map(|w| w * scale).collect()
}

/// Adds what makes a vector of a map: the outputs of all tests are vectors.
fn pooled(onnx: Onnx, map: &str) -> Onnx {
    onnx.node("GlobalAveragePool", &[map], "pooled", vec![]).node("Flatten", &["pooled"], "y", vec![])
}

fn conv_model(kernel: i64, channels: i64, attributes: Vec<pb::AttributeProto>) -> Onnx {
    let n = (5 * channels * kernel * kernel) as usize;
    let onnx = Onnx::new(&[0, channels, 9, 7], &[0, 5])
        .floats("w", &[5, channels, kernel, kernel], weights(1, n, 0.4))
        .floats("b", &[5], weights(2, 5, 0.5))
        .node("Conv", &["x", "w", "b"], "c", attributes);
    pooled(onnx, "c")
}

#[test]
fn conv_strides_pads_dilations() {
    check(conv_model(3, 3, vec![ints("pads", &[1, 1, 1, 1])]), 3.0);
    check(conv_model(3, 9, vec![ints("pads", &[0, 0, 1, 1]), ints("strides", &[2, 2])]), 3.0);
    check(conv_model(1, 16, vec![ints("strides", &[2, 2])]), 3.0);
    check(conv_model(3, 4, vec![ints("dilations", &[2, 2])]), 3.0);
    check(conv_model(3, 2, vec![text("auto_pad", "SAME_UPPER"), ints("strides", &[2, 3])]), 3.0);
    check(conv_model(2, 2, vec![text("auto_pad", "SAME_LOWER")]), 3.0);
    check(conv_model(5, 2, vec![ints("kernel_shape", &[5, 5]), int("group", 1)]), 3.0);
}

#[test]
fn batch_normalization_and_relu_fold_into_the_convolution() {
    let onnx = Onnx::new(&[0, 3, 6, 6], &[0, 4])
        .floats("w", &[4, 3, 3, 3], weights(3, 108, 0.3))
        .floats("gamma", &[4], vec![1.5, -0.5, 2.0, 0.1])
        .floats("beta", &[4], weights(4, 4, 0.5))
        .floats("mean", &[4], weights(5, 4, 0.5))
        .floats("var", &[4], vec![0.5, 2.0, 1.0, 0.01])
        .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .node("BatchNormalization", &["c", "gamma", "beta", "mean", "var"], "n", vec![])
        .node("Relu", &["n"], "r", vec![]);
    let converted = check(pooled(onnx, "r"), 3.0);
    assert_eq!(converted.graph.nodes.len(), 2, "{}", converted.graph);
    assert_eq!(converted.graph.nodes[0].operator, "Conv+BatchNormalization+Relu");
}

#[test]
fn residual_sum_is_written_in_place() {
    let onnx = Onnx::new(&[0, 8, 5, 5], &[0, 8])
        .floats("w1", &[8, 8, 3, 3], weights(6, 576, 0.2))
        .floats("w2", &[8, 8, 3, 3], weights(7, 576, 0.2))
        .floats("w3", &[8, 8, 3, 3], weights(8, 576, 0.2))
        .node("Conv", &["x", "w1"], "a", vec![ints("pads", &[1, 1, 1, 1])])
        .node("Relu", &["a"], "ar", vec![])
        .node("Conv", &["ar", "w2"], "b", vec![ints("pads", &[1, 1, 1, 1])])
        .node("Relu", &["b"], "br", vec![])
        .node("Conv", &["br", "w3"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .node("Add", &["c", "ar"], "s", vec![])
        .node("Relu", &["s"], "sr", vec![]);
    let converted = check(pooled(onnx, "sr"), 4.0);
    let nodes = &converted.graph.nodes;
    let fused: Vec<usize> = nodes.iter().filter(|n| n.operator == "Conv+Add+Relu").map(|n| n.inputs.len()).collect();
    assert_eq!(fused, [2], "{}", converted.graph);
    assert!(!nodes.iter().any(|n| n.operator.starts_with("Add")));
    // A map of 5 x 5 x 8 takes 208 bytes, aligned.
    assert_eq!(converted.plan.lower_bound, 2 * 208, "two maps are alive at once");
}

#[test]
fn a_sum_whose_operands_live_on_is_a_step() {
    // `a` is read again after the sum, and the convolution reads the other operand itself.
    let onnx = Onnx::new(&[0, 4, 5, 5], &[0, 4])
        .floats("w1", &[4, 4, 3, 3], weights(9, 144, 0.3))
        .floats("w2", &[4, 4, 3, 3], weights(10, 144, 0.3))
        .node("Conv", &["x", "w1"], "a", vec![ints("pads", &[1, 1, 1, 1])])
        .node("Conv", &["a", "w2"], "b", vec![ints("pads", &[1, 1, 1, 1])])
        .node("Add", &["a", "b"], "s", vec![])
        .node("Relu", &["s"], "sr", vec![])
        .node("Add", &["sr", "a"], "t", vec![]);
    let converted = check(pooled(onnx, "t"), 4.0);
    assert_eq!(
        converted.graph.nodes.iter().filter(|n| n.operator.starts_with("Add")).count(),
        2,
        "{}",
        converted.graph
    );
}

#[test]
fn pools() {
    let pool = |operator: &str, attributes: Vec<pb::AttributeProto>| {
        let onnx = Onnx::new(&[0, 3, 8, 8], &[0, 3]).node(operator, &["x"], "p", attributes);
        check(pooled(onnx, "p"), 2.0);
    };
    pool("MaxPool", vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]);
    pool("MaxPool", vec![ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2]), ints("pads", &[1, 1, 1, 1])]);
    pool("AveragePool", vec![ints("kernel_shape", &[3, 2]), ints("strides", &[1, 2])]);
    pool("GlobalMaxPool", vec![]);
    let mean = Onnx::new(&[0, 3, 8, 8], &[0, 3]).node(
        "ReduceMean",
        &["x"],
        "y",
        vec![ints("axes", &[2, 3]), int("keepdims", 0)],
    );
    check(mean, 2.0);
}

/// ONNX does not ask for names that differ, not even from those of weights and inputs.
#[test]
fn nodes_may_share_their_names() {
    for name in ["same", "w", "x", ""] {
        let converted = check(conv_model(3, 3, vec![]).all_named(name), 3.0);
        assert_eq!(converted.graph.nodes.len(), 2);
    }
}

#[test]
fn flattened_maps_keep_onnx_order() {
    let onnx = |flatten: fn(Onnx) -> Onnx| {
        let onnx = Onnx::new(&[0, 3, 4, 5], &[0, 6]).floats("w", &[60, 6], weights(11, 360, 0.2)).floats(
            "b",
            &[6],
            weights(12, 6, 0.2),
        );
        flatten(onnx)
    };
    check(onnx(|o| o.node("Flatten", &["x"], "f", vec![]).node("Gemm", &["f", "w", "b"], "y", vec![])), 3.0);
    let reshape = |o: Onnx| {
        o.ints("shape", &[-1, 60])
            .node("Reshape", &["x", "shape"], "f", vec![])
            .node("MatMul", &["f", "w"], "m", vec![])
            .node("Add", &["m", "b"], "y", vec![])
    };
    check(onnx(reshape), 3.0);
}

#[test]
fn nhwc_input_of_tf2onnx() {
    let onnx = Onnx::new(&[0, 6, 5, 3], &[0, 4])
        .floats("w", &[4, 3, 3, 3], weights(13, 108, 0.3))
        .node("Transpose", &["x"], "t", vec![ints("perm", &[0, 3, 1, 2])])
        .node("Conv", &["t", "w"], "c", vec![])
        .node("Clip", &["c", "low", "high"], "r", vec![])
        .floats("low", &[], vec![0.0])
        .floats("high", &[], vec![0.6]);
    check(pooled(onnx, "r"), 3.0);
}

#[test]
fn gemm_with_its_attributes() {
    let alpha =
        pb::AttributeProto { r#type: pb::attribute_proto::AttributeType::Float as i32, f: 0.5, ..attribute("alpha") };
    let onnx = Onnx::new(&[0, 20], &[0, 7])
        .floats("w", &[7, 20], weights(14, 140, 0.4))
        .floats("b", &[7], weights(15, 7, 0.4))
        .node("Gemm", &["x", "w", "b"], "y", vec![int("transB", 1), alpha]);
    check(onnx, 2.0);
}

fn gru(reset_after: i64, hidden: i64, head: fn(Onnx) -> Onnx) -> Onnx {
    let (h, f) = (hidden, 5);
    let onnx = Onnx::new(&[0, 12, f], &[0, 3])
        .floats("w", &[1, 3 * h, f], weights(16, (3 * h * f) as usize, 0.8))
        .floats("r", &[1, 3 * h, h], weights(17, (3 * h * h) as usize, 0.4))
        .floats("b", &[1, 6 * h], weights(18, 6 * h as usize, 0.3))
        .floats("fc", &[h, 3], weights(19, 3 * h as usize, 0.5))
        .node("Transpose", &["x"], "t", vec![ints("perm", &[1, 0, 2])])
        .node(
            "GRU",
            &["t", "w", "r", "b"],
            "all,last",
            vec![int("hidden_size", h), int("linear_before_reset", reset_after)],
        );
    head(onnx).node("MatMul", &["h", "fc"], "y", vec![])
}

#[test]
fn gru_both_heads_and_both_resets() {
    let y_h = |o: Onnx| o.ints("zero", &[0]).node("Squeeze", &["last", "zero"], "h", vec![]);
    let y_last = |o: Onnx| {
        o.ints("one", &[1])
            .node("Squeeze", &["all", "one"], "s", vec![])
            .floats("unused", &[1], vec![0.0])
            .node("Constant", &[], "end", vec![int("value_int", -1)])
            .node("Gather", &["s", "end"], "h", vec![int("axis", 0)])
    };
    for reset_after in [0, 1] {
        let converted = check(gru(reset_after, 6, y_h), 6.0);
        assert_eq!((converted.graph.steps, converted.plan.state_len), (12, 16));
        check(gru(reset_after, 16, y_last), 6.0);
    }
}

#[test]
fn stacked_grus_stream_through_one_step() {
    let onnx = Onnx::new(&[0, 10, 4], &[0, 2])
        .floats("w1", &[1, 24, 4], weights(20, 96, 0.8))
        .floats("r1", &[1, 24, 8], weights(21, 192, 0.4))
        .floats("w2", &[1, 18, 8], weights(22, 144, 0.8))
        .floats("r2", &[1, 18, 6], weights(23, 108, 0.4))
        .floats("fc", &[6, 2], weights(24, 12, 0.6))
        .ints("one", &[1])
        .ints("zero", &[0])
        .node("Transpose", &["x"], "t", vec![ints("perm", &[1, 0, 2])])
        .node("GRU", &["t", "w1", "r1"], "a", vec![int("linear_before_reset", 1)])
        .node("Squeeze", &["a", "one"], "as", vec![])
        .node("GRU", &["as", "w2", "r2"], ",h2", vec![int("linear_before_reset", 1)])
        .node("Squeeze", &["h2", "zero"], "h", vec![])
        .node("MatMul", &["h", "fc"], "y", vec![]);
    check(onnx, 6.0);
}
