//! Pools with padding, rounded up, dilated; reductions.

mod build;
mod compare;

use build::{Onnx, int, ints, text};
use compare::{check, defined, weights};
use escarp_converter::{Converted, Options, read};
use escarp_runtime::Model;
use tract_onnx::pb::AttributeProto;

fn steps(converted: &Converted) -> Vec<&'static str> {
    Model::parse(&converted.file).unwrap().steps().map(|s| s.name()).collect()
}

/// A convolution of ten channels over a map of that size, and one node.
fn after(size: [i64; 2], operator: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> Onnx {
    Onnx::new(&[0, 3, size[0], size[1]], &[0])
        .floats("w", &[10, 3, 3, 3], weights(1, 270, 0.6))
        .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .node(operator, inputs, "y", attributes)
}

fn pool(operator: &str, attributes: Vec<AttributeProto>) -> Onnx {
    after([7, 6], operator, &["c"], attributes)
}

#[test]
fn windows_that_leave_the_map() {
    for operator in ["AveragePool", "MaxPool"] {
        for zeros in [0, 1] {
            for up in [0, 1] {
                for (kernel, strides, pads) in [
                    ([3, 3], [1, 1], [1, 1, 1, 1]),
                    ([3, 2], [2, 2], [1, 0, 1, 1]),
                    ([2, 2], [2, 2], [0, 0, 0, 0]),
                    ([3, 3], [2, 2], [0, 1, 2, 0]),
                    ([4, 3], [3, 2], [1, 1, 1, 1]),
                    ([3, 3], [3, 3], [2, 2, 2, 2]),
                    ([9, 9], [2, 2], [4, 4, 4, 4]),
                ] {
                    let mut all = vec![
                        ints("kernel_shape", &kernel),
                        ints("strides", &strides),
                        ints("pads", &pads),
                        int("ceil_mode", up),
                    ];
                    if operator == "AveragePool" {
                        all.push(int("count_include_pad", zeros));
                    }
                    check(pool(operator, all), 3.0);
                }
            }
        }
        for auto in ["SAME_UPPER", "SAME_LOWER", "VALID"] {
            let all = vec![ints("kernel_shape", &[4, 3]), ints("strides", &[2, 2]), text("auto_pad", auto)];
            check(pool(operator, all), 3.0);
        }
    }
}

#[test]
fn values_that_lie_apart() {
    let dilated = |operator: &str, pads: &[i64], dilations: &[i64], more: Vec<AttributeProto>| {
        let mut onnx = pool(
            operator,
            [vec![ints("kernel_shape", &[2, 3]), ints("pads", pads), ints("dilations", dilations)], more].concat(),
        );
        onnx.opset = 19;
        onnx
    };
    let strides = || vec![ints("strides", &[2, 1])];
    check(dilated("MaxPool", &[0, 0, 0, 0], &[2, 2], vec![]), 1.5);
    check(dilated("MaxPool", &[1, 1, 1, 1], &[2, 2], strides()), 1.5);
    check(dilated("MaxPool", &[1, 1, 1, 1], &[3, 1], vec![]), 1.5);
    check(dilated("AveragePool", &[0, 0, 0, 0], &[2, 2], strides()), 3.0);
    check(dilated("AveragePool", &[1, 1, 1, 1], &[2, 2], vec![int("count_include_pad", 1)]), 3.0);
}

/// A pool of three spatial dimensions by its definition; of two, the first is one.
struct Volume {
    kernel: [usize; 3],
    stride: [usize; 3],
    dilation: [usize; 3],
    /// Before and behind each.
    pads: [[usize; 2]; 3],
    zeros: bool,
}

impl Volume {
    fn out(&self, size: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|d| {
            let reach = (self.kernel[d] - 1) * self.dilation[d] + 1;
            (size[d] + self.pads[d][0] + self.pads[d][1] - reach) / self.stride[d] + 1
        })
    }

    fn at(&self, x: &[f32], size: [usize; 3], place: [usize; 3], average: bool) -> f32 {
        let (mut values, mut all) = (vec![], 0);
        for tap in 0..self.kernel.iter().product() {
            let tap =
                [tap / (self.kernel[1] * self.kernel[2]), tap / self.kernel[2] % self.kernel[1], tap % self.kernel[2]];
            let at: [Option<usize>; 3] = std::array::from_fn(|d| {
                let at = place[d] * self.stride[d] + tap[d] * self.dilation[d];
                at.checked_sub(self.pads[d][0]).filter(|&at| at < size[d])
            });
            all += 1;
            if let [Some(d), Some(h), Some(w)] = at {
                values.push(x[(d * size[1] + h) * size[2] + w]);
            }
        }
        match average {
            false => values.into_iter().fold(f32::NEG_INFINITY, f32::max),
            true => values.iter().sum::<f32>() / if self.zeros { all } else { values.len() } as f32,
        }
    }
}

#[test]
fn volumes() {
    let (channels, size) = (3, [4, 5, 6]);
    let pad = |n: usize| [[n, n], [0, n], [n, 0]];
    for (kernel, stride, dilation, pads) in [
        ([2, 2, 2], [1, 1, 1], [1, 1, 1], pad(0)),
        ([3, 2, 3], [2, 1, 2], [1, 1, 1], pad(1)),
        ([2, 2, 2], [1, 2, 1], [2, 2, 2], pad(0)),
        ([2, 3, 2], [1, 1, 2], [2, 1, 3], pad(1)),
    ] {
        for (operator, zeros) in [("MaxPool", 0), ("AveragePool", 0), ("AveragePool", 1)] {
            let of = |all: [usize; 3]| all.map(|n| n as i64);
            let padded = [0, 1].map(|end| [0, 1, 2].map(|d: usize| pads[d][end] as i64)).concat();
            let mut all = vec![
                ints("kernel_shape", &of(kernel)),
                ints("strides", &of(stride)),
                ints("dilations", &of(dilation)),
                ints("pads", &padded),
            ];
            if operator == "AveragePool" {
                all.push(int("count_include_pad", zeros));
            }
            let mut onnx = Onnx::open(&[1, 3, 4, 5, 6]).node(operator, &["x"], "y", all);
            onnx.opset = 19;
            let volume = Volume { kernel, stride, dilation, pads, zeros: zeros == 1 };
            defined(onnx, 3.0, |inputs| {
                let out = volume.out(size);
                let one = |c: usize, at: usize| {
                    let place = [at / (out[1] * out[2]), at / out[2] % out[1], at % out[2]];
                    volume.at(&inputs[0][c * 120..][..120], size, place, operator == "AveragePool")
                };
                (0..channels)
                    .flat_map(|c| (0..out.iter().product()).map(move |at| one(c, at)).collect::<Vec<_>>())
                    .collect()
            });
        }
    }
    for operator in ["GlobalMaxPool", "GlobalAveragePool"] {
        defined(Onnx::open(&[1, 3, 4, 5, 6]).node(operator, &["x"], "y", vec![]), 2.0, |inputs| {
            let of = |all: &[f32]| match operator {
                "GlobalMaxPool" => all.iter().copied().fold(f32::NEG_INFINITY, f32::max),
                _ => all.iter().sum::<f32>() / 120.0,
            };
            inputs[0].chunks(120).map(of).collect()
        });
    }
}

#[test]
fn averages_of_values_that_lie_apart_over_the_edge() {
    for zeros in [0, 1] {
        let all = vec![
            ints("kernel_shape", &[2, 3]),
            ints("pads", &[1; 4]),
            ints("dilations", &[2, 2]),
            int("count_include_pad", zeros),
        ];
        let mut onnx = Onnx::open(&[1, 2, 7, 6]).node("AveragePool", &["x"], "y", all);
        onnx.opset = 19;
        let pads = [[0, 0], [1, 1], [1, 1]];
        let volume = Volume { kernel: [1, 2, 3], stride: [1; 3], dilation: [1, 2, 2], pads, zeros: zeros == 1 };
        defined(onnx, 3.0, |inputs| {
            let (size, out) = ([1, 7, 6], volume.out([1, 7, 6]));
            let one =
                |c: usize, at: usize| volume.at(&inputs[0][c * 42..][..42], size, [0, at / out[2], at % out[2]], true);
            (0..2).flat_map(|c| (0..out.iter().product()).map(move |at| one(c, at)).collect::<Vec<_>>()).collect()
        });
    }
}

#[test]
fn pools_that_are_refused() {
    let error = |onnx: Onnx| read(&onnx.bytes(), &Options::default()).unwrap_err().to_string();
    for operator in ["MaxPool", "AveragePool"] {
        let all = vec![ints("kernel_shape", &[2, 2]), ints("pads", &[2, 2, 0, 0])];
        let said = error(pool(operator, all));
        assert!(said.contains("node_y") && said.contains("padding smaller than the kernel"), "{said}");
    }
    let said =
        error(after([70, 70], "AveragePool", &["c"], vec![ints("kernel_shape", &[66, 66]), ints("pads", &[1; 4])]));
    assert!(said.contains("an average over 66x66 values; allowed: 4096"), "{said}");
    let said = error(after([7, 6], "MaxPool", &["c"], vec![]));
    assert!(said.contains("kernel_shape is missing"), "{said}");
}

const REDUCTIONS: [&str; 7] =
    ["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare"];

#[test]
fn reductions_over_any_dimensions() {
    for operator in REDUCTIONS {
        for axes in [&[2, 3][..], &[3], &[2], &[1], &[1, 3], &[1, 2, 3], &[0, 2], &[-1, 1]] {
            // Of small sums of squares a step is much of the root.
            let most = if operator == "ReduceL2" { 16.0 } else { 6.0 };
            for keep in [0, 1] {
                let mut onnx = after([7, 6], operator, &["c", "axes"], vec![int("keepdims", keep)]).ints("axes", axes);
                onnx.opset = 18;
                check(onnx, most);
            }
        }
        let mut old = after([7, 6], operator, &["c"], vec![int("keepdims", 0)]);
        old.opset = 12;
        check(old, 16.0);
    }
    let attribute = after([7, 6], "ReduceMean", &["c"], vec![ints("axes", &[2, 3])]);
    assert_eq!(steps(&check(attribute, 2.0)), ["conv", "pool"]);
    let sum = after([7, 6], "ReduceSum", &["c", "axes"], vec![]).ints("axes", &[-1, -2]);
    assert_eq!(steps(&check(sum, 2.0)), ["conv", "pool"]);
    let square = after([7, 6], "ReduceL2", &["c"], vec![ints("axes", &[2])]);
    assert_eq!(steps(&check(square, 16.0)), ["conv", "lookup", "pool", "lookup"]);
}

#[test]
fn logarithms_of_sums() {
    let onnx = Onnx::new(&[0, 3, 7, 6], &[0])
        .floats("w", &[10, 3, 3, 3], weights(1, 270, 0.6))
        .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .node("Sigmoid", &["c"], "s", vec![])
        .node("ReduceLogSum", &["s"], "y", vec![ints("axes", &[1])]);
    check(onnx, 3.0);
    check(after([7, 6], "ReduceLogSumExp", &["c"], vec![ints("axes", &[1])]), 6.0);
}

#[test]
fn axes_that_are_left_out() {
    let noop = |operator: &str| {
        let mut onnx = after([7, 6], operator, &["c"], vec![int("noop_with_empty_axes", 1)]);
        onnx.opset = 18;
        onnx
    };
    assert_eq!(steps(&check(noop("ReduceMax"), 2.0)), ["conv"]);
    let error = read(&noop("ReduceL2").bytes(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("node_y") && error.contains("noop_with_empty_axes"), "{error}");
    let mut tensor = after([7, 6], "ReduceMean", &["c", "c"], vec![]);
    tensor.opset = 18;
    let error = read(&tensor.bytes(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("axes = (not constant)"), "{error}");
}
