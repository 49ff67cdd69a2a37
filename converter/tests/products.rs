//! Matrix products of two tensors or with several matrices, Gemm in all its forms, powers, products of what stands along a dimension,
//! means, and normalizations by a sample's own mean and deviation.

mod build;
mod compare;

use build::{Onnx, attribute, int, ints};
use compare::{defined, weights};
use escarp_converter::{Options, read};
use tract_onnx::pb::{self, attribute_proto::AttributeType};

fn float(name: &str, f: f32) -> pb::AttributeProto {
    pb::AttributeProto { r#type: AttributeType::Float as i32, f, ..attribute(name) }
}

/// `a * b`, rows by rows, of as many matrices as there are.
fn multiplied(a: &[f32], b: &[f32], [rows, inner, columns]: [usize; 3]) -> Vec<f32> {
    let one = |(a, b): (&[f32], &[f32])| {
        let at = |i: usize| (0..inner).map(|k| a[i / columns * inner + k] * b[k * columns + i % columns]).sum::<f32>();
        (0..rows * columns).map(at).collect::<Vec<_>>()
    };
    a.chunks(rows * inner).zip(b.chunks(inner * columns)).flat_map(one).collect()
}

fn turned(x: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|c| x.iter().skip(c).step_by(columns).copied().collect::<Vec<_>>()).collect()
}

#[test]
fn of_two_tensors() {
    let onnx = Onnx::open(&[1, 2, 3, 4]).input("b", &[1, 2, 4, 5]).node("MatMul", &["x", "b"], "y", vec![]);
    defined(onnx, 3.0, |inputs| multiplied(&inputs[0], &inputs[1], [3, 4, 5]));
    let onnx = Onnx::open(&[3, 4]).input("b", &[4, 2]).node("MatMul", &["x", "b"], "y", vec![]);
    defined(onnx, 3.0, |inputs| multiplied(&inputs[0], &inputs[1], [3, 4, 2]));
    // One matrix meets both of the others.
    let onnx = Onnx::open(&[2, 3, 4]).input("b", &[4, 2]).node("MatMul", &["x", "b"], "y", vec![]);
    defined(onnx, 3.0, |inputs| multiplied(&inputs[0], &inputs[1].repeat(2), [3, 4, 2]));
}

#[test]
fn with_constant_matrices() {
    let many = weights(1, 2 * 4 * 5, 0.5);
    let onnx = Onnx::open(&[1, 2, 3, 4]).floats("b", &[2, 4, 5], many.clone()).node("MatMul", &["x", "b"], "y", vec![]);
    defined(onnx, 2.0, |inputs| multiplied(&inputs[0], &many, [3, 4, 5]));
    let one = weights(2, 20, 0.5);
    let onnx = Onnx::open(&[2, 3, 4]).floats("b", &[1, 4, 5], one.clone()).node("MatMul", &["x", "b"], "y", vec![]);
    defined(onnx, 2.0, |inputs| multiplied(&inputs[0], &one.repeat(2), [3, 4, 5]));
    let front = weights(3, 15, 0.5);
    let onnx = Onnx::open(&[2, 3, 4]).floats("a", &[5, 3], front.clone()).node("MatMul", &["a", "x"], "y", vec![]);
    defined(onnx, 2.0, |inputs| multiplied(&front.repeat(2), &inputs[0], [5, 3, 4]));
}

#[test]
fn gemm_in_all_its_forms() {
    let w = weights(1, 20, 0.5);
    for dims in [&[5][..], &[1, 5], &[3, 1], &[3, 5], &[1]] {
        let c = weights(2, dims.iter().product::<i64>() as usize, 0.7);
        let all = vec![float("alpha", 0.5), float("beta", 2.0)];
        let onnx = Onnx::open(&[3, 4]).floats("w", &[4, 5], w.clone()).floats("c", dims, c.clone()).node(
            "Gemm",
            &["x", "w", "c"],
            "y",
            all,
        );
        defined(onnx, 2.5, |inputs| {
            let products = multiplied(&inputs[0], &w, [3, 4, 5]);
            let at = |i: usize| match dims {
                [5] | [1, 5] => c[i % 5],
                [3, 1] => c[i / 5],
                [1] => c[0],
                _ => c[i],
            };
            products.iter().enumerate().map(|(i, y)| 0.5 * y + 2.0 * at(i)).collect()
        });
    }
    for [of_a, of_b] in [[0, 0], [1, 0], [0, 1], [1, 1]] {
        let turn = |x: &[f32], columns: usize, is: i64| if is == 1 { turned(x, columns) } else { x.to_vec() };
        let (a, b) = (if of_a == 1 { [4, 3] } else { [3, 4] }, if of_b == 1 { [5, 4] } else { [4, 5] });
        let onnx = Onnx::open(&a).input("b", &b).input("c", &[3, 5]).node(
            "Gemm",
            &["x", "b", "c"],
            "y",
            vec![int("transA", of_a), int("transB", of_b), float("alpha", 0.5), float("beta", -0.5)],
        );
        defined(onnx, 3.0, |inputs| {
            let (a, b) = (turn(&inputs[0], 3, of_a), turn(&inputs[1], 4, of_b));
            let products = multiplied(&a, &b, [3, 4, 5]);
            products.iter().zip(&inputs[2]).map(|(y, c)| 0.5 * y - 0.5 * c).collect()
        });
        let w = weights(4, 12, 0.5);
        let onnx = Onnx::open(&b).floats("w", &a, w.clone()).node(
            "Gemm",
            &["w", "x"],
            "y",
            vec![int("transA", of_a), int("transB", of_b)],
        );
        defined(onnx, 2.0, |inputs| multiplied(&turn(&w, 3, of_a), &turn(&inputs[0], 4, of_b), [3, 4, 5]));
    }
}

#[test]
fn powers_of_tensors() {
    // 0.5 to 1.5.
    let positive = |onnx: Onnx| {
        onnx.floats("half", &[], vec![0.5]).node("Abs", &["x"], "a", vec![]).node("Add", &["a", "half"], "p", vec![])
    };
    let base = |x: f32| x.abs() + 0.5;
    let onnx = positive(Onnx::open(&[1, 3, 4])).input("e", &[1, 3, 4]).node("Pow", &["p", "e"], "y", vec![]);
    defined(onnx, 4.0, |inputs| inputs[0].iter().zip(&inputs[1]).map(|(x, e)| base(*x).powf(*e)).collect());
    let exponents = vec![-1.0, 0.5, 2.0, 3.0];
    let onnx =
        positive(Onnx::open(&[1, 3, 4])).floats("e", &[4], exponents.clone()).node("Pow", &["p", "e"], "y", vec![]);
    defined(onnx, 4.0, |inputs| inputs[0].iter().enumerate().map(|(i, x)| base(*x).powf(exponents[i % 4])).collect());
    let onnx = Onnx::open(&[1, 3, 4]).floats("two", &[], vec![2.0]).node("Pow", &["two", "x"], "y", vec![]);
    defined(onnx, 2.0, |inputs| inputs[0].iter().map(|x| x.exp2()).collect());
    let onnx = Onnx::open(&[1, 3, 4]).floats("below", &[], vec![-2.0]).node("Pow", &["below", "x"], "y", vec![]);
    let error = read(&onnx.bytes(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("base = -2; supported: a tensor, or constants above 0"), "{error}");
}

#[test]
fn products_along_dimensions() {
    for (axes, keep) in [(&[2][..], 1), (&[1], 0), (&[-1], 0), (&[1, 2], 1)] {
        let mut onnx = Onnx::open(&[1, 3, 4]).ints("axes", axes).node(
            "ReduceProd",
            &["x", "axes"],
            "y",
            vec![int("keepdims", keep)],
        );
        onnx.opset = 18;
        defined(onnx, 8.0, |inputs| match axes {
            [1] => (0..4).map(|c| (0..3).map(|r| inputs[0][r * 4 + c]).product()).collect(),
            [1, 2] => vec![inputs[0].iter().product()],
            _ => inputs[0].chunks(4).map(|row| row.iter().product()).collect(),
        });
    }
}

#[test]
fn means_of_tensors() {
    let onnx = Onnx::open(&[1, 3, 4]).input("a", &[1, 3, 4]).input("b", &[1, 1, 4]);
    defined(onnx.node("Mean", &["x", "a", "b"], "y", vec![]), 2.0, |inputs| {
        (0..12).map(|i| (inputs[0][i] + inputs[1][i] + inputs[2][i % 4]) / 3.0).collect()
    });
}

/// Mean 0 and variance 1 of each row.
fn normal(x: &[f32], row: usize) -> Vec<f32> {
    let of = |x: &[f32]| {
        let mean = x.iter().sum::<f32>() / row as f32;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / row as f32;
        x.iter().map(|v| (v - mean) / (variance + 1e-5).sqrt()).collect::<Vec<_>>()
    };
    x.chunks(row).flat_map(of).collect()
}

#[test]
fn normalizations_of_a_sample() {
    let (scale, shift) = (weights(1, 24, 1.0), weights(2, 24, 0.5));
    for (axis, row) in [(-1, 24), (1, 72)] {
        let dims = if axis == 1 { vec![3, 24] } else { vec![24] };
        let (scale, shift) = (scale.repeat(row / 24), shift.repeat(row / 24));
        let onnx = Onnx::open(&[1, 3, 24]).floats("s", &dims, scale.clone()).floats("b", &dims, shift.clone()).node(
            "LayerNormalization",
            &["x", "s", "b"],
            "y",
            vec![int("axis", axis)],
        );
        defined(onnx, 5.0, |inputs| {
            normal(&inputs[0], row).iter().enumerate().map(|(i, v)| v * scale[i % row] + shift[i % row]).collect()
        });
    }
    let onnx = Onnx::open(&[1, 3, 5, 6])
        .floats("s", &[3], scale[..3].to_vec())
        .floats("b", &[3], shift[..3].to_vec())
        .node("InstanceNormalization", &["x", "s", "b"], "y", vec![]);
    defined(onnx, 5.0, |inputs| {
        normal(&inputs[0], 30).iter().enumerate().map(|(i, v)| v * scale[i / 30] + shift[i / 30]).collect()
    });
    // The reduced axes of the mean are what the others are told by.
    let onnx = Onnx::open(&[1, 8]).node("InstanceNormalization", &["x", "s", "b"], "y", vec![ints("axes", &[1])]);
    assert!(read(&onnx.bytes(), &Options::default()).is_err());
}
