//! ArgMax and ArgMin as outputs.

mod build;
mod compare;

use build::{Numbers, Onnx, int, ints};
use compare::weights;
use escarp_converter::{Options, convert, float_runner, measure::measure, read};
use escarp_runtime::{Cpu, Dtype, Model};

fn after(operator: &str, axis: i64, keep: i64) -> Onnx {
    Onnx::new(&[0, 3, 5, 4], &[0])
        .floats("w", &[6, 3, 3, 3], weights(1, 162, 1.5))
        .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .node(operator, &["c"], "y", vec![int("axis", axis), int("keepdims", keep)])
}

#[test]
fn the_largest_of_any_dimension() {
    for operator in ["ArgMax", "ArgMin"] {
        for axis in [1, 2, -1] {
            for keep in [0, 1] {
                let bytes = after(operator, axis, keep).bytes();
                let samples = Numbers::new(5).samples(40, 60);
                let converted = convert(&bytes, &samples, &Options::default()).unwrap();
                let output = Model::parse(&converted.file).unwrap().outputs().next().unwrap().tensor;
                assert_eq!((output.dtype, output.scale), (Dtype::I32, 1.0));
                let float = float_runner(&bytes, &converted.graph).unwrap();
                assert_eq!(float.doubt(), None);
                let picks: Vec<usize> = (0..40).collect();
                let scores = measure(&converted.file, &float, &samples, &picks, Cpu::PORTABLE, &|| {}).unwrap();
                let pairs = || scores.answers.iter().flat_map(|a| a.float.iter().zip(&a.int8));
                let (same, all) = (pairs().filter(|(a, b)| a == b).count(), pairs().count());
                assert!(same * 100 >= all * 95, "{operator} {axis} {keep}: {same} of {all}");
            }
        }
    }
}

#[test]
fn what_computes_with_it_is_refused() {
    let onnx = Onnx::new(&[0, 3, 5, 4], &[0]).node("ArgMax", &["x"], "a", vec![int("axis", 1)]).node(
        "Relu",
        &["a"],
        "y",
        vec![],
    );
    let error = read(&onnx.bytes(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("node_y") && error.contains("`node_a`") && error.contains("--outputs"), "{error}");
    let last = Onnx::new(&[0, 3, 5, 4], &[0]).node("ArgMax", &["x"], "y", vec![int("select_last_index", 1)]);
    let error = read(&last.bytes(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("select_last_index = 1"), "{error}");
}
