//! Functions by table inside the graph, and PRelu.

mod build;
mod compare;

use build::{Numbers, Onnx, attribute, ints, text};
use compare::{check, pooled, weights};
use escarp_converter::{Converted, Options, convert, float_runner, measure::measure, read};
use escarp_runtime::{Cpu, Meaning, Model};
use tract_onnx::pb::{self, attribute_proto::AttributeType};

fn float(name: &str, f: f32) -> pb::AttributeProto {
    pb::AttributeProto { r#type: AttributeType::Float as i32, f, ..attribute(name) }
}

/// A convolution, the function, another convolution: the function's tensor has channels to fill.
fn between(operator: &str, attributes: Vec<pb::AttributeProto>) -> Onnx {
    let onnx = Onnx::new(&[0, 3, 6, 5], &[0, 5])
        .floats("w", &[10, 3, 3, 3], weights(1, 270, 0.6))
        .floats("b", &[10], weights(2, 10, 0.5))
        .node("Conv", &["x", "w", "b"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .node(operator, &["c"], "f", attributes)
        .floats("v", &[5, 10, 1, 1], weights(3, 50, 0.5))
        .node("Conv", &["f", "v"], "d", vec![]);
    pooled(onnx, "d")
}

fn steps(converted: &Converted) -> Vec<&'static str> {
    Model::parse(&converted.file).unwrap().steps().map(|s| s.name()).collect()
}

#[test]
fn each_function_follows_the_float_one() {
    let cases = [
        ("LeakyRelu", vec![]),
        ("LeakyRelu", vec![float("alpha", 0.3)]),
        ("Elu", vec![]),
        ("Elu", vec![float("alpha", 2.0)]),
        ("Sigmoid", vec![]),
        ("Tanh", vec![]),
        ("HardSigmoid", vec![]),
        ("HardSigmoid", vec![float("alpha", 0.5), float("beta", 0.25)]),
        ("HardSwish", vec![]),
        ("Selu", vec![]),
        ("Selu", vec![float("alpha", 1.5), float("gamma", 0.9)]),
        ("Celu", vec![]),
        ("Celu", vec![float("alpha", 0.5)]),
        ("ThresholdedRelu", vec![float("alpha", 0.4)]),
        ("Softplus", vec![]),
        ("Softsign", vec![]),
        ("Exp", vec![]),
        ("Erf", vec![]),
        ("Abs", vec![]),
        ("Neg", vec![]),
    ];
    for (operator, attributes) in cases {
        let converted = check(between(operator, attributes), 4.0);
        assert_eq!(steps(&converted), ["conv", "lookup", "conv", "pool"], "{operator}");
        assert!(converted.graph.to_string().contains(operator), "{}", converted.graph);
    }
}

/// Steps of one at the limits of what a step of the input can tell apart: those who fall on the other side are few.
#[test]
fn functions_with_steps() {
    for operator in ["Sign", "Floor", "Ceil", "Round"] {
        check(between(operator, vec![]), 24.0);
    }
}

/// Newer operators, each in the operator set that has it.
#[test]
fn newer_functions() {
    for (operator, attributes) in
        [("Mish", vec![]), ("Gelu", vec![]), ("Gelu", vec![text("approximate", "tanh")]), ("HardSwish", vec![])]
    {
        let mut onnx = between(operator, attributes);
        onnx.opset = 20;
        let converted = check(onnx, 4.0);
        assert_eq!(steps(&converted), ["conv", "lookup", "conv", "pool"], "{operator}");
    }
    let mut onnx = between("Gelu", vec![text("approximate", "erf")]);
    onnx.opset = 20;
    let error = read(&onnx.bytes(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("node_f") && error.contains("approximate = erf") && error.contains("tanh"), "{error}");
}

/// Above 0 and far from it.
fn positive(operator: &str, inputs: &[&str]) -> Onnx {
    let onnx = Onnx::new(&[0, 3, 6, 5], &[0, 10])
        .floats("w", &[10, 3, 3, 3], weights(1, 270, 0.6))
        .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .floats("two", &[1], vec![2.0])
        .floats("half", &[1, 1], vec![-0.5])
        .floats("many", &[10, 1, 1], weights(1, 10, 1.0))
        .ints("cube", &[3])
        .node("Sigmoid", &["c"], "s", vec![])
        .node("Add", &["s", "two"], "p", vec![])
        .node(operator, inputs, "f", vec![]);
    pooled(onnx, "f")
}

#[test]
fn functions_that_are_not_everywhere_defined() {
    for operator in ["Log", "Sqrt", "Reciprocal"] {
        let converted = check(positive(operator, &["p"]), 4.0);
        assert_eq!(steps(&converted), ["conv", "lookup", "pool"], "{operator}: one table with what is before it");
        let bytes = between(operator, vec![]).bytes();
        let graph = read(&bytes, &Options::default()).unwrap();
        let error = convert(&bytes, &Numbers::new(3).samples(4, graph.sample_len()), &Options::default());
        if operator == "Reciprocal" {
            continue;
        }
        let error = error.unwrap_err().to_string();
        assert!(error.contains("`f` is not finite"), "{operator}: {error}");
    }
}

#[test]
fn powers() {
    for exponent in ["two", "half", "cube"] {
        check(positive("Pow", &["p", exponent]), 4.0);
    }
    let endless = positive("Pow", &["p", "endless"]).floats("endless", &[1], vec![f32::INFINITY]);
    let error = read(&endless.bytes(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("node_f") && error.contains("exponent = inf; supported: finite numbers"), "{error}");
}

#[test]
fn slopes_of_channels() {
    let prelu = |slopes: Vec<f32>, dims: &[i64]| {
        let onnx = Onnx::new(&[0, 3, 6, 5], &[0, 10])
            .floats("w", &[10, 3, 3, 3], weights(1, 270, 0.6))
            .floats("slopes", dims, slopes)
            .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
            .node("PRelu", &["c", "slopes"], "f", vec![]);
        pooled(onnx, "f")
    };
    let small = weights(5, 10, 0.9);
    let large: Vec<f32> = small.iter().map(|s| s + 2.0).collect();
    let mixed: Vec<f32> = small.iter().map(|s| s + 0.8).collect();
    let cases: [(Vec<f32>, &[i64], &[&str]); 5] = [
        (vec![0.25], &[1], &["conv", "lookup", "pool"]),
        (vec![0.25; 10], &[10, 1, 1], &["conv", "lookup", "pool"]),
        (small, &[10, 1, 1], &["conv", "depthwise", "add", "pool"]),
        (large, &[1, 10, 1, 1], &["conv", "depthwise", "add", "pool"]),
        (mixed, &[10, 1, 1], &["conv", "lookup", "lookup", "depthwise", "add", "pool"]),
    ];
    for (slopes, dims, wanted) in cases {
        let converted = check(prelu(slopes.clone(), dims), 4.0);
        assert_eq!(steps(&converted), wanted, "{slopes:?}");
    }
    // One for each value of the map.
    check(prelu(weights(6, 300, 0.8), &[10, 6, 5]), 4.0);
    let error = read(&prelu(weights(6, 20, 0.8), &[20, 1, 1]).bytes(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("node_f") && error.contains("[20, 1, 1] for [1, 10, 6, 5]"), "{error}");
}

/// The result lies where the operand lay, unless somebody else reads that.
#[test]
fn the_operand_is_overwritten_if_nobody_else_reads_it() {
    let once = check(between("Tanh", vec![]), 4.0);
    let twice = Onnx::new(&[0, 3, 6, 5], &[0, 10])
        .floats("w", &[10, 3, 3, 3], weights(1, 270, 0.6))
        .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .node("Tanh", &["c"], "f", vec![])
        .floats("v", &[10, 10, 1, 1], weights(3, 100, 0.4))
        .node("Conv", &["c", "v"], "d", vec![])
        .node("Mul", &["f", "d"], "s", vec![]);
    let twice = check(pooled(twice, "s"), 4.0);
    let places = |converted: &escarp_converter::Converted| {
        let model = Model::parse(&converted.file).unwrap();
        let lookup = model.steps().find(|s| s.name() == "lookup").unwrap();
        let at = |id| model.tensor(id).unwrap().offset;
        (at(lookup.reads().inputs[0].unwrap()), at(lookup.output()))
    };
    let ((a, b), (c, d)) = (places(&once), places(&twice));
    assert_eq!(a, b);
    assert_ne!(c, d);
}

/// Limits go into the table; a Sigmoid at the end is still taken off, a Tanh there is executed.
#[test]
fn what_follows_and_what_ends() {
    let onnx = Onnx::new(&[0, 8], &[0, 6])
        .floats("w", &[8, 6], weights(4, 48, 0.8))
        .node("MatMul", &["x", "w"], "m", vec![])
        .node("Elu", &["m"], "e", vec![])
        .node("Relu", &["e"], "r", vec![])
        .node("Tanh", &["r"], "y", vec![]);
    let converted = check(onnx, 4.0);
    assert_eq!(steps(&converted), ["linear", "lookup"], "{}", converted.graph);
    assert_eq!(Model::parse(&converted.file).unwrap().meaning(), Meaning::Plain);
    let onnx = Onnx::new(&[0, 8], &[0, 6])
        .floats("w", &[8, 6], weights(4, 48, 0.8))
        .node("MatMul", &["x", "w"], "m", vec![])
        .node("Sigmoid", &["m"], "y", vec![]);
    let graph = read(&onnx.bytes(), &Options::default()).unwrap();
    assert_eq!((graph.nodes.len(), graph.outputs[0].meaning), (1, Meaning::Sigmoid));
}

fn ending(nodes: &[(&str, &str, &str)], outputs: i64) -> Onnx {
    let onnx = Onnx::new(&[0, 8], &[0, outputs])
        .floats("w", &[8, outputs], weights(4, 8 * outputs as usize, 0.8))
        .node("MatMul", &["x", "w"], "m", vec![]);
    nodes.iter().fold(onnx, |onnx, (operator, from, to)| onnx.node(operator, &[from], to, vec![]))
}

/// A conversion, and on how many of 40 samples float and int8 decide alike.
fn decided(onnx: Onnx) -> (Converted, usize) {
    let bytes = onnx.bytes();
    let samples = Numbers::new(11).samples(40, 8);
    let converted = convert(&bytes, &samples, &Options::default()).unwrap();
    let float = float_runner(&bytes, &converted.graph).unwrap();
    let picks: Vec<usize> = (0..40).collect();
    let scores = measure(&converted.file, &float, &samples, &picks, Cpu::PORTABLE, &|| {}).unwrap();
    (converted, scores.agree)
}

/// Exporters put nodes behind the last nonlinearity that change no value: it is the last one all the same, and a single
/// output is decided as it is without them.
#[test]
fn views_behind_the_last_nonlinearity_change_nothing() {
    // The softmax of a single output is 1, whatever that is.
    for (outputs, operators) in [(1, &["Sigmoid"][..]), (6, &["Sigmoid", "Softmax"])] {
        for &operator in operators {
            let (bare, agree) = decided(ending(&[(operator, "m", "y")], outputs));
            assert!(agree >= 39, "{operator}: {agree} of 40");
            for view in ["Flatten", "Identity"] {
                let (viewed, same) = decided(ending(&[(operator, "m", "s"), (view, "s", "y")], outputs));
                assert_eq!(same, agree, "{operator}, {view}");
                assert_eq!(viewed.graph.outputs[0].meaning, bare.graph.outputs[0].meaning, "{operator}, {view}");
                assert_eq!(viewed.graph.nodes.len(), 1, "{}", viewed.graph);
                assert!(viewed.notes.iter().any(|note| note.contains(operator)), "{:?}", viewed.notes);
            }
        }
    }
    let (hard, agree) = decided(ending(&[("HardSigmoid", "m", "y")], 1));
    assert_eq!(Model::parse(&hard.file).unwrap().meaning(), Meaning::Probabilities);
    assert!(agree >= 38, "one half decides: {agree} of 40");
}

/// Inside the graph a sigmoid is a function.
#[test]
fn inside_the_graph_nothing_is_taken_off() {
    let inside = check(ending(&[("Sigmoid", "m", "s"), ("Tanh", "s", "y")], 6), 4.0);
    assert_eq!((inside.graph.nodes.len(), inside.graph.outputs[0].meaning), (2, Meaning::Plain));
}

/// Limits that nothing before them can take are a step of their own.
#[test]
fn limits_alone_are_a_table() {
    let onnx = Onnx::new(&[0, 3, 6, 5], &[0, 10])
        .node("Relu", &["x"], "r", vec![])
        .floats("w", &[10, 3, 3, 3], weights(1, 270, 0.6))
        .node("Conv", &["r", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .node("Relu", &["c"], "f", vec![])
        .floats("v", &[10, 10, 1, 1], weights(3, 100, 0.4))
        .node("Conv", &["c", "v"], "d", vec![])
        .node("Mul", &["f", "d"], "s", vec![]);
    let converted = check(pooled(onnx, "s"), 4.0);
    assert_eq!(steps(&converted), ["lookup", "conv", "lookup", "conv", "mul", "pool"]);
}

#[test]
fn wrong_numbers_are_refused() {
    let error = read(&between("LeakyRelu", vec![float("alpha", f32::NAN)]).bytes(), &Options::default()).unwrap_err();
    assert!(error.to_string().contains("alpha") && error.to_string().contains("node_f"), "{error}");
    let error = read(&between("Tanh", vec![float("alpha", 1.0)]).bytes(), &Options::default()).unwrap_err();
    assert!(error.to_string().contains("alpha"), "{error}");
}
