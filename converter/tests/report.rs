//! What the report says of a network: its pictures, what became of each node, what each output is; and how its page looks.

mod browser;
mod build;
mod compare;

use std::fs;

use browser::fits;
use build::{Numbers, Onnx, int, ints};
use compare::weights;
use escarp_converter::{
    Converted, Options, Samples, convert, float_runner, history::Kind, measure::measure, part::Part, report::Report,
};

/// A network's conversion, and its report as page, terminal and JSON.
struct Told {
    converted: Converted,
    html: String,
    terminal: String,
    json: serde_json::Value,
}

fn told(onnx: Onnx, options: &Options) -> Told {
    let bytes = onnx.bytes();
    let graph = escarp_converter::read(&bytes, options).unwrap();
    let samples = Numbers::new(7).samples(6, graph.sample_len());
    let converted = convert(&bytes, &samples, options).unwrap();
    let float = float_runner(&bytes, &converted.graph).unwrap();
    let picks: Vec<usize> = (0..samples.len()).collect();
    let scores = measure(&converted.file, &float, &samples, &picks, options.cpu, &|| {}).unwrap();
    let report = Report {
        converted: &converted,
        float_bytes: bytes.len(),
        scores: &scores,
        samples: &samples,
        tested: false,
        isa: options.cpu.isa(),
    };
    let (html, terminal, json) = (report.html(), report.terminal(), serde_json::from_str(&report.json()).unwrap());
    Told { converted, html, terminal, json }
}

fn named(name: &str) -> Options {
    Options { name: name.into(), ..Options::default() }
}

#[track_caller]
fn looks_right(told: &Told) {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    fs::write(&page, &told.html).unwrap();
    fits(folder.path(), &page);
}

/// Names of the nodes to which something was done, in the order of the file.
fn done(told: &Told, kind: Kind) -> Vec<String> {
    let graph = &told.converted.graph;
    let of = graph.changes.iter().filter(|change| change.kind == kind);
    let mut nodes: Vec<usize> = of.flat_map(|change| change.nodes.clone()).collect();
    nodes.sort_unstable();
    nodes.iter().map(|&at| graph.origins[at].name.replace("node_", "")).collect()
}

/// A residual network of three blocks as exporters write one.
fn resnet() -> Onnx {
    let mut onnx = Onnx::new(&[0, 3, 12, 12], &[0, 5])
        .floats("w", &[8, 3, 3, 3], weights(1, 216, 0.3))
        .floats("fc", &[8, 5], weights(2, 40, 0.4))
        .node("Conv", &["x", "w"], "stem", vec![ints("pads", &[1, 1, 1, 1])])
        .node("Relu", &["stem"], "r0", vec![]);
    for block in 1..4 {
        let name = |what: &str| format!("{what}{block}");
        for (i, (from, to)) in [(format!("r{}", block - 1), name("a")), (name("ar"), name("b"))].into_iter().enumerate()
        {
            let seed = 10 * block + i as u64;
            onnx = onnx.floats(&format!("w{to}"), &[8, 8, 3, 3], weights(seed, 576, 0.2)).node(
                "Conv",
                &[&from, &format!("w{to}")],
                &to,
                vec![ints("pads", &[1, 1, 1, 1])],
            );
            if i == 0 {
                onnx = onnx.node("Relu", &[&to], &name("ar"), vec![]);
            }
        }
        let sum = name("s");
        onnx = onnx.node("Add", &[&name("b"), &format!("r{}", block - 1)], &sum, vec![]).node(
            "Relu",
            &[&sum],
            &name("r"),
            vec![],
        );
    }
    onnx.node("GlobalAveragePool", &["r3"], "p", vec![])
        .node("Flatten", &["p"], "f", vec![])
        .node("MatMul", &["f", "fc"], "m", vec![])
        .node("Softmax", &["m"], "y", vec![])
}

#[test]
fn a_residual_network() {
    let told = told(resnet(), &named("resnet"));
    assert_eq!(done(&told, Kind::Ended), ["y"]);
    assert_eq!(done(&told, Kind::Unread), [""; 0]);
    assert_eq!(done(&told, Kind::View), ["f"]);
    assert_eq!(done(&told, Kind::Sum), ["s1", "s2", "s3"]);
    assert_eq!(done(&told, Kind::Limits), ["r0", "ar1", "r1", "ar2", "r2", "ar3", "r3"]);
    for part in [
        "21 nodes of the file became 9 steps.",
        "Before: 21 nodes",
        "After: 9 steps",
        "Conv+Add+Relu",
        "scores before the softmax",
    ] {
        assert!(told.html.contains(part), "no `{part}`");
    }
    for part in ["21 nodes of the file became 9 steps.", "        3  sum written in place"] {
        assert!(told.terminal.contains(part), "no `{part}` in {}", told.terminal);
    }
    assert_eq!(told.json["nodes"], 21);
    assert_eq!(told.json["changes"].as_array().unwrap().len(), 1 + 1 + 3 + 7);
    looks_right(&told);
}

/// One of everything that may become of a node.
#[test]
fn what_became_of_each_node() {
    let onnx = Onnx::open(&[1, 4, 6, 6])
        .floats("w", &[4, 4, 3, 3], weights(1, 144, 0.3))
        .floats("ones", &[4], vec![1.0; 4])
        .floats("fc", &[64, 3], weights(2, 192, 0.3))
        .ints("lengths", &[1, 4])
        .ints("more", &[16])
        .node("Identity", &["x"], "same", vec![])
        .node("Concat", &["lengths", "more"], "shape", vec![int("axis", 0)])
        .node("Conv", &["same", "w"], "c", vec![])
        .node("BatchNormalization", &["c", "ones", "ones", "ones", "ones"], "n", vec![])
        .node("Sigmoid", &["n"], "gate", vec![])
        .node("Mul", &["n", "gate"], "silu", vec![])
        .node("Tanh", &["n"], "nobody", vec![])
        .node("Reshape", &["silu", "shape"], "flat", vec![])
        .node("Reshape", &["flat", "row"], "r", vec![])
        .ints("row", &[1, 64])
        .node("MatMul", &["r", "fc"], "y", vec![])
        .node("Transpose", &["silu"], "turned", vec![ints("perm", &[0, 2, 3, 1])])
        .node("Neg", &["y"], "beyond", vec![])
        .output("turned");
    let part = Part { outputs: vec!["y".into(), "turned".into()], ..Part::default() };
    let told = told(onnx, &Options { part, ..named("everything") });
    let is = |kind, names: &[&str]| assert_eq!(done(&told, kind), names, "{kind:?}");
    is(Kind::Same, &["same"]);
    is(Kind::Constant, &["shape"]);
    is(Kind::Weights, &["n"]);
    is(Kind::Table, &["gate", "silu"]);
    is(Kind::View, &["flat", "r", "turned"]);
    is(Kind::Order, &["y"]);
    // Two nodes do not reach the outputs that were asked for; they were not read.
    let cut: Vec<&str> =
        told.converted.graph.changes.iter().filter(|c| c.kind == Kind::Cut).map(|c| &c.detail[..]).collect();
    assert_eq!(cut, ["2 of 12 nodes"]);
    // The other output is what a step makes: it lies in its order already.
    assert!(told.html.contains("1 of constants not drawn") && told.html.contains("2 of 12 nodes"));
    looks_right(&told);
}

/// A detector's heads: each output with what it lost, how it lies, and how to read it.
#[test]
fn twelve_outputs() {
    let mut onnx = Onnx::open(&[1, 3, 16, 16])
        .floats("w", &[8, 3, 3, 3], weights(1, 216, 0.3))
        .node("Conv", &["x", "w"], "stem", vec![ints("pads", &[1, 1, 1, 1])])
        .node("Relu", &["stem"], "r", vec![])
        .node("Identity", &["r"], "y", vec![]);
    for i in 0..11 {
        let (name, w, h) = (format!("head_{i}"), format!("w{i}"), format!("h{i}"));
        onnx = onnx.floats(&w, &[4, 8, 1, 1], weights(20 + i, 32, 0.4)).node("Conv", &["r", &w], &h, vec![]);
        onnx = match i % 2 {
            0 => onnx.node("Sigmoid", &[&h], &name, vec![]),
            _ => onnx.node("Transpose", &[&h], &name, vec![ints("perm", &[0, 2, 3, 1])]),
        };
        onnx = onnx.output(&name);
    }
    let told = told(onnx, &named("heads"));
    let outputs = told.json["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 12);
    assert_eq!(outputs[1]["meaning"], "probabilities");
    assert_eq!(outputs[1]["numpy"], "y.reshape(16, 16, 4).transpose(2, 0, 1).reshape(1, 4, 16, 16)");
    assert_eq!(
        (&outputs[2]["meaning"], &outputs[2]["numpy"]),
        (&"as ONNX gives them".into(), &serde_json::Value::Null)
    );
    assert!(told.html.contains("head_10") && told.html.contains("[1, channels, height, width]"));
    assert!(told.terminal.contains("outputs lie  as height, width, channels"), "{}", told.terminal);
    looks_right(&told);
}

#[test]
fn a_gru() {
    let onnx = Onnx::new(&[0, 10, 4], &[0, 2])
        .floats("w", &[1, 18, 4], weights(20, 72, 0.8))
        .floats("r", &[1, 18, 6], weights(21, 108, 0.4))
        .floats("fc", &[6, 2], weights(24, 12, 0.6))
        .ints("zero", &[0])
        .node("Transpose", &["x"], "t", vec![ints("perm", &[1, 0, 2])])
        .node("GRU", &["t", "w", "r"], ",h", vec![int("hidden_size", 6), int("linear_before_reset", 1)])
        .node("Squeeze", &["h", "zero"], "s", vec![])
        .node("MatMul", &["s", "fc"], "y", vec![]);
    let told = told(onnx, &named("sound"));
    assert_eq!(done(&told, Kind::View), ["t", "s"]);
    looks_right(&told);
}
