//! ONNX models.

use crate::fuzz::seeds::build::{Onnx, int, ints, text};

pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    let all = [
        ("same_pad", same_padding()),
        ("same_pool", same_pool()),
        ("concat_wide", repeated(1 << 26, |o| o.node("Concat", &["c"; 60], "d", vec![int("axis", 0)]))),
        ("concat_bomb", repeated(1 << 20, |o| (0..40).fold(o, |o, _| doubled(o)))),
        ("const_bomb", (0..60).fold(linear(), |o, i| filled(o, 1 << 26, &format!("c{i}")))),
        ("rank", linear().ints("ones", &[1; 20_000]).node("ConstantOfShape", &["ones"], "c", vec![])),
        ("slice_twice", slice_twice()),
        ("unsq_const", linear().ints("c", &[5]).ints("a", &[2, 2]).node("Unsqueeze", &["c", "a"], "u", vec![])),
        ("unsq_view", unsqueezed(&[3, 3])),
        ("struct2", empty_bias()),
        ("struct3", softmax_of(&[4, -1, 3])),
        ("struct4", concat_of_ranks(-2_147_483_648)),
        ("struct5", shape_unsqueezed(&[-3, -1, -3])),
        ("struct6", squeezed(&[3, 3])),
        ("struct7", axes_twice()),
        ("evil-onnx", evil()),
        ("adds-in-a-row", chain(20_000)),
    ];
    let models = all.into_iter().map(|(name, onnx)| (name, onnx.bytes()));
    models.chain([("empty-nodes", empty_nodes(4_000_000))]).collect()
}

/// The sound part: `y = x w`.
fn linear() -> Onnx {
    Onnx::new(&[0, 4], &[0, 3]).floats("w", &[4, 3], vec![0.5; 12]).node("MatMul", &["x", "w"], "y", vec![])
}

/// Pooled, flattened, to three classes.
fn classes(onnx: Onnx, map: &str, channels: i64) -> Onnx {
    let n = usize::try_from(3 * channels).expect("few");
    onnx.floats("classes", &[channels, 3], vec![0.1; n])
        .node("GlobalAveragePool", &[map], "g", vec![])
        .node("Flatten", &["g"], "f", vec![])
        .node("MatMul", &["f", "classes"], "y", vec![])
}

/// (64 - 1) x 16 = 1008 columns of padding, 504 on each side.
fn same_padding() -> Onnx {
    let onnx = Onnx::new(&[0, 4, 1, 1200], &[0, 3]).floats("w", &[8, 4, 1, 64], vec![0.1; 2048]).node(
        "Conv",
        &["x", "w"],
        "c",
        vec![text("auto_pad", "SAME_UPPER"), ints("dilations", &[1, 16]), ints("kernel_shape", &[1, 64])],
    );
    classes(onnx, "c", 8)
}

/// 600 columns of padding.
fn same_pool() -> Onnx {
    let pool = vec![text("auto_pad", "SAME_UPPER"), ints("kernel_shape", &[1, 601]), ints("strides", &[1, 1])];
    classes(Onnx::new(&[0, 4, 1, 1200], &[0, 3]).node("MaxPool", &["x"], "c", pool), "c", 4)
}

/// A constant `name` of `n` numbers.
fn filled(onnx: Onnx, n: i64, name: &str) -> Onnx {
    let size = format!("size of {name}");
    onnx.ints(&size, &[n]).node("ConstantOfShape", &[&size], name, vec![])
}

fn repeated(n: i64, more: impl Fn(Onnx) -> Onnx) -> Onnx {
    more(filled(linear(), n, "c"))
}

/// `c` becomes twice as long. Names may be given anew: each node reads what the last one of that name made.
fn doubled(onnx: Onnx) -> Onnx {
    onnx.node("Concat", &["c", "c"], "c", vec![int("axis", 0)])
}

fn slice_twice() -> Onnx {
    let onnx = linear().ints("c", &[7; 10]).ints("s", &[0, 9]).ints("e", &[1, 10]).ints("a", &[0, 0]);
    onnx.node("Slice", &["c", "s", "e", "a"], "u", vec![])
}

fn unsqueezed(axes: &[i64]) -> Onnx {
    let onnx = Onnx::new(&[0, 4], &[0, 3]).floats("w", &[4, 3], vec![0.5; 12]).ints("a", axes).ints("b", &[2]);
    onnx.node("Unsqueeze", &["x", "a"], "u", vec![]).node("Squeeze", &["u", "b"], "v", vec![]).node(
        "MatMul",
        &["v", "w"],
        "y",
        vec![],
    )
}

/// A third input of no name, which is none.
fn empty_bias() -> Onnx {
    let onnx = Onnx::new(&[0, 3, 4, 4], &[0, 3]).floats("w", &[8, 3, 1, 1], vec![0.1; 24]);
    classes(onnx.node("Conv", &["x", "w", ""], "c", vec![ints("kernel_shape", &[1, 1])]), "c", 8)
}

fn softmax_of(axes: &[i64]) -> Onnx {
    Onnx::new(&[0, 4], &[0, 3])
        .floats("w", &[4, 3], vec![0.5; 12])
        .ints("a", axes)
        .node("MatMul", &["x", "w"], "z", vec![])
        .node("Unsqueeze", &["z", "a"], "u", vec![])
        .node("Softmax", &["u"], "y", vec![])
}

/// The flattened input through a shape that is computed, with what `target` adds to the chain; the shape's name is `t`.
fn reshaped(target: impl Fn(Onnx) -> Onnx) -> Onnx {
    let onnx = Onnx::new(&[0, 3, 4, 4], &[0, 3])
        .floats("w", &[48, 3], vec![0.1; 144])
        .ints("ax", &[0])
        .ints("m1", &[-1])
        .node("Shape", &["x"], "sh", vec![])
        .node("Constant", &[], "i0", vec![int("value_int", 0)])
        .node("Gather", &["sh", "i0"], "b0", vec![]);
    target(onnx).node("Reshape", &["x", "t"], "f", vec![]).node("Gemm", &["f", "w"], "y", vec![])
}

/// A vector beside a number.
fn concat_of_ranks(number: i64) -> Onnx {
    reshaped(|o| {
        o.node("Unsqueeze", &["b0", "ax"], "u", vec![]).node("Constant", &[], "n", vec![int("value_int", number)]).node(
            "Concat",
            &["u", "n"],
            "t",
            vec![int("axis", 0)],
        )
    })
}

fn shape_unsqueezed(axes: &[i64]) -> Onnx {
    reshaped(|o| {
        o.node("Unsqueeze", &["b0", "ax"], "u", vec![])
            .node("Concat", &["u", "m1"], "v", vec![int("axis", 0)])
            .ints("again", axes)
            .node("Unsqueeze", &["v", "again"], "t", vec![])
    })
}

fn squeezed(axes: &[i64]) -> Onnx {
    Onnx::new(&[0, 4, 3, 3], &[0, 3])
        .floats("w", &[4, 3], vec![0.1; 12])
        .ints("a", axes)
        .node("GlobalAveragePool", &["x"], "q", vec![])
        .node("Squeeze", &["q", "a"], "s", vec![])
        .node("Flatten", &["s"], "f", vec![])
        .node("Gemm", &["f", "w"], "y", vec![])
}

/// Axes as an attribute and as an input, before the operator set that has the input.
fn axes_twice() -> Onnx {
    let mut onnx = reshaped(|o| {
        o.node("Unsqueeze", &["b0", "ax"], "u", vec![ints("axes", &[1])]).node(
            "Concat",
            &["u", "m1"],
            "t",
            vec![int("axis", 0)],
        )
    });
    onnx.opset = 9;
    onnx
}

/// Names that a terminal would obey.
fn evil() -> Onnx {
    linear().all_named("n\x1b[31m\x1b]0;x\x07<script>alert(1)</script>")
}

/// Looking at all nodes for each node takes minutes.
fn chain(nodes: usize) -> Onnx {
    let onnx =
        Onnx::new(&[0, 4], &[0, 4]).floats("w", &[4, 4], vec![0.5; 16]).node("MatMul", &["x", "w"], "n0", vec![]);
    let name = |i: usize| if i == nodes { "y".to_owned() } else { format!("n{i}") };
    (1..=nodes).fold(onnx, |o, i| o.node("Add", &[&name(i - 1), "n0"], &name(i), vec![]))
}

/// Two bytes each in the file, over a hundred in memory: a graph (field 7 of a model) of empty nodes (its field 1).
fn empty_nodes(count: usize) -> Vec<u8> {
    let mut length = 2 * count;
    let mut bytes = vec![7 << 3 | 2];
    while length >= 128 {
        bytes.push((length % 128) as u8 | 128);
        length /= 128;
    }
    bytes.push(length as u8);
    bytes.extend([1 << 3 | 2, 0].repeat(count));
    bytes
}
