//! Functions by table: LeakyRelu, Elu, Sigmoid, Tanh, HardSigmoid, HardSwish, inside the graph.

mod build;
mod compare;

use build::{Numbers, Onnx, attribute, ints};
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
    ];
    for (operator, attributes) in cases {
        let converted = check(between(operator, attributes), 4.0);
        let steps = Model::parse(&converted.file).unwrap().steps().map(|s| s.name()).collect::<Vec<_>>();
        assert_eq!(steps, ["conv", "lookup", "conv", "pool"], "{operator}");
        assert!(converted.graph.to_string().contains(operator), "{}", converted.graph);
    }
}

/// The result lies where the operand lay, unless somebody else reads that.
#[test]
fn the_operand_is_overwritten_if_nobody_else_reads_it() {
    let once = check(between("Tanh", vec![]), 4.0);
    let twice = Onnx::new(&[0, 3, 6, 5], &[0, 10])
        .floats("w", &[10, 3, 3, 3], weights(1, 270, 0.6))
        .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .node("Tanh", &["c"], "f", vec![])
        .node("Add", &["f", "c"], "s", vec![]);
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
    assert_eq!(converted.graph.nodes.len(), 3, "{}", converted.graph);
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

/// Inside the graph a sigmoid is a function and a softmax is refused where it stands.
#[test]
fn inside_the_graph_nothing_is_taken_off() {
    let inside = check(ending(&[("Sigmoid", "m", "s"), ("Tanh", "s", "y")], 6), 4.0);
    assert_eq!((inside.graph.nodes.len(), inside.graph.outputs[0].meaning), (3, Meaning::Plain));
    let onnx = ending(&[("Softmax", "m", "node"), ("Tanh", "node", "y")], 6);
    let error = read(&onnx.bytes(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("node_node") && error.contains("last node"), "{error}");
}

/// Limits that nothing before them can take are a step of their own.
#[test]
fn limits_alone_are_a_table() {
    let onnx = Onnx::new(&[0, 3, 6, 5], &[0, 10])
        .node("Relu", &["x"], "r", vec![])
        .floats("w", &[10, 3, 3, 3], weights(1, 270, 0.6))
        .node("Conv", &["r", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .node("Relu", &["c"], "f", vec![])
        .node("Add", &["f", "c"], "s", vec![]);
    let converted = check(pooled(onnx, "s"), 4.0);
    let steps = Model::parse(&converted.file).unwrap().steps().map(|s| s.name()).collect::<Vec<_>>();
    assert_eq!(steps, ["lookup", "conv", "lookup", "add", "pool"]);
}

#[test]
fn wrong_numbers_are_refused() {
    let error = read(&between("LeakyRelu", vec![float("alpha", f32::NAN)]).bytes(), &Options::default()).unwrap_err();
    assert!(error.to_string().contains("alpha") && error.to_string().contains("node_f"), "{error}");
    let error = read(&between("Tanh", vec![float("alpha", 1.0)]).bytes(), &Options::default()).unwrap_err();
    assert!(error.to_string().contains("alpha"), "{error}");
}
