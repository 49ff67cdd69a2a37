//! Every form of convolution: groups, depthwise, dilated, padded unevenly, of one dimension, transposed.

mod build;
mod compare;

use build::{Onnx, int, ints, text};
use compare::{check, defined, weights};
use escarp_converter::{Converted, Options, read};
use escarp_runtime::Model;

fn steps(converted: &Converted) -> Vec<&'static str> {
    Model::parse(&converted.file).unwrap().steps().map(|s| s.name()).collect()
}

/// A convolution of 12 x 7 x 9 maps of `channels`, weights `[out, in / group, ...]`.
fn conv(channels: i64, weight: &[i64], attributes: Vec<tract_onnx::pb::AttributeProto>) -> Onnx {
    let n = weight.iter().product::<i64>() as usize;
    let depth = n as f32 / weight[0] as f32;
    Onnx::open(&[1, channels, 7, 9])
        .floats("w", weight, weights(3, n, 1.0 / depth.sqrt()))
        .floats("b", &weight[..1], weights(4, weight[0] as usize, 0.5))
        .node("Conv", &["x", "w", "b"], "y", attributes)
}

#[test]
fn depthwise() {
    for (channels, kernel, pads, strides, dilations) in [
        (8, [3, 3], [1, 1, 1, 1], [1, 1], [1, 1]),
        (20, [3, 3], [0, 0, 1, 1], [2, 2], [1, 1]),
        (9, [5, 1], [2, 0, 1, 0], [1, 2], [1, 1]),
        (33, [1, 3], [0, 2, 0, 2], [1, 1], [1, 2]),
        (64, [4, 2], [0, 0, 0, 0], [1, 1], [2, 3]),
    ] {
        let attributes =
            vec![int("group", channels), ints("pads", &pads), ints("strides", &strides), ints("dilations", &dilations)];
        let converted = check(conv(channels, &[channels, 1, kernel[0], kernel[1]], attributes), 2.0);
        assert_eq!(steps(&converted), ["depthwise"]);
    }
}

#[test]
fn groups_of_any_size() {
    for (channels, out, group) in
        [(8, 8, 2), (16, 32, 4), (6, 9, 3), (10, 20, 10), (24, 12, 3), (14, 4, 2), (40, 40, 5)]
    {
        let attributes = vec![int("group", group), ints("pads", &[1, 1, 1, 1]), int("unused", 0)];
        let attributes = attributes.into_iter().filter(|a| a.name != "unused").collect();
        let converted = check(conv(channels, &[out, channels / group, 3, 3], attributes), 2.0);
        assert_eq!(steps(&converted), ["conv"], "{channels} to {out} in {group} groups");
    }
}

/// What follows a depthwise convolution goes into it, as into any other.
#[test]
fn depthwise_takes_up_scales_and_limits() {
    let onnx = Onnx::open(&[1, 12, 7, 9])
        .floats("w", &[12, 1, 3, 3], weights(3, 108, 0.4))
        .floats("s", &[1, 12, 1, 1], weights(5, 12, 1.5))
        .node("Conv", &["x", "w"], "c", vec![int("group", 12)])
        .node("Mul", &["c", "s"], "m", vec![])
        .node("Add", &["m", "s"], "a", vec![])
        .node("Relu", &["a"], "y", vec![]);
    assert_eq!(steps(&check(onnx, 2.0)), ["depthwise"]);
}

/// A sum with something that is there already is written in place by a convolution in groups too.
#[test]
fn groups_with_a_residual() {
    let onnx = Onnx::open(&[1, 16, 5, 5])
        .floats("w", &[16, 4, 3, 3], weights(3, 576, 0.15))
        .floats("v", &[16, 16, 1, 1], weights(4, 256, 0.2))
        .node("Conv", &["x", "v"], "a", vec![])
        .node("Conv", &["a", "v"], "b", vec![])
        .node("Conv", &["b", "w"], "c", vec![int("group", 4), ints("pads", &[1; 4])])
        .node("Add", &["a", "c"], "y", vec![]);
    assert_eq!(steps(&check(onnx, 3.0)), ["conv", "conv", "conv"]);
}

#[test]
fn one_dimension() {
    for (group, per_group) in [(1, 6), (6, 1), (2, 3)] {
        let n = (12 * per_group * 5) as usize;
        let out = if group == 6 { 6 } else { 12 };
        let onnx = Onnx::open(&[1, 6, 30])
            .floats("w", &[out, per_group, 5], weights(3, n * out as usize / 12, 0.3))
            .node("Conv", &["x", "w"], "c", vec![int("group", group), ints("pads", &[3, 1]), ints("strides", &[2])])
            .node("Relu", &["c"], "r", vec![])
            .node("MaxPool", &["r"], "y", vec![ints("kernel_shape", &[2]), ints("strides", &[2])]);
        let converted = check(onnx, 2.0);
        assert_eq!(converted.graph.inputs[0].view.lengths(), [1, 6, 30]);
    }
}

#[test]
fn same_padding_is_uneven() {
    for auto in ["SAME_UPPER", "SAME_LOWER", "VALID"] {
        for group in [1, 8] {
            let weight = [8, 8 / group, 4, 3];
            check(conv(8, &weight, vec![text("auto_pad", auto), ints("strides", &[2, 2]), int("group", group)]), 2.0);
        }
    }
}

#[test]
fn transposed() {
    for (weight, group, strides, pads, extra, dilations) in [
        ([8, 6, 3, 3], 1, [2, 2], [1, 1, 1, 1], [1, 1], [1, 1]),
        ([8, 6, 2, 2], 1, [2, 2], [0, 0, 0, 0], [0, 0], [1, 1]),
        ([8, 1, 4, 4], 8, [2, 2], [1, 1, 1, 1], [0, 0], [1, 1]),
        ([8, 3, 3, 2], 2, [1, 3], [0, 1, 2, 0], [0, 2], [1, 1]),
        ([8, 5, 2, 3], 1, [3, 1], [2, 0, 1, 1], [1, 0], [2, 1]),
    ] {
        let n = weight.iter().product::<i64>() as usize;
        let onnx = Onnx::open(&[1, 8, 5, 4])
            .floats("w", &weight, weights(3, n, 0.3))
            .floats("b", &[weight[1] * group], weights(4, (weight[1] * group) as usize, 0.5))
            .node(
                "ConvTranspose",
                &["x", "w", "b"],
                "y",
                vec![
                    int("group", group),
                    ints("strides", &strides),
                    ints("pads", &pads),
                    ints("output_padding", &extra),
                    ints("dilations", &dilations),
                ],
            );
        check(onnx, 2.0);
    }
}

/// ConvTranspose of `[batch, channels, depth, height, width]` by its definition, in one group, without bias.
fn spread(
    x: &[f32],
    w: &[f32],
    [ins, outs]: [usize; 2],
    [size, kernel, stride, before, out]: [[usize; 3]; 5],
) -> Vec<f32> {
    let at = |i: usize, [_, b, c]: [usize; 3]| [i / (b * c), i / c % b, i % c];
    let place = |[a, b, c]: [usize; 3], [_, h, w]: [usize; 3]| (a * h + b) * w + c;
    let [all, taps, made] = [size, kernel, out].map(|s| s.iter().product::<usize>());
    let mut y = vec![0.0; x.len() / (ins * all) * outs * made];
    for (i, value) in x.iter().enumerate() {
        let (batch, channel, from) = (i / (ins * all), i / all % ins, at(i % all, size));
        for (o, tap) in (0..outs).flat_map(|o| (0..taps).map(move |tap| (o, tap))) {
            let k = at(tap, kernel);
            let to: Vec<usize> = (0..3)
                .filter_map(|d| (from[d] * stride[d] + k[d]).checked_sub(before[d]).filter(|&p| p < out[d]))
                .collect();
            if let &[a, b, c] = &to[..] {
                y[(batch * outs + o) * made + place([a, b, c], out)] += value * w[(channel * outs + o) * taps + tap];
            }
        }
    }
    y
}

#[test]
fn transposed_of_several_maps_and_of_volumes() {
    let w = weights(5, 2 * 3 * 9, 0.4);
    let onnx = Onnx::open(&[3, 2, 4, 5]).floats("w", &[2, 3, 3, 3], w.clone()).node(
        "ConvTranspose",
        &["x", "w"],
        "y",
        vec![ints("strides", &[2, 2]), ints("pads", &[1, 0, 0, 1])],
    );
    defined(onnx, 2.0, |inputs| {
        let all = [[1, 4, 5], [1, 3, 3], [1, 2, 2], [0, 1, 0], [1, 8, 10]];
        spread(&inputs[0], &w, [2, 3], all)
    });
    // More than the whole: nothing of the input is behind it.
    let onnx = Onnx::open(&[1, 2, 4, 5]).floats("w", &[2, 3, 3, 3], w.clone()).node(
        "ConvTranspose",
        &["x", "w"],
        "y",
        vec![ints("strides", &[2, 2]), ints("output_shape", &[11, 10])],
    );
    defined(onnx, 2.0, |inputs| {
        let all = [[1, 4, 5], [1, 3, 3], [1, 2, 2], [0, 0, 1], [1, 11, 10]];
        spread(&inputs[0], &w, [2, 3], all)
    });
    let w = weights(6, 2 * 3 * 18, 0.4);
    let onnx = Onnx::open(&[1, 2, 3, 4, 5]).floats("w", &[2, 3, 2, 3, 3], w.clone()).node(
        "ConvTranspose",
        &["x", "w"],
        "y",
        vec![ints("strides", &[2, 1, 2]), ints("pads", &[0, 1, 0, 1, 0, 1]), ints("output_padding", &[1, 0, 0])],
    );
    defined(onnx, 2.0, |inputs| {
        let all = [[3, 4, 5], [2, 3, 3], [2, 1, 2], [0, 1, 0], [6, 5, 10]];
        spread(&inputs[0], &w, [2, 3], all)
    });
}

#[test]
fn groups_that_do_not_divide_are_refused() {
    let error = |onnx: Onnx| read(&onnx.bytes(), &Options::default()).unwrap_err().to_string();
    let message = error(conv(9, &[8, 3, 3, 3], vec![int("group", 4)]));
    assert!(message.contains("group = 4") && message.contains("divides 9 input channels"), "{message}");
    let message = error(conv(9, &[8, 3, 3, 3], vec![int("group", 3)]));
    assert!(message.contains("do not fit an input of 9 channels in 3 groups"), "{message}");
}
