//! Resize and Upsample, nearest and linear.

mod build;
mod compare;

use build::{Onnx, attribute, int, ints, text};
use compare::{check, defined, pooled, weights};
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

/// A resize of [1, 2, 6, 5] to [1, 2, to] by its definition, of one coordinate rule for both sides.
struct Plain {
    to: [usize; 2],
    reach: f64,
    kernel: fn(f64) -> f64,
    antialias: bool,
    exclude: bool,
    place: fn(at: f64, from: f64, to: f64) -> f64,
}

fn line(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

/// The cubic of a = -0.75.
fn cubic(x: f64) -> f64 {
    let (x, a) = (x.abs(), -0.75);
    match x {
        _ if x <= 1.0 => (a + 2.0) * x.powi(3) - (a + 3.0) * x.powi(2) + 1.0,
        _ if x < 2.0 => a * x.powi(3) - 5.0 * a * x.powi(2) + 8.0 * a * x - 4.0 * a,
        _ => 0.0,
    }
}

impl Plain {
    fn weights(&self, from: usize, to: usize, at: usize) -> Vec<f64> {
        let x = (self.place)(at as f64, from as f64, to as f64);
        let wide = if self.antialias { (to as f64 / from as f64).min(1.0) } else { 1.0 };
        let mut all = vec![0.0; from];
        for i in -40..40_i64 {
            let weight = (self.kernel)((i as f64 - x) * wide);
            assert!(weight == 0.0 || ((i as f64 - x) * wide).abs() < self.reach);
            if (0..from as i64).contains(&i) || !self.exclude {
                all[i.clamp(0, from as i64 - 1) as usize] += weight;
            }
        }
        let sum: f64 = all.iter().sum();
        all.iter().map(|w| w / sum).collect()
    }

    fn of(&self, x: &[f32]) -> Vec<f32> {
        let mut made = vec![];
        for at in 0..2 * self.to[0] * self.to[1] {
            let (c, y, column) = (at / (self.to[0] * self.to[1]), at / self.to[1] % self.to[0], at % self.to[1]);
            let (rows, columns) = (self.weights(6, self.to[0], y), self.weights(5, self.to[1], column));
            let sum: f64 = (0..30).map(|i| f64::from(x[c * 30 + i]) * rows[i / 5] * columns[i % 5]).sum();
            made.push(sum as f32);
        }
        made
    }
}

#[test]
fn between_more_than_two_pixels() {
    type Rule = (&'static str, fn(f64, f64, f64) -> f64);
    let rules: [Rule; 3] = [
        ("half_pixel", |at, from, to| (at + 0.5) * from / to - 0.5),
        ("align_corners", |at, from, to| at * (from - 1.0) / (to - 1.0)),
        ("asymmetric", |at, from, to| at * from / to),
    ];
    for (name, place) in rules {
        for to in [[12, 10], [4, 2], [9, 3], [6, 7]] {
            for (mode, kernel, reach, antialias, exclude) in [
                ("cubic", cubic as fn(f64) -> f64, 2.0, false, false),
                ("cubic", cubic, 2.0, false, true),
                ("cubic", cubic, 2.0, true, false),
                ("linear", line, 1.0, true, false),
                ("linear", line, 1.0, true, true),
            ] {
                let sizes = [1, 2, to[0] as i64, to[1] as i64];
                let all = vec![
                    text("mode", mode),
                    text("coordinate_transformation_mode", name),
                    int("antialias", antialias.into()),
                    int("exclude_outside", exclude.into()),
                ];
                let onnx =
                    Onnx::open(&[1, 2, 6, 5]).ints("sizes", &sizes).node("Resize", &["x", "", "", "sizes"], "y", all);
                let plain = Plain { to, reach, kernel, antialias, exclude, place };
                defined(of(18, onnx), 2.5, |inputs| plain.of(&inputs[0]));
            }
        }
    }
    // tract's MatMul says the same in its place.
    check(sized([7, 5], vec![text("mode", "cubic")]), 2.5);
}

#[test]
fn a_part_of_the_map_and_what_lies_beyond() {
    for mode in ["nearest", "linear"] {
        let outside =
            pb::AttributeProto { r#type: AttributeType::Float as i32, f: 0.5, ..attribute("extrapolation_value") };
        let onnx = Onnx::open(&[1, 1, 4, 4]).floats("roi", &[4], vec![0.0, 0.5, 1.0, 1.5]).ints("sizes", &[4, 5]).node(
            "Resize",
            &["x", "roi", "", "sizes"],
            "y",
            vec![
                text("mode", mode),
                text("coordinate_transformation_mode", "tf_crop_and_resize"),
                ints("axes", &[2, 3]),
                outside,
            ],
        );
        defined(of(18, onnx), 2.0, |inputs| {
            let x = &inputs[0];
            // Rows as they are; columns 1.5, 2.25, 3 and two outside.
            let between = |row: &[f32]| match mode {
                "linear" => [0.5 * (row[1] + row[2]), 0.75 * row[2] + 0.25 * row[3], row[3], 0.5, 0.5],
                _ => [row[1], row[2], row[3], 0.5, 0.5],
            };
            x.chunks(4).flat_map(between).collect()
        });
    }
}

#[test]
fn ratios_that_are_kept() {
    for (policy, to) in [("not_larger", [8, 7]), ("not_smaller", [10, 8])] {
        let onnx = Onnx::open(&[1, 1, 6, 5]).ints("sizes", &[10, 7]).node(
            "Resize",
            &["x", "", "", "sizes"],
            "y",
            vec![text("mode", "linear"), text("keep_aspect_ratio_policy", policy), ints("axes", &[2, 3])],
        );
        let graph = read(&of(18, onnx).bytes(), &Options::default()).unwrap();
        assert_eq!(graph.outputs[0].view.lengths(), [1, 1, to[0], to[1]], "{policy}");
    }
}

#[test]
fn three_dimensions_at_once() {
    let onnx = Onnx::open(&[1, 2, 2, 3]).floats("scales", &[4], vec![1.0, 2.0, 2.0, 2.0]).node(
        "Resize",
        &["x", "", "scales"],
        "y",
        vec![],
    );
    defined(onnx, 1.0, |inputs| {
        let at = |i: usize| [i / 24 / 2, i / 6 % 4 / 2, i % 6 / 2];
        (0..96).map(at).map(|[c, y, x]| inputs[0][c * 6 + y * 3 + x]).collect()
    });
}

#[test]
fn others_are_refused_with_what_is_allowed() {
    let error = |onnx: Onnx| read(&onnx.bytes(), &Options::default()).unwrap_err().to_string();
    let said = error(model("Resize", &SCALES, vec![text("mode", "area")]));
    assert!(said.contains("node_r") && said.contains("area") && said.contains("nearest, linear, cubic"), "{said}");
    let said = error(model("Resize", &SCALES, vec![text("coordinate_transformation_mode", "tf_crop_and_resize")]));
    assert!(said.contains("roi = (not constant)"), "{said}");
    let said = error(model("Resize", &SCALES, vec![text("coordinate_transformation_mode", "corners")]));
    assert!(said.contains("corners") && said.contains("align_corners"), "{said}");
    let said = error(model("Resize", &SCALES, vec![text("nearest_mode", "simple")]));
    assert!(said.contains("simple") && said.contains("round_prefer_floor"), "{said}");
    let said = error(model("Resize", &SCALES, vec![text("keep_aspect_ratio_policy", "same")]));
    assert!(said.contains("same") && said.contains("stretch, not_larger"), "{said}");
    let deep = of(10, model("Resize", &["c", "deep"], vec![]).floats("deep", &[4], vec![1.0, 2.0, 2.0, 2.0]));
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
}
