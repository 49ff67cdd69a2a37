//! What cannot be converted says which node, which attribute, what is supported.

mod build;

use build::{Numbers, Onnx, int, ints, text};
use escarp_converter::{Error, Options, convert, read, samples::InMemory};

fn refuse(onnx: Onnx) -> String {
    read(&onnx.bytes(), &Options::default()).expect_err("this must be refused").to_string()
}

fn conv(weight: [i64; 4]) -> Onnx {
    let n = weight.iter().product::<i64>() as usize;
    Onnx::new(&[0, 6, 8, 8], &[0, 6]).floats("w", &weight, vec![0.1; n])
}

#[test]
fn an_unknown_operator_is_named_with_its_node() {
    let onnx = Onnx::new(&[0, 4], &[0, 4]).node("Hardmax", &["x"], "y", vec![]);
    let message = refuse(onnx);
    assert!(message.starts_with("node `node_y`: operator Hardmax is not supported; supported: Conv, "), "{message}");
}

#[test]
fn unsupported_attributes_are_named_with_what_would_do() {
    let message = refuse(conv([6, 2, 3, 3]).node("Conv", &["x", "w"], "y", vec![int("group", 4)]));
    assert_eq!(message, "node `node_y` (Conv): group = 4; supported: a number that divides 6 input channels");
    let message = refuse(conv([6, 6, 3, 3]).node("Conv", &["x", "w"], "y", vec![ints("strides", &[0, 1])]));
    assert_eq!(message, "node `node_y` (Conv): strides = [0, 1]; supported: 2 numbers in 1..=255");
    let message = refuse(conv([6, 6, 3, 3]).node("Conv", &["x", "w"], "y", vec![int("frobnicate", 1)]));
    assert!(message.contains("frobnicate = (present); supported: the attributes [auto_pad,"), "{message}");
    let message = refuse(conv([6, 5, 3, 3]).node("Conv", &["x", "w"], "y", vec![]));
    assert_eq!(message, "node `node_y` (Conv): weights [6, 5, 3, 3] do not fit an input of 6 channels in 1 groups");
}

fn gru(attributes: Vec<tract_onnx::pb::AttributeProto>) -> Onnx {
    Onnx::new(&[0, 7, 4], &[0, 3])
        .floats("w", &[1, 9, 4], vec![0.1; 36])
        .floats("r", &[1, 9, 3], vec![0.1; 27])
        .ints("one", &[1])
        .node("Transpose", &["x"], "t", vec![ints("perm", &[1, 0, 2])])
        .node("GRU", &["t", "w", "r"], "all,last", attributes)
}

/// Every reason at once, what is alike together, and where the graph could be cut.
#[test]
fn all_reasons_are_told_at_once() {
    let onnx = || {
        Onnx::new(&[0, 6, 8, 8], &[0, 6])
            .floats("w", &[6, 6, 3, 3], vec![0.1; 324])
            .node("Conv", &["x", "w"], "a", vec![ints("pads", &[1; 4])])
            .node("Relu", &["a"], "b", vec![])
            .node("Conv", &["b", "w"], "c", vec![ints("pads", &[1; 4])])
    };
    let refused = onnx()
        .node("LSTM", &["c"], "l", vec![])
        .node("Conv", &["l", "w"], "unjudged", vec![int("frobnicate", 1)])
        .node("Conv", &["b", "w"], "d", vec![int("frobnicate", 1)])
        .node("Conv", &["c", "w"], "e", vec![int("frobnicate", 2)])
        .node("NonMaxSuppression", &["e", "d"], "y", vec![]);
    let message = refuse(refused);
    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(lines[0], "4 reasons why it cannot be converted (opset 17):");
    let says = "  node `node_l`: operator LSTM is not supported; of recurrent layers only the GRU is supported";
    assert_eq!(lines[1], says);
    assert!(lines[2].starts_with("  node `node_d` (Conv): frobnicate = (present); supported: the attributes ["));
    assert!(lines[2].ends_with(" (and 1 more: `node_e`)"), "{message}");
    assert!(lines[3].starts_with("  node `node_y`: operator NonMaxSuppression is not supported; where it is post-"));
    assert!(lines[3].ends_with("(here --outputs \"c,b\")"), "{message}");
    assert!(lines[4].starts_with("supported operators: Conv, "), "{message}");
    assert_eq!(lines[5], "what stands before all of this converts with --outputs \"c,b\"");
    // One reason is told as such.
    let message = refuse(onnx().node("NonMaxSuppression", &["c"], "y", vec![]));
    let says = "node `node_y`: operator NonMaxSuppression is not supported; where it is post-processing, cut the graph before it \
                with --outputs and compute it on the outputs (here --outputs \"c\"); supported: Conv, ";
    assert!(message.starts_with(says), "{message}");
    // An input, and an operator behind another.
    let mut two = Onnx::new(&[8, 6], &[8, 6]).node("LSTM", &["x"], "l", vec![]).node("Hardmax", &["l"], "y", vec![]);
    two.opset = 13;
    let message = refuse(two);
    assert!(
        message.starts_with("3 reasons") && message.contains("\n  model: input `x` [8, 6]: the batch is fixed at 8;")
    );
    assert!(message.contains("give --inputs x=1x6\n"), "{message}");
    // A line each, whatever the names are.
    let hostile = onnx().node("LSTM", &["c"], "l\n\u{1b}[2J", vec![]).node("RNN", &["c"], "y", vec![]);
    assert_eq!(refuse(hostile).matches('\n').count(), 4);
    // Many kinds: the first twenty.
    let many = (0..30).fold(onnx(), |onnx, i| onnx.node(&format!("Foreign{i}"), &["c"], &format!("f{i}"), vec![]));
    let message = refuse(many.node("Relu", &["f1"], "y", vec![]));
    // Nothing about a cut: next to nothing would be left.
    assert_eq!(message.lines().count(), 1 + 20 + 1 + 1, "{message}");
    assert!(message.contains("\n  and 10 more\n"), "{message}");
}

#[test]
fn recurrent_forms_we_lack() {
    let message = refuse(gru(vec![text("direction", "bidirectional")]));
    assert_eq!(message, "node `node_all,last` (GRU): direction = bidirectional; supported: forward");
    let every_step = gru(vec![]).node("Squeeze", &["all", "one"], "y", vec![]);
    let message = refuse(every_step);
    assert!(message.contains("the answer after the last time step"), "{message}");
    let first = gru(vec![])
        .node("Squeeze", &["all", "one"], "s", vec![])
        .node("Constant", &[], "i", vec![int("value_int", 0)])
        .node("Gather", &["s", "i"], "y", vec![int("axis", 0)]);
    let message = refuse(first);
    assert!(message.contains("supported: the last time step"), "{message}");
    let lstm = Onnx::new(&[0, 7, 4], &[0, 3]).node("LSTM", &["x"], "y", vec![]);
    assert!(refuse(lstm).starts_with("node `node_y`: operator LSTM is not supported"));
}

#[test]
fn networks_too_large_to_calibrate_are_refused_before_memory_is_taken() {
    let pooled = |side: i64, weight: [i64; 4], pads: i64| {
        let n = weight.iter().product::<i64>() as usize;
        Onnx::new(&[1, weight[1], side, side], &[0, weight[0]])
            .floats("w", &weight, vec![0.1; n])
            .node("Conv", &["x", "w"], "c", vec![ints("pads", &[pads; 4])])
            .node("GlobalAveragePool", &["c"], "p", vec![])
            .node("Flatten", &["p"], "y", vec![])
    };
    let message = refuse(pooled(60_000, [4, 3, 3, 3], 1));
    assert_eq!(message, "model: input `x`: with it inputs hold 28800000000 values; allowed: 134217728");
    let message = refuse(pooled(4000, [160, 3, 3, 3], 1));
    let says = "the network holds 2688000000 values; allowed: 134217728";
    assert!(message.starts_with("node `node_c` (Conv): ") && message.ends_with(says), "{message}");
    let message = refuse(pooled(1000, [8, 8, 7, 7], 3));
    assert_eq!(message, "node `node_c` (Conv): its windows hold 392000000 values together; allowed: 134217728");
    // A sequence counts with all its steps.
    let long = Onnx::new(&[65_535, 1, 8192], &[0, 3]).node("GRU", &["x", "w", "r"], "all,y", vec![]);
    assert_eq!(refuse(long), "model: input `x`: with it inputs hold 536862720 values; allowed: 134217728");
    assert!(read(&pooled(1000, [8, 8, 3, 3], 1).bytes(), &Options::default()).is_ok());
}

/// More padding at the end than a window reaches back over: legal in ONNX, but a window would see nothing of the map.
#[test]
fn windows_that_begin_behind_the_map_are_refused_by_name() {
    let message = refuse(conv([6, 6, 3, 3]).node("Conv", &["x", "w"], "y", vec![ints("pads", &[1, 1, 200, 200])]));
    assert!(
        message.starts_with("node `node_y` (Conv): pads = [1, 1, 200, 200]; supported: windows that begin in the map"),
        "{message}"
    );
}

#[test]
fn operator_sets_outside_the_known_ones() {
    let of = |opset: i64| {
        let mut onnx = conv([6, 6, 3, 3])
            .node("Conv", &["x", "w"], "c", vec![])
            .node("GlobalAveragePool", &["c"], "p", vec![])
            .node("Flatten", &["p"], "y", vec![]);
        onnx.opset = opset;
        onnx
    };
    assert!(refuse(of(6)).starts_with("model: opset 6; supported: 7 to 23"), "{}", refuse(of(6)));
    for opset in [7, 23] {
        assert_eq!(read(&of(opset).bytes(), &Options::default()).unwrap().doubts, [""; 0]);
    }
    let samples = Numbers::new(4).samples(40, 6 * 64);
    let labels = Some("abcdef".chars().map(String::from).collect());
    let options = Options { labels, ..Options::default() };
    let converted = convert(&of(24).bytes(), &samples, &options).unwrap();
    assert_eq!(converted.warnings, ["opset 24 is newer than 23, the newest that is known here"]);
    let error = convert(&of(24).bytes(), &samples, &Options { strict: true, ..options }).unwrap_err();
    assert!(error.to_string().starts_with("strict: opset 24"), "{error}");
}

#[test]
fn bytes_that_are_no_model() {
    for bytes in [&b""[..], b"hello", &[0xff; 64], &[0x3a, 0x05, 1, 2]] {
        assert!(matches!(read(bytes, &Options::default()), Err(Error::Onnx(_))), "{bytes:?}");
    }
}

/// Every truncation of a model is an error or a model; none panics or takes memory without bound.
#[test]
fn cut_models_never_panic() {
    let whole = conv([6, 6, 3, 3])
        .node("Conv", &["x", "w"], "c", vec![])
        .node("GlobalAveragePool", &["c"], "p", vec![])
        .node("Flatten", &["p"], "y", vec![])
        .bytes();
    assert!(read(&whole, &Options::default()).is_ok());
    for end in 0..whole.len() {
        let _ = read(&whole[..end], &Options::default());
    }
    let mut flipped = whole.clone();
    for at in 0..whole.len() {
        for bit in 0..8 {
            flipped[at] ^= 1 << bit;
            let _ = read(&flipped, &Options::default());
            flipped[at] ^= 1 << bit;
        }
    }
}

fn classifier() -> Vec<u8> {
    Onnx::new(&[0, 8], &[0, 3])
        .floats("w", &[8, 3], Numbers::new(1).take(24))
        .node("Gemm", &["x", "w"], "y", vec![])
        .bytes()
}

#[test]
fn labels_must_be_as_many_as_outputs() {
    let options = Options { labels: Some(vec!["a".into(), "b".into()]), ..Options::default() };
    let error = read(&classifier(), &options).unwrap_err();
    assert_eq!(error.to_string(), "labels: 2 labels; the network has 3 outputs");
}

#[test]
fn no_samples_and_infinite_ones() {
    let none = InMemory { values: vec![], sample_len: 8, labels: vec![], source: "x".into() };
    let error = convert(&classifier(), &none, &Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "samples: none: calibration needs at least one");
    let mut infinite = Numbers::new(2).samples(4, 8);
    infinite.values[13] = f32::INFINITY;
    let error = convert(&classifier(), &infinite, &Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "samples: random[1]: `x` is not finite in the float network");
}

#[test]
fn strict_turns_warnings_into_errors() {
    let few = Numbers::new(2).samples(4, 8);
    assert!(!convert(&classifier(), &few, &Options::default()).unwrap().warnings.is_empty());
    let error = convert(&classifier(), &few, &Options { strict: true, ..Options::default() }).unwrap_err();
    assert!(matches!(error, Error::Strict(_)), "{error}");
}

#[test]
fn sums_that_could_leave_the_accumulator_are_refused_by_name() {
    // 150,000 weights at full scale reach 150000 * 127 * 128 > 2^31.
    let n = 150_000;
    let onnx = Onnx::new(&[0, 3, 250, 200], &[0, 1])
        .floats("w", &[n, 1], vec![1.0; n as usize])
        .node("Flatten", &["x"], "f", vec![])
        .node("Gemm", &["f", "w"], "y", vec![])
        .bytes();
    let samples = Numbers::new(3).samples(1, n as usize);
    let error = convert(&onnx, &samples, &Options::default()).unwrap_err();
    assert!(matches!(&error, Error::Overflow { node, channel: 0, .. } if node == "node_y"), "{error}");
}
