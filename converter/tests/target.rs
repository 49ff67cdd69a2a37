//! As near to the float network as was asked: activations of 16 bits, and weights of two terms, chosen until it is so.

mod build;
mod compare;

use build::{Onnx, int, ints};
use compare::{exact_samples, weights};
use escarp_converter::{Converted, Error, Options, convert, float_runner, measure::measure, read, wide::Target};
use escarp_runtime::{Cpu, Dtype};

/// A chain of convolutions with a residual sum; `classes` for a vector at the end.
fn net(classes: bool) -> Onnx {
    let pads = || vec![ints("pads", &[1, 1, 1, 1])];
    let onnx = Onnx::open(&[1, 3, 8, 8])
        .floats("w1", &[8, 3, 3, 3], weights(1, 216, 0.4))
        .node("Conv", &["x", "w1"], "c1", pads())
        .node("Relu", &["c1"], "r1", vec![])
        .floats("w2", &[8, 8, 3, 3], weights(2, 576, 0.2))
        .node("Conv", &["r1", "w2"], "c2", pads())
        .floats("w3", &[8, 8, 1, 1], weights(3, 64, 0.4))
        .node("Conv", &["r1", "w3"], "c3", vec![])
        .node("Add", &["c2", "c3"], "s", vec![])
        .node("Relu", &["s"], "r2", vec![])
        .floats("w4", &[5, 8, 3, 3], weights(4, 360, 0.2));
    match classes {
        false => onnx.node("Conv", &["r2", "w4"], "y", pads()),
        true => onnx.node("Conv", &["r2", "w4"], "c4", pads()).node("GlobalAveragePool", &["c4"], "p", vec![]).node(
            "Flatten",
            &["p"],
            "y",
            vec![int("axis", 1)],
        ),
    }
}

fn converted(onnx: &[u8], target: Option<Target>) -> Result<Converted, Error> {
    let options = Options { target, cpu: Cpu::PORTABLE, ..Options::default() };
    let graph = read(onnx, &options)?;
    convert(onnx, &exact_samples(graph.sample_len()), &options)
}

/// Worst output in decibels, measured as the report does.
fn decibels(onnx: &[u8], converted: &Converted) -> f64 {
    let float = float_runner(onnx, &converted.graph).unwrap();
    let samples = exact_samples(converted.graph.sample_len());
    let picks: Vec<usize> = (0..24).collect();
    let scores = measure(&converted.file, &float, &samples, &picks, Cpu::PORTABLE, &|| {}).unwrap();
    scores.outputs.iter().map(|o| o.snr_db).fold(f64::INFINITY, f64::min)
}

fn wide(converted: &Converted) -> usize {
    let graph = &converted.plan.graph;
    graph.nodes.iter().filter(|n| graph.tensors[n.output].dtype == Dtype::I16).count()
}

#[test]
fn what_is_asked_is_reached_with_no_more_than_it_takes() {
    let onnx = net(false).bytes();
    let before = decibels(&onnx, &converted(&onnx, None).unwrap());
    let mut steps = vec![];
    for asked in [before.floor() - 1.0, before.floor() + 3.0, 55.0] {
        let converted = converted(&onnx, Some(Target::Snr(asked))).unwrap();
        let found = decibels(&onnx, &converted);
        assert!(found >= asked - 0.01, "{found} of {asked}");
        let choice = converted.choice.as_ref().unwrap();
        assert_eq!(choice.wide.len(), wide(&converted), "{:?}", choice.wide);
        assert!(converted.notes.iter().any(|n| n.starts_with("reached ")), "{:?}", converted.notes);
        steps.push((wide(&converted), choice.fine.len()));
    }
    assert_eq!(steps[0], (0, 0), "8 bits will do");
    assert!(steps[1] > steps[0] && steps[2] > steps[1] && steps[2].1 > 0, "{steps:?}");
}

#[test]
fn the_same_every_time() {
    let onnx = net(false).bytes();
    let file = || converted(&onnx, Some(Target::Snr(50.0))).unwrap().file;
    assert_eq!(file(), file());
}

#[test]
fn classes_agree() {
    let onnx = net(true).bytes();
    let converted = converted(&onnx, Some(Target::Agree(100.0))).unwrap();
    assert!(converted.notes.iter().any(|n| n.contains("100.00 % of 100 the same top-1")), "{:?}", converted.notes);
}

#[test]
fn what_cannot_be_reached_is_said() {
    let onnx = net(false).bytes();
    let error = converted(&onnx, Some(Target::Snr(89.0))).unwrap_err().to_string();
    assert!(error.contains(" dB of 89 (output `y`) reached with all") && error.contains("8 bits only"), "{error}");
    let error = converted(&onnx, Some(Target::Agree(99.0))).unwrap_err().to_string();
    assert!(error.contains("no") && error.contains("give --snr DB"), "{error}");
}
