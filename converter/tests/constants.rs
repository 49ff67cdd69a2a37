//! Folding: what shape chains of PyTorch and TensorFlow are made of, evaluated on constants.

mod build;

use build::{Onnx, attribute, int, ints, text};
use escarp_converter::{Constant, Options, read};
use ndarray::{ArrayD, IxDyn};
use tract_onnx::pb::{self, attribute_proto::AttributeType};

type Attributes = Vec<pb::AttributeProto>;

fn base() -> Onnx {
    Onnx::new(&[1, 3, 4], &[1])
        .ints("0", &[0])
        .ints("1", &[1])
        .ints("2", &[2])
        .ints("-1", &[-1])
        .ints("end", &[i64::MIN])
        .ints("3,1,2", &[3, 1, 2])
        .ints("0,1", &[0, 1])
        .ints("-3,7,0", &[-3, 7, 0])
        .ints("1,0,1", &[1, 0, 1])
        .ints("2,3", &[2, 3])
        .ints("1,0,0,2", &[1, 0, 0, 2])
        .scalar("zero", 0)
        .scalar("five", 5)
        .scalar("two", 2)
        .floats("f", &[2, 3], vec![1.0, -2.0, 2.5, 4.0, 0.25, -0.5])
        .floats("f2", &[], vec![2.0])
}

/// Output 0 of a node on constants.
fn folded(operator: &str, inputs: &[&str], attributes: Attributes) -> Constant {
    let onnx = base().node(operator, inputs, "y", attributes);
    let options = Options { any_batch: true, ..Options::default() };
    let mut graph = read(&onnx.bytes(), &options).unwrap_or_else(|e| panic!("{operator} {inputs:?}: {e}"));
    graph.constants.remove(0).1
}

fn whole(dims: &[usize], values: &[i64]) -> Constant {
    Constant::Int(ArrayD::from_shape_vec(IxDyn(dims), values.to_vec()).unwrap())
}

fn real(dims: &[usize], values: &[f32]) -> Constant {
    Constant::Float(ArrayD::from_shape_vec(IxDyn(dims), values.to_vec()).unwrap())
}

#[test]
fn shapes_are_counted_and_made() {
    let of = |operator: &str, inputs: &[&str], attributes: Attributes| folded(operator, inputs, attributes);
    assert_eq!(of("Shape", &["x"], vec![int("start", 1)]), whole(&[2], &[3, 4]));
    assert_eq!(of("Shape", &["x"], vec![int("start", -9), int("end", -1)]), whole(&[2], &[1, 3]));
    assert_eq!(of("Shape", &["f"], vec![int("start", 2)]), whole(&[0], &[]));
    assert_eq!(of("Size", &["x"], vec![]), whole(&[], &[12]));
    assert_eq!(of("Range", &["zero", "five", "two"], vec![]), whole(&[3], &[0, 2, 4]));
    assert_eq!(of("Range", &["five", "zero", "two"], vec![]), whole(&[0], &[]));
    assert_eq!(of("Range", &["2", "0", "-1"], vec![]), whole(&[2], &[2, 1]));
    assert_eq!(of("NonZero", &["-3,7,0"], vec![]), whole(&[1, 2], &[0, 1]));
    assert_eq!(of("Tile", &["0,1", "2"], vec![]), whole(&[4], &[0, 1, 0, 1]));
    assert_eq!(of("Cast", &["f"], vec![int("to", 7)]), whole(&[2, 3], &[1, -2, 2, 4, 0, 0]));
    assert_eq!(of("Cast", &["-3,7,0"], vec![int("to", 9)]), whole(&[3], &[1, 1, 0]));
    assert_eq!(of("Cast", &["-3,7,0"], vec![int("to", 10)]), real(&[3], &[-3.0, 7.0, 0.0]));
    let floats = pb::AttributeProto {
        r#type: AttributeType::Floats as i32,
        floats: vec![0.5, -1.0],
        ..attribute("value_floats")
    };
    assert_eq!(of("Constant", &[], vec![floats]), real(&[2], &[0.5, -1.0]));
}

#[test]
fn elements_are_moved() {
    let of = |operator: &str, inputs: &[&str], attributes: Attributes| folded(operator, inputs, attributes);
    // How PyTorch reverses a list of pads.
    assert_eq!(of("Slice", &["3,1,2", "-1", "end", "0", "-1"], vec![]), whole(&[3], &[2, 1, 3]));
    assert_eq!(of("Slice", &["f", "0,1", "2,3", "", "2,3"], vec![]), real(&[1, 1], &[-2.0]));
    assert_eq!(of("Split", &["3,1,2", "0,1"], vec![]).shape(), [0]);
    assert_eq!(of("Flatten", &["f"], vec![int("axis", 2)]).shape(), [6, 1]);
    let padded =
        [9., 9., 9., 9., 9., 1., -2., 2.5, 9., 9., 4., 0.25, -0.5, 9., 9.].map(|v| if v == 9. { 2. } else { v });
    assert_eq!(of("Pad", &["f", "1,0,0,2", "f2"], vec![]), real(&[3, 5], &padded));
    let once = |mode: &str| of("Pad", &["3,1,2", "2,3"], vec![text("mode", mode)]);
    assert_eq!(once("edge"), whole(&[8], &[3, 3, 3, 1, 2, 2, 2, 2]));
    assert_eq!(once("wrap"), whole(&[8], &[1, 2, 3, 1, 2, 3, 1, 2]));
    assert_eq!(once("reflect"), whole(&[8], &[2, 1, 3, 1, 2, 1, 3, 1]));
    let scattered = base().node("Unsqueeze", &["0,1", "1"], "places", vec![]);
    let scattered = scattered.node("ScatterND", &["3,1,2", "places", "2,3"], "y", vec![]);
    let graph = read(&scattered.bytes(), &Options { any_batch: true, ..Options::default() }).unwrap();
    assert_eq!(graph.constants[0].1, whole(&[3], &[2, 3, 2]));
}

#[test]
fn arithmetic_of_both_kinds() {
    let of = |operator: &str, inputs: &[&str]| folded(operator, inputs, vec![]);
    assert_eq!(of("Div", &["-3,7,0", "two"]), whole(&[3], &[-1, 3, 0]));
    assert_eq!(of("Mod", &["-3,7,0", "two"]), whole(&[3], &[1, 1, 0]));
    assert_eq!(folded("Mod", &["-3,7,0", "two"], vec![int("fmod", 1)]), whole(&[3], &[-1, 1, 0]));
    assert_eq!(of("Pow", &["-3,7,0", "two"]), whole(&[3], &[9, 49, 0]));
    assert_eq!(of("Pow", &["f", "two"]), real(&[2, 3], &[1.0, 4.0, 6.25, 16.0, 0.0625, 0.25]));
    assert_eq!(of("Min", &["-3,7,0", "two", "1"]), whole(&[3], &[-3, 1, 0]));
    assert_eq!(of("Max", &["f", "f2"]), real(&[2, 3], &[2.0, 2.0, 2.5, 4.0, 2.0, 2.0]));
    assert_eq!(of("Floor", &["f"]), real(&[2, 3], &[1.0, -2.0, 2.0, 4.0, 0.0, -1.0]));
    assert_eq!(of("Ceil", &["f"]), real(&[2, 3], &[1.0, -2.0, 3.0, 4.0, 1.0, -0.0]));
    assert_eq!(of("Round", &["f"]), real(&[2, 3], &[1.0, -2.0, 2.0, 4.0, 0.0, -0.0]));
    assert_eq!(of("Neg", &["-3,7,0"]), whole(&[3], &[3, -7, 0]));
    assert_eq!(of("Sqrt", &["f2"]), real(&[], &[2f32.sqrt()]));
    assert_eq!(of("Clip", &["-3,7,0", "zero", "five"]), whole(&[3], &[0, 5, 0]));
    assert_eq!(of("Clip", &["f", "", "f2"]), real(&[2, 3], &[1.0, -2.0, 2.0, 2.0, 0.25, -0.5]));
}

#[test]
fn truths_choose() {
    let of = |operator: &str, inputs: &[&str]| folded(operator, inputs, vec![]);
    assert_eq!(of("Equal", &["-3,7,0", "zero"]), whole(&[3], &[0, 0, 1]));
    assert_eq!(of("Greater", &["f", "f2"]), whole(&[2, 3], &[0, 0, 1, 1, 0, 0]));
    assert_eq!(of("LessOrEqual", &["3,1,2", "two"]), whole(&[3], &[0, 1, 1]));
    assert_eq!(of("And", &["1,0,1", "0"]), whole(&[3], &[0, 0, 0]));
    assert_eq!(of("Or", &["1,0,1", "0"]), whole(&[3], &[1, 0, 1]));
    assert_eq!(of("Not", &["1,0,1"]), whole(&[3], &[0, 1, 0]));
    // How PyTorch expands: -1 stands for the length there is.
    assert_eq!(of("Where", &["1,0,1", "3,1,2", "five"]), whole(&[3], &[3, 5, 2]));
    assert_eq!(of("Where", &["1,0,1", "f", "f2"]), real(&[2, 3], &[1.0, 2.0, 2.5, 4.0, 2.0, -0.5]));
}

#[test]
fn axes_are_reduced() {
    assert_eq!(folded("ReduceProd", &["3,1,2"], vec![int("keepdims", 0)]), whole(&[], &[6]));
    assert_eq!(folded("ReduceSum", &["f", "1"], vec![]), real(&[2, 1], &[1.5, 3.75]));
    assert_eq!(
        folded("ReduceMax", &["f"], vec![ints("axes", &[-2]), int("keepdims", 0)]),
        real(&[3], &[4., 0.25, 2.5])
    );
    assert_eq!(folded("ReduceMin", &["3,1,2"], vec![]), whole(&[1], &[1]));
    assert_eq!(folded("ReduceMean", &["f"], vec![]), real(&[1, 1], &[0.875]));
    assert_eq!(folded("ReduceSum", &["3,1,2"], vec![int("noop_with_empty_axes", 1)]), whole(&[3], &[3, 1, 2]));
}

#[test]
fn what_has_no_meaning_is_refused() {
    let refused = |operator: &str, inputs: &[&str], attributes: Attributes| {
        let onnx = base().node(operator, inputs, "y", attributes);
        read(&onnx.bytes(), &Options { any_batch: true, ..Options::default() }).expect_err(operator).to_string()
    };
    for (operator, inputs, says) in [
        ("Div", &["five", "zero"][..], "integer overflow or division by 0"),
        ("Mod", &["five", "zero"], "integer overflow or division by 0"),
        ("Add", &["five", "f"], "inputs of different types"),
        ("Where", &["f", "f", "f"], "the condition must be truths"),
        ("Range", &["zero", "five", "zero"], "and delta not 0"),
        ("Range", &["zero", "3,1,2", "two"], "must be one number each"),
        ("Slice", &["3,1,2", "0", "2", "0", "0"], "steps = 0; supported: any but 0"),
        ("Tile", &["f", "2"], "1 repeats for 2 dimensions"),
        ("Equal", &["3,1,2", "0,1"], "do not broadcast"),
        ("ScatterND", &["3,1,2", "0,1", "f"], "updates [2, 3]; needed: []"),
    ] {
        let message = refused(operator, inputs, vec![]);
        assert!(message.contains(says), "{operator}: {message}");
    }
    assert!(refused("Cast", &["-3,7,0"], vec![int("to", 2)]).contains("holds a number that the new type has not"));
    assert!(refused("Cast", &["f"], vec![int("to", 8)]).contains("to = 8; supported: float, "));
    assert!(
        refused("Where", &["1,0,1", "x", "x"], vec![]).contains("supported: constants and shapes; where it is post-")
    );
}
