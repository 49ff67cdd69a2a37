//! Small networks, as ONNX and as TOML: together every operator and every kind of layer.

use super::build::{Numbers, Onnx, int, ints, text};

/// ONNX models, all of which convert.
pub fn onnx() -> Vec<(String, Vec<u8>)> {
    let weights = |n| Numbers::new(5).take(n);
    let vector =
        |o: Onnx, map: &str| o.node("GlobalAveragePool", &[map], "p", vec![]).node("Flatten", &["p"], "y", vec![]);
    let convolution = Onnx::new(&[0, 2, 5, 4], &[0, 3])
        .floats("w", &[3, 2, 3, 3], weights(54))
        .floats("g", &[3], vec![1.0, 0.5, 2.0])
        .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1]), ints("strides", &[1, 2])])
        .node("BatchNormalization", &["c", "g", "g", "g", "g"], "n", vec![])
        .node("Relu", &["n"], "r", vec![]);
    let same = Onnx::new(&[0, 2, 5, 4], &[0, 3])
        .floats("w", &[3, 2, 2, 2], weights(24))
        .node("Conv", &["x", "w"], "c", vec![text("auto_pad", "SAME_UPPER"), ints("dilations", &[2, 1])])
        .node("MaxPool", &["c"], "m", vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]);
    let residual = Onnx::new(&[0, 4, 3, 3], &[0, 4])
        .floats("w", &[4, 4, 1, 1], weights(16))
        .node("Conv", &["x", "w"], "a", vec![])
        .node(
            "AveragePool",
            &["a"],
            "q",
            vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1, 1, 1, 1]), int("count_include_pad", 1)],
        )
        .node("Conv", &["a", "w"], "b", vec![])
        .node("Add", &["b", "a"], "s", vec![]);
    let gemm = Onnx::new(&[0, 2, 3, 2], &[0, 3])
        .floats("w", &[12, 3], weights(36))
        .floats("b", &[3], weights(3))
        .ints("shape", &[-1, 12])
        .node("Reshape", &["x", "shape"], "f", vec![])
        .node("MatMul", &["f", "w"], "m", vec![])
        .node("Add", &["m", "b"], "s", vec![])
        .node("Softmax", &["s"], "y", vec![]);
    // A shape computed inside the graph, as exporters write it.
    let shapes = Onnx::new(&[0, 2, 3, 2], &[0, 3])
        .floats("w", &[12, 3], weights(36))
        .ints("zero", &[0])
        .ints("one", &[1])
        .ints("rest", &[-1])
        .node("Shape", &["x"], "sh", vec![])
        .node("Slice", &["sh", "zero", "one", "zero"], "n", vec![])
        .node("Concat", &["n", "rest"], "to", vec![int("axis", 0)])
        .node("Reshape", &["x", "to"], "f", vec![])
        .node("Unsqueeze", &["f", "one"], "u", vec![])
        .node("Squeeze", &["u", "one"], "q", vec![])
        .node("Gemm", &["q", "w"], "y", vec![]);
    let gru = Onnx::new(&[0, 4, 3], &[0, 2])
        .floats("w", &[1, 6, 3], weights(18))
        .floats("r", &[1, 6, 2], weights(12))
        .floats("b", &[1, 12], weights(12))
        .ints("zero", &[0])
        .node("Transpose", &["x"], "t", vec![ints("perm", &[1, 0, 2])])
        .node("GRU", &["t", "w", "r", "b"], "all,last", vec![int("hidden_size", 2), int("linear_before_reset", 1)])
        .node("Squeeze", &["last", "zero"], "y", vec![]);
    let all = [
        ("convolution", vector(convolution, "r")),
        ("same", vector(same, "m")),
        ("residual", vector(residual, "s")),
        ("gemm", gemm),
        ("shapes", shapes),
        ("gru", gru),
    ];
    all.into_iter().map(|(name, onnx)| (name.to_owned(), onnx.bytes())).collect()
}

/// Nets in TOML that are small enough to be built.
pub const TOML: &[(&str, &str)] = &[
    (
        "maps",
        r#"input = { map = [6, 5, 2] }
classes = 3
[[layer]]
kind = "convolution"
name = "a"
outputs = 4
kernel = [3, 3]
normalize = true
activation = "relu"
init = "he-normal"
[[layer]]
kind = "residual"
outputs = 4
stride = 2
[[layer]]
kind = "max-pool"
[[layer]]
kind = "global-average-pool"
[[layer]]
kind = "dense"
init = { kind = "orthogonal", gain = 1.4 }
"#,
    ),
    (
        "branch",
        r#"input = { sequence = [4, 3] }
classes = 2
[[layer]]
kind = "rnn"
name = "r"
hidden = 3
every_step = true
bidirectional = true
[[layer]]
kind = "batch-norm"
[[layer]]
kind = "activation"
function = "tanh"
[[layer]]
kind = "add"
of = "r"
[[layer]]
kind = "dropout"
rate = 0.3
[[layer]]
kind = "gru"
hidden = 2
reset = "before"
[[layer]]
kind = "dense"
"#,
    ),
    (
        "tokens",
        r#"input = { tokens = [5, 9] }
classes = 1
[[layer]]
kind = "embedding"
outputs = 3
[[layer]]
kind = "lstm"
hidden = 2
layers = 2
gate_bias = { kind = "chrono", longest = 5 }
[[layer]]
kind = "dense"
"#,
    ),
];
