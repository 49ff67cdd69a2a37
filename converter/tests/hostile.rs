//! Small files that ask for much, or for what no operator can do: an error that names the node, and little time and memory.

mod build;

use build::{Numbers, Onnx, ints, text};
use escarp_converter::{Options, Samples, convert, float_runner, read};

fn refuse(onnx: Onnx) -> String {
    read(&onnx.bytes(), &Options::default()).expect_err("this must be refused").to_string()
}

/// A map of `[1, 4, 1, 1200]`, through `node`, to `[1, 8]`.
fn wide(operator: &str, inputs: &[&str], attributes: Vec<tract_onnx::pb::AttributeProto>) -> Onnx {
    Onnx::new(&[1, 4, 1, 1200], &[1, 8])
        .floats("k", &[8, 4, 1, 64], vec![0.01; 2048])
        .node(operator, inputs, "c", attributes)
        .node("GlobalAveragePool", &["c"], "g", vec![])
        .node("Flatten", &["g"], "y", vec![])
}

#[test]
fn padding_that_the_file_has_no_room_for_is_an_error() {
    for (auto, pads) in [("SAME_UPPER", "[0, 504, 0, 504]"), ("SAME_LOWER", "[0, 504, 0, 504]")] {
        let message = refuse(wide("Conv", &["x", "k"], vec![text("auto_pad", auto), ints("dilations", &[1, 16])]));
        let says =
            format!("node `node_c` (Conv): auto_pad = {auto}, which makes pads of {pads}; supported: pads in 0..=255");
        assert_eq!(message, says);
    }
    let pool = |extra| {
        let kernel = ints("kernel_shape", &[1, 601]);
        wide("MaxPool", &["x"], vec![text("auto_pad", "SAME_UPPER"), kernel, extra])
    };
    let message = refuse(pool(ints("strides", &[1, 1])));
    assert!(message.contains("which makes pads of [0, 300, 0, 300]; supported: pads in 0..=255"), "{message}");
    // What is given outright says its own range.
    for (attribute, n, most) in [("pads", 4, 256), ("strides", 2, 256), ("dilations", 2, 256)] {
        let message = refuse(wide("Conv", &["x", "k"], vec![ints(attribute, &vec![most; n])]));
        let range = if attribute == "pads" { "0..=255" } else { "1..=255" };
        assert!(message.contains(&format!("; supported: {n} numbers in {range}")), "{message}");
    }
    let message = refuse(wide("MaxPool", &["x"], vec![ints("kernel_shape", &[1, 65_536])]));
    assert!(message.contains("kernel_shape = [1, 65536]; supported: 2 numbers in 1..=65535"), "{message}");
    let message = refuse(wide("MaxPool", &["x"], vec![ints("kernel_shape", &[2, 1300])]));
    assert_eq!(message, "node `node_c` (MaxPool): a kernel that reaches 2 over 1 with 0 of padding");
    // The most that fits is taken.
    let fits = wide("Conv", &["x", "k"], vec![text("auto_pad", "SAME_UPPER"), ints("dilations", &[1, 8])]);
    assert!(read(&fits.bytes(), &Options::default()).is_ok());
}

/// A window that reaches over the end of the map sees no more than one cut off there.
#[test]
fn windows_larger_than_map_and_padding_are_cut_off() {
    let onnx = Onnx::new(&[1, 8, 1, 3], &[1, 8])
        .node(
            "MaxPool",
            &["x"],
            "m",
            vec![ints("kernel_shape", &[2, 4]), ints("pads", &[0, 1, 1, 2]), ints("strides", &[2, 4])],
        )
        .node("Flatten", &["m"], "y", vec![])
        .bytes();
    let graph = read(&onnx, &Options::default()).unwrap();
    let samples = Numbers::new(5).samples(8, 24);
    let float = float_runner(&onnx, &graph).unwrap();
    for i in 0..samples.len() {
        let sample = samples.get(i).unwrap();
        let ours = escarp_converter::eval::Evaluator::new(&graph).run(&sample, |_, _| {}).to_vec();
        assert_eq!(ours, float.run(&sample).unwrap());
    }
    let plan = convert(&onnx, &samples, &Options::default()).unwrap().plan.to_string();
    assert!(plan.contains("pool"), "{plan}");
    assert!(graph.to_string().contains("1x4 stride 2,4 pad 0,1"), "{graph}");
}
