//! Small files that ask for much, or for what no operator can do: an error that names the node, and little time and memory.

mod build;

use build::{Numbers, Onnx, int, ints, text};
use escarp_converter::{Options, Samples, convert, float_runner, read};

fn refuse(onnx: Onnx) -> String {
    read(&onnx.bytes(), &Options::default()).expect_err("this must be refused").to_string()
}

/// `[1, 4]` to `[1, 3]`, in one layer.
fn classifier() -> Onnx {
    Onnx::new(&[1, 4], &[1, 3]).floats("w", &[4, 3], Numbers::new(1).take(12)).node("MatMul", &["x", "w"], "y", vec![])
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

/// A window that reaches over the end of the map sees no more than one cut off there, which is what the loader allows.
#[test]
fn windows_larger_than_map_and_padding_before_it() {
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
    let converted = convert(&onnx, &samples, &Options::default()).unwrap();
    assert!(converted.layers[0].snr_db > 30.0, "{:?}", converted.layers);
}

#[test]
fn axes_that_no_operator_has() {
    let constant = |operator: &str, inputs: &[&str]| {
        classifier().ints("c", &[0, 1, 2, 3, 4]).ints("2,2", &[2, 2]).ints("0,0", &[0, 0]).ints("0,4", &[0, 4]).node(
            operator,
            inputs,
            "u",
            vec![],
        )
    };
    let message = refuse(constant("Unsqueeze", &["c", "2,2"]));
    assert_eq!(message, "node `node_u` (Unsqueeze): axes = [2, 2]; supported: each axis once");
    let message = refuse(constant("Slice", &["c", "0,4", "0,4", "0,0"]));
    assert_eq!(message, "node `node_u` (Slice): axes = [0, 0]; supported: each axis once");
    let view = Onnx::new(&[1, 4], &[1, 3]).ints("a", &[3, -1]).node("Unsqueeze", &["x", "a"], "y", vec![]);
    assert_eq!(refuse(view), "node `node_y` (Unsqueeze): axes = [3, -1]; supported: each axis once");
    let ranks = classifier().ints("c", &[1]).scalar("s", 7).node("Concat", &["c", "s"], "u", vec![int("axis", 0)]);
    let says = "node `node_u` (Concat): input 1 of shape [] cannot be joined to [1] along axis 0";
    assert_eq!(refuse(ranks), says);
    let both =
        classifier().ints("c", &[1]).ints("a", &[0]).node("Unsqueeze", &["c", "a"], "u", vec![ints("axes", &[1])]);
    assert_eq!(refuse(both), "node `node_u` (Unsqueeze): axes = [1]; supported: an input or an attribute, not both");
}

/// Every operator that is folded, with every small constant in every place: errors, never a panic.
#[test]
fn folding_never_panics() {
    let constants = ["none", "one", "minus", "list", "far", "scalar", "floats", "empty", "map", ""];
    let base = || {
        classifier()
            .ints("none", &[])
            .ints("one", &[1])
            .ints("minus", &[-1, 0])
            .ints("list", &[0, 2, 1])
            .ints("far", &[i64::MIN, i64::MAX])
            .scalar("scalar", -3)
            .floats("floats", &[2, 3], vec![1.0, -2.0, f32::NAN, f32::INFINITY, 1e30, 0.0])
            .floats("empty", &[0, 3], vec![])
            .floats("map", &[1, 2, 1], vec![3.0, 4.0])
    };
    let operators = [
        "ConstantOfShape",
        "Identity",
        "Cast",
        "Gather",
        "Unsqueeze",
        "Squeeze",
        "Concat",
        "Expand",
        "Reshape",
        "Transpose",
        "Slice",
        "Add",
        "Sub",
        "Mul",
        "Div",
    ];
    let mut refused = 0;
    for operator in operators {
        for code in 0..1000 {
            let inputs = [code % 10, code / 10 % 10, code / 100].map(|i| constants[i]);
            for axis in [0, -1, i64::MIN] {
                let attributes = vec![int("axis", axis), int("to", axis & 7)];
                let onnx = base().node(operator, &inputs, "u", attributes);
                refused += usize::from(read(&onnx.bytes(), &Options::default()).is_err());
            }
        }
    }
    assert!((20_000..44_000).contains(&refused), "{refused}");
}

#[test]
fn an_input_that_is_left_out_keeps_its_place() {
    let onnx = Onnx::new(&[1, 6], &[2, 3])
        .ints("values", &[9, 2, 3])
        .ints("start", &[1])
        .ints("end", &[3])
        .ints("step", &[1])
        .node("Slice", &["values", "start", "end", "", "step"], "target", vec![])
        .node("Reshape", &["x", "target"], "r", vec![])
        .node("Relu", &["r"], "y", vec![]);
    // Read as axes, the step would be out of range; the slice is [2, 3].
    assert_eq!(read(&onnx.bytes(), &Options::default()).unwrap().outputs[0].view.lengths(), [2, 3]);
}

#[test]
fn one_value_for_each_channel_means_each_channel() {
    let onnx = Onnx::new(&[1, 4], &[1, 3])
        .floats("w", &[4, 3], vec![1.0; 12])
        .floats("five", &[1, 5], vec![1.0; 5])
        .node("MatMul", &["x", "w"], "m", vec![])
        .node("Mul", &["m", "five"], "y", vec![]);
    let says = "constant operand = shapes [1, 3] and [1, 5]; supported: shapes that broadcast";
    assert!(refuse(onnx).ends_with(says));
}

#[test]
fn a_name_stands_for_one_value() {
    let twice = classifier().node("Relu", &["y"], "y", vec![]);
    let says = "node `node_y` (Relu): output `y` is made already, by an earlier node, input or initializer";
    assert_eq!(refuse(twice), says);
    assert_eq!(refuse(classifier().ints("w", &[1])), "model: two initializers are named `w`");
}

/// tract's own panics: a convolution with an empty place for its bias, axes that are both an input and an attribute.
/// Found by fuzzing: an empty `training_mode` made tract read memory that is not there.
#[test]
fn the_numbers_of_a_dropout_are_one_each() {
    let dropout = |inputs: &[&str]| {
        let onnx = Onnx::new(&[1, 4], &[1, 3]).floats("w", &[4, 3], Numbers::new(1).take(12)).node(
            "MatMul",
            &["x", "w"],
            "m",
            vec![],
        );
        onnx.floats("half", &[], vec![0.5]).ints("none", &[]).scalar("off", 0).scalar("on", 1).node(
            "Dropout",
            inputs,
            "y",
            vec![],
        )
    };
    for inputs in [&["m", "half", "none"][..], &["m", "none"], &["m", "half", "m"]] {
        let message = refuse(dropout(inputs));
        assert!(message.contains("node_y") && message.contains("one constant"), "{message}");
    }
    let message = refuse(dropout(&["m", "half", "on"]));
    assert!(message.contains("training_mode") && message.contains("inference"), "{message}");
    for inputs in [&["m"][..], &["m", "half"], &["m", "half", "off"], &["m", "", "off"]] {
        assert!(read(&dropout(inputs).bytes(), &Options::default()).is_ok(), "{inputs:?}");
    }
}

#[test]
fn where_the_float_oracle_panics_we_evaluate_and_say_so() {
    let onnx = Onnx::new(&[1, 3, 4, 4], &[1, 2])
        .floats("w", &[2, 3, 4, 4], vec![0.1; 96])
        .node("Conv", &["x", "w", ""], "c", vec![])
        .node("Flatten", &["c"], "y", vec![])
        .bytes();
    let graph = read(&onnx, &Options::default()).unwrap();
    let float = float_runner(&onnx, &graph).unwrap();
    let doubt = float.doubt().expect("tract has mended this?");
    assert!(doubt.starts_with("float run: tract panicked: ") && doubt.contains("this program's own"), "{doubt}");
    let sample = [1.0; 48];
    assert_eq!(float.run(&sample).unwrap(), escarp_converter::eval::Evaluator::new(&graph).run(&sample, |_, _| {}));
}

#[test]
fn constants_share_one_budget() {
    const HALF: i64 = 1 << 26;
    // Joined once, and again and again.
    let message = refuse(classifier().filled("c", &[HALF], 1.0).node("Concat", &["c"; 60], "d", vec![int("axis", 0)]));
    assert!(message.starts_with("node `node_d` (Concat): a constant of shape [4026531840] needs "), "{message}");
    assert!(message.contains("allowed for the whole import: 536870912, and 8 for each of the file's"), "{message}");
    let mut doubled = classifier().filled("c0", &[2], 1.0);
    for i in 0..40 {
        let before = format!("c{i}");
        doubled = doubled.node("Concat", &[&before, &before], &format!("c{}", i + 1), vec![int("axis", 0)]);
    }
    assert!(refuse(doubled).starts_with("node `node_c25` (Concat): "));
    // Many that are each small enough.
    let many = (0..40).fold(classifier(), |onnx, i| onnx.filled(&format!("c{i}"), &[1 << 23], 1.0));
    assert!(
        refuse(many).starts_with("node `node_c15` (ConstantOfShape): a constant of shape [8388608] needs 33555456 ")
    );
    // Nothing, and too large to say how large.
    let nothing = classifier().filled("c", &[0, 1 << 40, 1 << 40], 1.0);
    assert!(refuse(nothing).contains("a constant of shape [0, 1099511627776, 1099511627776] needs "));
    // One constant as the weights of many layers.
    let mut layers = Onnx::new(&[1, 2048], &[1, 2048]).filled("w", &[2048, 2048], 1.0);
    for i in 0..100 {
        let before = if i == 0 { "x".into() } else { format!("y{}", i - 1) };
        layers = layers.node("MatMul", &[&before, "w"], &format!("y{i}"), vec![]);
    }
    let message = refuse(layers);
    assert!(message.starts_with("node `node_y24` (MatMul): its weights, in float, need"), "{message}");
    // In the file a kernel of one channel is as large as one of eight by eight.
    let mut thin = Onnx::new(&[1, 1, 1, 1], &[1, 1]).filled("k", &[1, 1, 255, 255], 1.0);
    for i in 0..200 {
        let before = if i == 0 { "x".into() } else { format!("y{}", i - 1) };
        thin = thin.node("Conv", &[&before, "k"], &format!("y{i}"), vec![text("auto_pad", "SAME_UPPER")]);
    }
    let message = refuse(thin);
    assert!(message.contains("(Conv): its weights, packed, need"), "{message}");
}

#[test]
fn dimensions_are_few() {
    let ones = vec![1; 20_000];
    let shape = |operator: &str, list: &[i64]| {
        classifier().ints("c", &[5]).ints("s", list).node(operator, &["c", "s"], "u", vec![])
    };
    let message = refuse(shape("Reshape", &ones));
    assert_eq!(message, "node `node_u` (Reshape): input 1: 20000 numbers; allowed: 16");
    assert!(refuse(shape("Reshape", &[1; 17])).ends_with("17 numbers; allowed: 16"));
    assert!(
        refuse(shape("Unsqueeze", &(0..16).collect::<Vec<_>>())).ends_with("a result of 17 dimensions; allowed: 16")
    );
    assert!(read(&shape("Reshape", &[1; 16]).bytes(), &Options::default()).is_ok());
    let tensor = classifier().floats("deep", &[1; 17], vec![0.0]);
    assert_eq!(refuse(tensor), "ONNX: tensor `deep` has 17 dimensions; allowed: 16");
    let view = Onnx::new(&[1, 4], &[1, 3]).ints("s", &ones).node("Reshape", &["x", "s"], "y", vec![]);
    assert_eq!(refuse(view), "node `node_y` (Reshape): shape: 20000 numbers; allowed: 16");
}

/// 4 million nodes of two bytes, 8 MB, would be 690 MB decoded.
#[test]
fn empty_nodes_are_counted_before_they_are_decoded() {
    let nodes = [0x0a, 0].repeat(4_000_000);
    let mut bytes = vec![0x3a];
    let mut len = nodes.len();
    while len > 0x7f {
        bytes.push(0x80 | (len & 0x7f) as u8);
        len >>= 7;
    }
    bytes.push(len as u8);
    bytes.extend(nodes);
    let message = read(&bytes, &Options::default()).unwrap_err().to_string();
    assert_eq!(message, "ONNX: byte 131077: more than 65535 nodes");
}

/// Import, fold and plan once looked at all nodes for each node: 20,000 took more than a minute.
#[test]
fn long_chains_take_time_in_proportion() {
    const NODES: usize = 20_000;
    let mut onnx = Onnx::new(&[1, 8], &[1, 8]).floats("w", &[8, 8], Numbers::new(3).take(64)).node(
        "MatMul",
        &["x", "w"],
        "y0",
        vec![],
    );
    for i in 1..NODES {
        let (before, name) = (format!("y{}", i - 1), format!("y{i}"));
        onnx = match i % 4 {
            // Two chains of sums, what folds into them, and a layer that takes a sum in place.
            0 => onnx.node("MatMul", &[&before, "w"], &name, vec![]),
            2 => onnx.node("Relu", &[&before], &name, vec![]),
            _ => onnx.node("Add", &[&before, "y0"], &name, vec![]),
        };
    }
    let last = format!("y{}", NODES - 1);
    let bytes = onnx.node("Identity", &[&last], "y", vec![]).bytes();
    let graph = read(&bytes, &Options::default()).unwrap();
    assert!((NODES / 2..NODES).contains(&graph.nodes.len()), "{}", graph.nodes.len());
    let ranges = vec![(-1.0, 1.0); graph.tensors.len()];
    let quantized = escarp_converter::quantize::quantize(&graph, &ranges).unwrap();
    let plan = escarp_converter::plan::plan(quantized).unwrap();
    assert_eq!(plan.steps.len(), graph.nodes.len());
    assert!(plan.arena_len < 200, "{}", plan.arena_len);
    // tract's optimizer would look at them all again and again.
    let float = escarp_converter::float_runner(&bytes, &graph).unwrap();
    assert_eq!(float.run(&[0.0; 8]).unwrap(), [0.0; 8]);
}
