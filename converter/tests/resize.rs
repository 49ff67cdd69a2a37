//! Resize, nearest, to whole multiples.

mod build;
mod compare;

use build::{Onnx, ints, text};
use compare::{check, pooled, weights};
use escarp_converter::{Options, Samples, eval::Evaluator, read};
use escarp_runtime::Model;
use tract_onnx::pb;

fn model(operator: &str, inputs: &[&str], attributes: Vec<pb::AttributeProto>) -> Onnx {
    let onnx = Onnx::new(&[0, 3, 4, 3], &[0, 5])
        .floats("w", &[9, 3, 3, 3], weights(1, 243, 0.6))
        .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .floats("none", &[0], vec![])
        .floats("scales", &[4], vec![1.0, 1.0, 2.0, 3.0])
        .ints("sizes", &[1, 9, 8, 9])
        .node(operator, inputs, "r", attributes)
        .floats("v", &[5, 9, 3, 3], weights(2, 405, 0.5))
        .node("Conv", &["r", "v"], "d", vec![]);
    pooled(onnx, "d")
}

const SCALES: [&str; 3] = ["c", "", "scales"];

/// Of operator set 10, without a region of interest.
fn old(scales: &str) -> Onnx {
    let mut onnx = model("Resize", &["c", scales], vec![]).floats("twice", &[4], vec![1.0, 1.0, 2.0, 2.0]);
    onnx.opset = 10;
    onnx
}

#[test]
fn pixels_are_repeated() {
    let floor = || vec![text("coordinate_transformation_mode", "asymmetric"), text("nearest_mode", "floor")];
    let converted = check(model("Resize", &SCALES, floor()), 4.0);
    let steps = Model::parse(&converted.file).unwrap().steps().map(|s| s.name()).collect::<Vec<_>>();
    assert_eq!(steps, ["conv", "resize", "conv", "pool"]);
    check(model("Resize", &SCALES, vec![]), 4.0);
    check(model("Resize", &["c", "none", "", "sizes"], vec![]), 4.0);
    check(old("twice"), 4.0);
    let graph = read(&model("Resize", &SCALES, floor()).bytes(), &Options::default()).unwrap();
    assert_eq!(graph.shape(graph.nodes[1].output), [8, 9, 9]);
}

/// Every way to say the same gives the same network.
#[test]
fn rules_that_repeat_whole_pixels_are_the_same() {
    let values = |onnx: Onnx| {
        let graph = read(&onnx.bytes(), &Options::default()).unwrap();
        let samples = build::Numbers::new(9).samples(2, graph.sample_len());
        let mut evaluator = Evaluator::new(&graph);
        (0..2).flat_map(|i| evaluator.run(&samples.get(i).unwrap(), |_, _| {}).to_vec()).collect::<Vec<f32>>()
    };
    let rule = |a: &str, b: &str| vec![text("coordinate_transformation_mode", a), text("nearest_mode", b)];
    let want = values(model("Resize", &SCALES, rule("asymmetric", "floor")));
    assert_eq!(values(model("Resize", &SCALES, vec![])), want, "half_pixel with round_prefer_floor");
    assert_eq!(values(model("Resize", &SCALES, rule("half_pixel", "round_prefer_ceil"))), want);
    assert_eq!(values(model("Resize", &SCALES, rule("pytorch_half_pixel", "round_prefer_floor"))), want);
    assert_eq!(values(model("Resize", &SCALES, rule("tf_half_pixel_for_nn", "floor"))), want);
    assert_eq!(values(model("Resize", &["c", "none", "", "sizes"], vec![])), want, "sizes");
}

#[test]
fn others_are_refused_with_what_is_allowed() {
    let error = |onnx: Onnx| read(&onnx.bytes(), &Options::default()).unwrap_err().to_string();
    let shifted =
        vec![text("coordinate_transformation_mode", "asymmetric"), text("nearest_mode", "round_prefer_floor")];
    let said = error(model("Resize", &SCALES, shifted));
    assert!(said.contains("node_r") && said.contains("width 3 to 9") && said.contains("half_pixel"), "{said}");
    let said = error(model("Resize", &SCALES, vec![text("mode", "linear")]));
    assert!(said.contains("linear") && said.contains("nearest"), "{said}");
    let said = error(model("Resize", &SCALES, vec![text("coordinate_transformation_mode", "align_corners")]));
    assert!(said.contains("align_corners"), "{said}");
    let half = model("Resize", &["c", "", "halves"], vec![]).floats("halves", &[4], vec![1.0, 1.0, 1.5, 2.0]);
    let said = error(half);
    assert!(said.contains("1.5") && said.contains("whole multiples from 1 to 255"), "{said}");
    let batch = model("Resize", &["c", "", "deep"], vec![]).floats("deep", &[4], vec![1.0, 2.0, 2.0, 2.0]);
    let said = error(batch);
    assert!(said.contains("[1, 2, 2, 2]") && said.contains("height and width"), "{said}");
    let said = error(model("Resize", &["c", "", "scales", "sizes"], vec![]));
    assert!(said.contains("one of them"), "{said}");
    let said = error(model("Resize", &["c", "", "two"], vec![]).floats("two", &[2], vec![2.0, 2.0]));
    assert!(said.contains("2 scales for 4 dimensions"), "{said}");
    let said = error(old("scales"));
    assert!(said.contains("up to 2 before operator set 11"), "{said}");
    let said = error(model("Resize", &["c"], vec![]));
    assert!(said.contains("constant scales or sizes"), "{said}");
}
