//! Values that change places: as views where they can, moved where they must.

mod build;
mod compare;

use build::{Onnx, int, ints, text};
use compare::{check, weights};
use escarp_converter::{Converted, Options, eval::Evaluator, read};
use escarp_runtime::Model;

fn steps(converted: &Converted) -> Vec<&'static str> {
    Model::parse(&converted.file).unwrap().steps().map(|s| s.name()).collect()
}

/// `a` is a map of 12 channels of 6 x 5.
fn map() -> Onnx {
    Onnx::open(&[1, 3, 6, 5])
        .floats("w", &[12, 3, 3, 3], weights(1, 324, 0.4))
        .node("Conv", &["x", "w"], "a", vec![ints("pads", &[1, 1, 1, 1])])
        .floats("v", &[8, 12, 1, 1], weights(2, 96, 0.4))
}

#[test]
fn shuffled_channels() {
    let onnx = map()
        .ints("cut", &[1, 3, 4, 6, 5])
        .ints("whole", &[1, 12, 6, 5])
        .node("Reshape", &["a", "cut"], "r", vec![])
        .node("Transpose", &["r"], "t", vec![ints("perm", &[0, 2, 1, 3, 4])])
        .node("Reshape", &["t", "whole"], "s", vec![])
        .node("Conv", &["s", "v"], "y", vec![]);
    assert_eq!(steps(&check(onnx, 2.0)), ["conv", "conv"], "the weights change places, not the values");
}

#[test]
fn parts_are_read_and_joined_again() {
    let onnx = map().node("Split", &["a"], "p,q,r", vec![int("axis", 1)]).node(
        "Concat",
        &["r", "p", "q", "p"],
        "y",
        vec![int("axis", 1)],
    );
    assert_eq!(steps(&check(onnx, 3.0)), ["conv", "copy", "copy", "copy", "copy"]);
    for axis in [2, 3, -1] {
        let onnx = map()
            .node("Relu", &["a"], "b", vec![])
            .node("Conv", &["b", "v"], "c", vec![])
            .node("Conv", &["a", "v"], "d", vec![])
            .node("Concat", &["c", "d"], "y", vec![int("axis", axis)]);
        check(onnx, 2.0);
    }
}

#[test]
fn slices_forwards_and_backwards() {
    for (starts, ends, axes, strides) in [
        (vec![1, 0], vec![5, 4], vec![2, 3], vec![1, 1]),
        (vec![-1], vec![-100], vec![1], vec![-2]),
        (vec![0, 1], vec![1000, -1], vec![1, -1], vec![3, 2]),
    ] {
        let onnx = map()
            .ints("starts", &starts)
            .ints("ends", &ends)
            .ints("axes", &axes)
            .ints("strides", &strides)
            .node("Slice", &["a", "starts", "ends", "axes", "strides"], "s", vec![])
            .node("Relu", &["s"], "y", vec![]);
        check(onnx, 3.0);
    }
}

#[test]
fn gathered_positions() {
    for (indices, axis) in [(vec![3, 4, 5], 1), (vec![11, 0, 5, 5, 7], 1), (vec![4, 2, 0], 3), (vec![-1, 1], 2)] {
        let onnx = map().ints("i", &indices).node("Gather", &["a", "i"], "y", vec![int("axis", axis)]);
        check(onnx, 3.0);
    }
    let onnx = map().scalar("i", 2).node("Gather", &["a", "i"], "y", vec![int("axis", 1)]);
    check(onnx, 3.0);
}

#[test]
fn padded_every_way() {
    for (mode, pads) in [
        ("constant", [0, 0, 1, 2, 0, 0, 3, 0]),
        ("constant", [0, 2, 0, 0, 0, 1, 0, 0]),
        ("reflect", [0, 0, 2, 3, 0, 0, 1, 4]),
        ("edge", [0, 1, 2, 0, 0, 0, 3, 1]),
    ] {
        // tract takes any Pad with a value for a constant one.
        let inputs = ["a", "pads", "value"];
        let inputs = if mode == "constant" { &inputs[..] } else { &inputs[..2] };
        let onnx = map().ints("pads", &pads).floats("value", &[], vec![0.75]);
        check(onnx.node("Pad", inputs, "y", vec![text("mode", mode)]), 3.0);
    }
}

/// Pads below 0 cut: tract cannot say, so they are held against a Slice.
#[test]
fn pads_below_0_are_slices() {
    let run = |onnx: Onnx| {
        let graph = read(&onnx.bytes(), &Options::default()).unwrap();
        let sample = weights(6, graph.sample_len(), 1.0);
        Evaluator::new(&graph).run(&sample, |_, _| {}).to_vec()
    };
    let padded = map().ints("pads", &[0, 0, 1, -1, 0, 0, 0, -2]).node("Pad", &["a", "pads"], "y", vec![]);
    let sliced = map()
        .ints("starts", &[1])
        .ints("ends", &[3])
        .ints("axes", &[3])
        .node("Slice", &["a", "starts", "ends", "axes"], "s", vec![])
        .ints("pads", &[0, 0, 1, 0, 0, 0, 0, 0])
        .node("Pad", &["s", "pads"], "y", vec![]);
    assert_eq!(run(padded), run(sliced));
}

#[test]
fn pixels_and_channels_change_places() {
    for mode in ["DCR", "CRD"] {
        let onnx = map().node("DepthToSpace", &["a"], "y", vec![int("blocksize", 2), text("mode", mode)]);
        assert_eq!(steps(&check(onnx, 3.0)), ["conv"], "an output may be arranged in any way");
        let onnx = map()
            .node("DepthToSpace", &["a"], "d", vec![int("blocksize", 2), text("mode", mode)])
            .floats("u", &[5, 3, 3, 3], weights(8, 135, 0.3))
            .node("Conv", &["d", "u"], "y", vec![]);
        assert_eq!(steps(&check(onnx, 2.0)), ["conv", "copy", "conv"]);
    }
    let onnx = Onnx::open(&[1, 3, 6, 8])
        .node("SpaceToDepth", &["x"], "d", vec![int("blocksize", 2)])
        .floats("v", &[8, 12, 1, 1], weights(2, 96, 0.4))
        .node("Conv", &["d", "v"], "y", vec![]);
    check(onnx, 2.0);
}

/// Cuts that go through no axis evenly: 6 x 5 pixels as 10 x 3.
#[test]
fn reshapes_that_need_another_arrangement() {
    for (lengths, perm) in [(vec![1, 12, 10, 3], None), (vec![1, 9, 40], None), (vec![1, 5, 72], Some([0, 2, 3, 1]))] {
        let mut onnx = map();
        let mut from = "a";
        if let Some(perm) = perm {
            onnx = onnx.node("Transpose", &["a"], "t", vec![ints("perm", &perm)]);
            from = "t";
        }
        let onnx =
            onnx.ints("to", &lengths).node("Reshape", &[from, "to"], "r", vec![]).node("Relu", &["r"], "y", vec![]);
        check(onnx, 3.0);
    }
}

/// As detectors end: maps of several sizes, channels last, cut into boxes and joined.
#[test]
fn boxes_of_several_maps_are_joined() {
    let onnx = map()
        .floats("k", &[8, 12, 3, 3], weights(5, 864, 0.1))
        .node("Conv", &["a", "v"], "p", vec![])
        .node("Conv", &["a", "k"], "q", vec![ints("strides", &[2, 2])])
        .node("Transpose", &["p"], "pt", vec![ints("perm", &[0, 2, 3, 1])])
        .node("Transpose", &["q"], "qt", vec![ints("perm", &[0, 2, 3, 1])])
        .ints("boxes", &[1, -1, 4])
        .node("Reshape", &["pt", "boxes"], "pr", vec![])
        .node("Reshape", &["qt", "boxes"], "qr", vec![])
        .node("Concat", &["pr", "qr"], "y", vec![int("axis", 1)]);
    check(onnx, 2.0);
}

#[test]
fn expanded_operands() {
    let onnx = map()
        .node("GlobalAveragePool", &["a"], "p", vec![])
        .ints("to", &[1, 12, 6, 5])
        .node("Expand", &["p", "to"], "e", vec![])
        .node("Add", &["a", "e"], "y", vec![]);
    check(onnx, 3.0);
}

#[test]
fn what_does_not_fit_is_refused() {
    let error = |onnx: Onnx| read(&onnx.bytes(), &Options::default()).unwrap_err().to_string();
    let message = error(map().ints("i", &[12]).node("Gather", &["a", "i"], "y", vec![int("axis", 1)]));
    assert!(message.contains("indices = 12; supported: -12..12"), "{message}");
    let message = error(map().node("Split", &["a"], "y,z", vec![int("axis", 1), ints("split", &[5, 6])]));
    assert!(message.contains("[5, 6] of 12"), "{message}");
    let message =
        error(map().ints("p", &[0, 0, 6, 0, 0, 0, 0, 0]).node("Pad", &["a", "p"], "y", vec![text("mode", "reflect")]));
    assert!(message.contains("less than the length where it reflects"), "{message}");
    let message = error(map().node("Concat", &["a", "x"], "y", vec![int("axis", 2)]));
    assert!(message.contains("[1, 12, 6, 5] and [1, 3, 6, 5]"), "{message}");
}
