//! Small nets that use every operator, every fusion and every form of an attribute that converts.

use tract_onnx::pb;

use crate::build::{Numbers, Onnx, attribute, int, ints, text};

fn weights(seed: u64, n: i64, scale: f32) -> Vec<f32> {
    Numbers::new(seed).take(usize::try_from(n).unwrap()).iter().map(|w| w * scale).collect()
}

fn float(name: &str, f: f32) -> pb::AttributeProto {
    pb::AttributeProto { r#type: pb::attribute_proto::AttributeType::Float as i32, f, ..attribute(name) }
}

/// What makes a vector of a map.
fn pooled(onnx: Onnx, map: &str) -> Onnx {
    onnx.node("GlobalAveragePool", &[map], "pooled", vec![]).node("Flatten", &["pooled"], "y", vec![])
}

fn conv(kernel: i64, channels: i64, attributes: Vec<pb::AttributeProto>) -> Onnx {
    let onnx = Onnx::new(&[0, channels, 9, 7], &[0, 5])
        .floats("w", &[5, channels, kernel, kernel], weights(1, 5 * channels * kernel * kernel, 0.4))
        .floats("b", &[5], weights(2, 5, 0.5))
        .node("Conv", &["x", "w", "b"], "c", attributes);
    pooled(onnx, "c")
}

fn pool(operator: &str, attributes: Vec<pb::AttributeProto>) -> Onnx {
    let onnx = Onnx::new(&[0, 11, 8, 8], &[0, 11]).node(operator, &["x"], "p", attributes);
    pooled(onnx, "p")
}

/// A convolution, what `after` does to its output `c`, and a pool over `r`.
fn after_conv(after: fn(Onnx) -> Onnx) -> Onnx {
    let onnx = Onnx::new(&[0, 3, 6, 6], &[0, 4])
        .floats("w", &[4, 3, 3, 3], weights(3, 108, 0.3))
        .floats("gamma", &[4], vec![1.5, -0.5, 2.0, 0.1])
        .floats("beta", &[4], weights(4, 4, 0.5))
        .floats("mean", &[4], weights(5, 4, 0.5))
        .floats("var", &[4], vec![0.5, 2.0, 1.0, 0.01])
        .floats("each", &[4, 1, 1], vec![0.5, -2.0, 0.25, 1.0])
        .floats("all", &[], vec![0.75])
        .floats("low", &[], vec![-0.1])
        .floats("high", &[], vec![0.6])
        .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])]);
    pooled(after(onnx), "r")
}

fn residual(limits: bool, twice: bool) -> Onnx {
    let pads = || vec![ints("pads", &[1, 1, 1, 1])];
    let onnx = Onnx::new(&[0, 8, 5, 5], &[0, 8])
        .floats("w1", &[8, 8, 3, 3], weights(6, 576, 0.2))
        .floats("w2", &[8, 8, 3, 3], weights(7, 576, 0.2))
        .floats("w3", &[8, 8, 3, 3], weights(8, 576, 0.2))
        .node("Conv", &["x", "w1"], "a", pads())
        .node("Relu", &["a"], "ar", vec![])
        .node("Conv", &["ar", "w2"], "b", pads())
        .node("Relu", &["b"], "br", vec![])
        .node("Conv", &["br", "w3"], "c", pads())
        .node("Add", &["c", "ar"], "s", vec![]);
    let onnx =
        if limits { onnx.node("Relu", &["s"], "sr", vec![]) } else { onnx.node("Identity", &["s"], "sr", vec![]) };
    // A second sum cannot join the convolution, and the first operand dies in it: a step, in place.
    let onnx = if twice {
        onnx.node("MaxPool", &["sr"], "m", vec![ints("kernel_shape", &[1, 1])]).node("Add", &["m", "sr"], "t", vec![])
    } else {
        onnx.node("Identity", &["sr"], "t", vec![])
    };
    pooled(onnx, "t")
}

/// Sums whose operands live on, and one of a tensor with itself.
fn sums() -> Onnx {
    let pads = || vec![ints("pads", &[1, 1, 1, 1])];
    let onnx = Onnx::new(&[0, 4, 5, 5], &[0, 4])
        .floats("w1", &[4, 4, 3, 3], weights(9, 144, 0.3))
        .floats("w2", &[4, 4, 3, 3], weights(10, 144, 0.3))
        .node("Conv", &["x", "w1"], "a", pads())
        .node("Conv", &["a", "w2"], "b", pads())
        .node("Add", &["a", "b"], "s", vec![])
        .node("Relu", &["s"], "sr", vec![])
        .node("Add", &["sr", "a"], "t", vec![])
        .node("Add", &["t", "t"], "u", vec![])
        .node("Add", &["x", "u"], "v", vec![]);
    pooled(onnx, "v")
}

fn flattened(head: fn(Onnx) -> Onnx) -> Onnx {
    let onnx = Onnx::new(&[0, 3, 4, 5], &[0, 6])
        .floats("w", &[60, 6], weights(11, 360, 0.2))
        .floats("turned", &[6, 60], weights(11, 360, 0.2))
        .floats("b", &[6], weights(12, 6, 0.2))
        .floats("one", &[1], vec![0.3]);
    head(onnx)
}

/// Keras by tf2onnx: channels last, a dense layer along the channels, classes after a softmax.
fn channels_last() -> Onnx {
    Onnx::new(&[0, 6, 5, 3], &[0, 4])
        .floats("w", &[9, 3, 3, 3], weights(13, 243, 0.3))
        .floats("dense", &[9, 4], weights(14, 36, 0.4))
        .node("Transpose", &["x"], "t", vec![ints("perm", &[0, 3, 1, 2])])
        .node("Conv", &["t", "w"], "c", vec![])
        .node("Clip", &["c", "low", "high"], "r", vec![])
        .floats("low", &[], vec![0.0])
        .floats("high", &[], vec![0.6])
        .node("Transpose", &["r"], "back", vec![ints("perm", &[0, 2, 3, 1])])
        .node("MatMul", &["back", "dense"], "d", vec![])
        .node("ReduceMean", &["d"], "m", vec![ints("axes", &[1, 2]), int("keepdims", 0)])
        .node("Softmax", &["m"], "y", vec![int("axis", -1)])
}

fn gru(reset_after: i64, hidden: i64, batch_first: bool, head: fn(Onnx) -> Onnx) -> Onnx {
    let (h, f) = (hidden, 5);
    let onnx = Onnx::new(&[0, 64, f], &[0, 3])
        .floats("w", &[1, 3 * h, f], weights(16, 3 * h * f, 0.8))
        .floats("r", &[1, 3 * h, h], weights(17, 3 * h * h, 0.4))
        .floats("b", &[1, 6 * h], weights(18, 6 * h, 0.3))
        .floats("fc", &[h, 3], weights(19, 3 * h, 0.5));
    let form = vec![int("hidden_size", h), int("linear_before_reset", reset_after), int("layout", batch_first.into())];
    let onnx = if batch_first {
        onnx.node("GRU", &["x", "w", "r", "b"], "all,last", form)
    } else {
        onnx.node("Transpose", &["x"], "t", vec![ints("perm", &[1, 0, 2])]).node(
            "GRU",
            &["t", "w", "r", "b"],
            "all,last",
            form,
        )
    };
    head(onnx).node("MatMul", &["h", "fc"], "y", vec![])
}

fn stacked() -> Onnx {
    let after = || vec![int("linear_before_reset", 1)];
    Onnx::new(&[0, 0, 4], &[0, 1])
        .floats("w1", &[1, 24, 4], weights(20, 96, 0.8))
        .floats("r1", &[1, 24, 8], weights(21, 192, 0.4))
        .floats("w2", &[1, 18, 8], weights(22, 144, 0.8))
        .floats("r2", &[1, 18, 6], weights(23, 108, 0.4))
        .floats("fc", &[6, 1], weights(24, 6, 0.6))
        .ints("one", &[1])
        .ints("zero", &[0])
        .node("Transpose", &["x"], "t", vec![ints("perm", &[1, 0, 2])])
        .node("GRU", &["t", "w1", "r1"], "a", after())
        .node("Squeeze", &["a", "one"], "as", vec![])
        .node("GRU", &["as", "w2", "r2"], ",h2", after())
        .node("Squeeze", &["h2", "zero"], "h", vec![])
        .node("MatMul", &["h", "fc"], "l", vec![])
        .node("Sigmoid", &["l"], "y", vec![])
}

/// All of them, each with its name.
pub fn all() -> Vec<(String, Onnx)> {
    let y_h = |o: Onnx| o.ints("zero", &[0]).node("Squeeze", &["last", "zero"], "h", vec![]);
    let last_of_all = |o: Onnx| {
        o.ints("one", &[1]).scalar("end", -1).node("Squeeze", &["all", "one"], "s", vec![]).node(
            "Gather",
            &["s", "end"],
            "h",
            vec![int("axis", 0)],
        )
    };
    let first_batch = |o: Onnx| o.ints("one", &[1]).node("Squeeze", &["last", "one"], "h", vec![]);
    let kernel = |a: i64, b: i64| ints("kernel_shape", &[a, b]);
    let nets = [
        ("conv padded", conv(3, 3, vec![ints("pads", &[1, 1, 1, 1])])),
        ("conv strided", conv(3, 9, vec![ints("pads", &[0, 0, 1, 1]), ints("strides", &[2, 2])])),
        ("conv pointwise", conv(1, 16, vec![ints("strides", &[2, 2])])),
        ("conv dilated", conv(3, 4, vec![ints("dilations", &[2, 2])])),
        ("conv same upper", conv(3, 2, vec![text("auto_pad", "SAME_UPPER"), ints("strides", &[2, 3])])),
        ("conv same lower", conv(2, 2, vec![text("auto_pad", "SAME_LOWER")])),
        ("conv valid", conv(5, 2, vec![kernel(5, 5), int("group", 1), text("auto_pad", "VALID")])),
        (
            "conv whole map",
            Onnx::new(&[0, 3, 4, 4], &[0, 5, 1, 1]).floats("w", &[5, 3, 4, 4], weights(25, 240, 0.3)).node(
                "Conv",
                &["x", "w"],
                "y",
                vec![],
            ),
        ),
        (
            "normalization and relu",
            after_conv(|o| {
                o.node("BatchNormalization", &["c", "gamma", "beta", "mean", "var"], "n", vec![float("epsilon", 1e-3)])
                    .node("Relu", &["n"], "r", vec![])
            }),
        ),
        (
            "constant arithmetic",
            after_conv(|o| {
                o.node("Mul", &["c", "each"], "c1", vec![])
                    .node("Add", &["all", "c1"], "c2", vec![])
                    .node("Sub", &["each", "c2"], "c3", vec![])
                    .node("Div", &["c3", "all"], "c4", vec![])
                    .node("Sub", &["c4", "all"], "r", vec![])
            }),
        ),
        (
            "limits twice",
            after_conv(|o| {
                o.node("Clip", &["c", "low", "high"], "l", vec![]).node("Clip", &["l", "", "high"], "r", vec![])
            }),
        ),
        ("residual", residual(true, false)),
        ("residual without limits", residual(false, false)),
        ("residual and sum", residual(true, true)),
        ("sums", sums()),
        ("max pool", pool("MaxPool", vec![kernel(2, 2), ints("strides", &[2, 2])])),
        ("max pool padded", pool("MaxPool", vec![kernel(3, 3), ints("strides", &[2, 2]), ints("pads", &[1, 1, 1, 1])])),
        ("max pool larger than map", pool("MaxPool", vec![kernel(9, 11), ints("pads", &[1, 2, 1, 2])])),
        ("max pool of one", pool("MaxPool", vec![kernel(1, 1), ints("strides", &[2, 3])])),
        ("average pool", pool("AveragePool", vec![kernel(3, 2), ints("strides", &[1, 2])])),
        ("global max pool", pool("GlobalMaxPool", vec![])),
        ("global average pool", pool("GlobalAveragePool", vec![])),
        ("mean kept", pool("ReduceMean", vec![ints("axes", &[-1, -2])])),
        (
            "pool limited",
            pooled(
                Onnx::new(&[0, 3, 6, 6], &[0, 3])
                    .node("MaxPool", &["x"], "m", vec![kernel(2, 2)])
                    .node("Relu", &["m"], "r", vec![])
                    .node("AveragePool", &["r"], "a", vec![kernel(2, 2)])
                    .node("Clip", &["a", "low", "high"], "l", vec![])
                    .floats("low", &[], vec![0.1])
                    .floats("high", &[], vec![0.5]),
                "l",
            ),
        ),
        (
            "flatten and gemm",
            flattened(|o| {
                o.node("Flatten", &["x"], "f", vec![]).node(
                    "Gemm",
                    &["f", "turned", "one"],
                    "y",
                    vec![int("transB", 1), float("alpha", 0.5), float("beta", 2.0)],
                )
            }),
        ),
        (
            "reshape and matmul",
            flattened(|o| {
                o.ints("shape", &[-1, 60])
                    .node("Reshape", &["x", "shape"], "f", vec![])
                    .node("MatMul", &["f", "w"], "m", vec![])
                    .node("Add", &["m", "b"], "n", vec![])
                    .node("Dropout", &["n"], "y", vec![])
            }),
        ),
        (
            "dense layers",
            Onnx::new(&[0, 20], &[0, 2])
                .floats("w1", &[20, 17], weights(26, 340, 0.4))
                .floats("w2", &[17, 2], weights(27, 34, 0.4))
                .floats("b", &[17], weights(28, 17, 0.4))
                .node("Gemm", &["x", "w1", "b"], "a", vec![])
                .node("Relu", &["a"], "r", vec![])
                .node("MatMul", &["r", "w2"], "y", vec![]),
        ),
        ("channels last", channels_last()),
        ("gru reset before", gru(0, 6, false, y_h)),
        ("gru reset after", gru(1, 16, false, last_of_all)),
        ("gru batch first", gru(1, 9, true, first_batch)),
        ("grus stacked, open length", stacked()),
    ];
    nets.into_iter().map(|(name, net)| (name.to_owned(), net)).collect()
}
