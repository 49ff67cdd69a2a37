//! Networks of several inputs and outputs.

mod build;
mod compare;

use build::{Onnx, int, ints};
use compare::{check, weights};
use escarp_converter::{Options, float_runner, read};
use escarp_runtime::{Meaning, Model};

fn two_inputs() -> Onnx {
    Onnx::open(&[1, 3, 6, 5])
        .input("u", &[1, 7])
        .floats("w", &[10, 3, 3, 3], weights(1, 270, 0.3))
        .floats("v", &[7, 10], weights(2, 70, 0.4))
        .node("Conv", &["x", "w"], "c", vec![])
        .node("GlobalAveragePool", &["c"], "p", vec![])
        .node("Flatten", &["p"], "f", vec![])
        .node("MatMul", &["u", "v"], "m", vec![])
        .node("Concat", &["f", "m"], "y", vec![int("axis", 1)])
}

#[test]
fn each_input_and_output_has_a_scale_of_its_own() {
    let converted = check(two_inputs().output("c").output("m"), 2.0);
    let model = Model::parse(&converted.file).unwrap();
    let names = |ports: escarp_runtime::Ports| ports.map(|p| p.name.to_owned()).collect::<Vec<_>>();
    assert_eq!(
        (names(model.inputs()), names(model.outputs())),
        (vec!["x".into(), "u".into()], vec!["y".into(), "c".into(), "m".into()])
    );
    let scales: Vec<f32> = model.outputs().map(|p| p.tensor.scale).collect();
    assert!(scales[0] != scales[1] && scales[1] != scales[2], "{scales:?}");
}

/// What is an input, a part of a tensor, or another output as well is copied: an output is a tensor of its own.
#[test]
fn outputs_that_no_step_makes() {
    let onnx = Onnx::open(&[1, 6, 4, 4])
        .node("Relu", &["x"], "r", vec![])
        .node("Identity", &["r"], "same", vec![])
        .node("Split", &["r"], "p,q", vec![int("axis", 1)])
        .node("Transpose", &["x"], "y", vec![ints("perm", &[0, 2, 3, 1])])
        .output("r")
        .output("same")
        .output("q");
    let converted = check(onnx, 2.0);
    let model = Model::parse(&converted.file).unwrap();
    assert_eq!(model.steps().map(|s| s.name()).collect::<Vec<_>>(), ["lookup", "copy", "copy", "copy"]);
}

/// Of several outputs none decides alone, so what a reader would have to undo is done.
#[test]
fn sigmoids_of_several_outputs_are_executed() {
    let onnx = Onnx::open(&[1, 6]).node("Sigmoid", &["x"], "y", vec![]).node("Relu", &["x"], "z", vec![]).output("z");
    let converted = check(onnx, 2.0);
    let model = Model::parse(&converted.file).unwrap();
    let meanings: Vec<Meaning> = model.outputs().map(|p| p.meaning).collect();
    assert_eq!(meanings, [Meaning::Probabilities, Meaning::Plain]);
}

#[test]
fn a_map_is_an_output() {
    let onnx = Onnx::open(&[1, 3, 6, 5])
        .floats("w", &[4, 3, 1, 1], weights(1, 12, 0.3))
        .node("Conv", &["x", "w"], "c", vec![])
        .node("Sigmoid", &["c"], "y", vec![]);
    let converted = check(onnx, 2.0);
    assert_eq!(converted.graph.outputs[0].view.lengths(), [1, 4, 6, 5]);
    assert_eq!(converted.graph.outputs[0].meaning, Meaning::Probabilities);
}

#[test]
fn too_many_are_refused() {
    let mut onnx = Onnx::open(&[1, 6]).node("Relu", &["x"], "y", vec![]);
    for i in 0..32 {
        onnx = onnx.node("Relu", &["x"], &format!("y{i}"), vec![]).output(&format!("y{i}"));
    }
    let error = read(&onnx.bytes(), &Options::default()).unwrap_err().to_string();
    assert_eq!(error, "model: 33 outputs; allowed: 1 to 32");
}

/// Our trainer writes scores and says beside the network that they are logits: nothing was taken off, and both readings agree.
#[test]
fn scores_that_are_told_to_be_logits_are_compared_as_they_are() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/images.onnx");
    let onnx = std::fs::read(file).unwrap();
    let graph = read(&onnx, &Options::default()).unwrap();
    assert_eq!((graph.outputs[0].meaning, graph.outputs[0].taken), (Meaning::Softmax, Meaning::Plain));
    assert_eq!(float_runner(&onnx, &graph).unwrap().doubt(), None);
}
