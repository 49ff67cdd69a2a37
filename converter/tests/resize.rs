//! Resize and Upsample, nearest and linear.

mod build;
mod compare;

use build::{Onnx, attribute, int, ints, text};
use compare::{check, pooled, weights};
use escarp_converter::{Options, Samples, eval::Evaluator, read};
use escarp_runtime::Model;
use tract_onnx::pb::{self, attribute_proto::AttributeType};

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

/// Of that operator set.
fn of(opset: i64, mut onnx: Onnx) -> Onnx {
    onnx.opset = opset;
    onnx
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

const RULES: [&str; 6] =
    ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn"];

/// A map of 4 x 3 pixels to that size, as the last thing.
fn sized(size: [i64; 2], attributes: Vec<pb::AttributeProto>) -> Onnx {
    Onnx::new(&[0, 3, 4, 3], &[0])
        .floats("w", &[9, 3, 3, 3], weights(1, 243, 0.6))
        .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .ints("sizes", &[1, 9, size[0], size[1]])
        .node("Resize", &["c", "", "", "sizes"], "y", attributes)
}

#[test]
fn any_size_between_or_at_the_nearest_pixels() {
    for rule in RULES {
        let rule = text("coordinate_transformation_mode", rule);
        for size in [[8, 6], [7, 5], [2, 2], [1, 1], [4, 9], [13, 3]] {
            if !rule.s.starts_with(b"tf") {
                let converted = check(sized(size, vec![rule.clone(), text("mode", "linear")]), 2.0);
                assert_eq!(steps(&converted), ["conv", "interpolate"]);
            }
            for nearest in ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"] {
                check(sized(size, vec![rule.clone(), text("nearest_mode", nearest)]), 2.0);
            }
        }
    }
}

fn steps(converted: &escarp_converter::Converted) -> Vec<&'static str> {
    Model::parse(&converted.file).unwrap().steps().map(|s| s.name()).collect()
}

/// Scales that give no whole number of pixels are taken as they are, not as the lengths say.
#[test]
fn scales_that_are_no_multiples() {
    for scales in [[1.5, 2.5], [0.7, 0.5], [1.3, 1.0]] {
        for mode in ["nearest", "linear"] {
            for rule in ["half_pixel", "asymmetric", "half_pixel_symmetric"] {
                let onnx = Onnx::new(&[0, 3, 7, 6], &[0])
                    .floats("w", &[9, 3, 3, 3], weights(1, 243, 0.6))
                    .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
                    .floats("scales", &[4], [&[1.0, 1.0][..], &scales].concat())
                    .node(
                        "Resize",
                        &["c", "", "scales"],
                        "y",
                        vec![text("mode", mode), text("coordinate_transformation_mode", rule)],
                    );
                check(onnx, 2.0);
            }
        }
    }
}

/// Other dimensions than height and width, and one pixel that becomes a map.
#[test]
fn other_dimensions() {
    let onnx = Onnx::new(&[0, 3, 4, 6], &[0])
        .floats("w", &[8, 3, 1, 1], weights(1, 24, 0.6))
        .node("Conv", &["x", "w"], "c", vec![])
        .floats("scales", &[2], vec![1.5, 2.0])
        .node("Resize", &["c", "", "scales"], "y", vec![ints("axes", &[1, 3]), text("mode", "linear")]);
    let converted = check(of(18, onnx), 2.0);
    assert_eq!(steps(&converted), ["conv", "copy", "interpolate"]);
    let onnx = Onnx::new(&[0, 3, 4, 6], &[0])
        .node("GlobalAveragePool", &["x"], "p", vec![])
        .ints("sizes", &[1, 3, 4, 6])
        .node("Resize", &["p", "", "", "sizes"], "r", vec![text("mode", "linear")])
        .node("Mul", &["r", "x"], "y", vec![]);
    check(onnx, 4.0);
}

#[test]
fn upsample_of_older_operator_sets() {
    for mode in ["nearest", "linear"] {
        for scales in [[2.0, 2.0], [1.5, 3.0]] {
            let scales = [&[1.0, 1.0][..], &scales].concat();
            let conv = Onnx::new(&[0, 3, 4, 3], &[0]).floats("w", &[9, 3, 3, 3], weights(1, 243, 0.6)).node(
                "Conv",
                &["x", "w"],
                "c",
                vec![ints("pads", &[1, 1, 1, 1])],
            );
            let attribute = pb::AttributeProto {
                r#type: AttributeType::Floats as i32,
                floats: scales.clone(),
                ..attribute("scales")
            };
            let seven = conv.node("Upsample", &["c"], "y", vec![text("mode", mode), attribute]);
            check(of(7, seven), 2.0);
            for (operator, opset) in [("Upsample", 9), ("Resize", 10)] {
                let onnx = Onnx::new(&[0, 3, 4, 3], &[0])
                    .floats("w", &[9, 3, 3, 3], weights(1, 243, 0.6))
                    .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
                    .floats("scales", &[4], scales.clone())
                    .node(operator, &["c", "scales"], "y", vec![text("mode", mode)]);
                check(of(opset, onnx), 2.0);
            }
        }
    }
}

#[test]
fn others_are_refused_with_what_is_allowed() {
    let error = |onnx: Onnx| read(&onnx.bytes(), &Options::default()).unwrap_err().to_string();
    let said = error(model("Resize", &SCALES, vec![text("mode", "cubic")]));
    assert!(said.contains("node_r") && said.contains("cubic") && said.contains("nearest, linear"), "{said}");
    let said = error(model("Resize", &SCALES, vec![text("coordinate_transformation_mode", "tf_crop_and_resize")]));
    assert!(said.contains("tf_crop_and_resize") && said.contains("align_corners"), "{said}");
    let said = error(model("Resize", &SCALES, vec![text("nearest_mode", "simple")]));
    assert!(said.contains("simple") && said.contains("round_prefer_floor"), "{said}");
    let said = error(model("Resize", &SCALES, vec![text("keep_aspect_ratio_policy", "not_larger")]));
    assert!(said.contains("not_larger") && said.contains("stretch"), "{said}");
    let deep = model("Resize", &["c", "", "deep"], vec![]).floats("deep", &[4], vec![1.0, 2.0, 2.0, 2.0]);
    let said = error(deep);
    assert!(said.contains("[1, 2, 3]") && said.contains("two dimensions at most"), "{said}");
    let none = model("Resize", &["c", "", "tiny"], vec![]).floats("tiny", &[4], vec![1.0, 1.0, 0.1, 1.0]);
    let said = error(none);
    assert!(said.contains("0.1") && said.contains("1..=65535"), "{said}");
    let said = error(model("Resize", &["c", "", "scales", "sizes"], vec![]));
    assert!(said.contains("one of them"), "{said}");
    let said = error(model("Resize", &["c", "", "two"], vec![]).floats("two", &[2], vec![2.0, 2.0]));
    assert!(said.contains("2 scales for 4 dimensions"), "{said}");
    let said = error(model("Resize", &["c"], vec![]));
    assert!(said.contains("constant scales or sizes"), "{said}");
    let mut small = model("Resize", &["c", "", "half"], vec![int("antialias", 1), text("mode", "linear")]).floats(
        "half",
        &[4],
        vec![1.0, 1.0, 0.5, 1.0],
    );
    small.opset = 18;
    let said = error(small);
    assert!(said.contains("antialias") && said.contains("from 4 to 2"), "{said}");
}
