//! Gemm and MatMul with constant weights: convolutions whose window is the pixel, or the whole map.

use super::{
    arrange::{copied, whole},
    conv::Conv,
    window::Geometry,
};
use crate::{
    epilogue::Limits,
    error::Error,
    history::Kind,
    importer::{Import, Importer},
    onnx::Node,
    view::{Axis, Dim, View},
};

/// What is read here.
pub const ONNX: &[(&str, Import)] = &[("Gemm", Import::new(import_gemm)), ("MatMul", Import::new(import_matmul))];

/// Gemm: `y = alpha * x * B' + beta * c`.
fn import_gemm(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["alpha", "beta", "transA", "transB"])?;
    let mut x = importer.view(node, 0)?;
    if x.dims.len() != 2 {
        return Err(node.wrong(format!("an input of {:?}; Gemm takes 2 dimensions", x.lengths())));
    }
    if node.int("transA")?.unwrap_or(0) != 0 {
        x.dims.swap(0, 1);
    }
    let transposed = node.int("transB")?.unwrap_or(0) != 0;
    let alpha = node.float("alpha")?.unwrap_or(1.0);
    let beta = node.float("beta")?.unwrap_or(1.0);
    import(importer, node, x, transposed, [alpha, beta])
}

/// MatMul of a tensor and constant weights `[in, out]`.
fn import_matmul(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&[])?;
    let x = importer.view(node, 0)?;
    import(importer, node, x, false, [1.0, 1.0])
}

fn import(
    importer: &mut Importer,
    node: &Node,
    mut x: View,
    transposed: bool,
    [alpha, beta]: [f32; 2],
) -> Result<(), Error> {
    let weight = importer.weights(node, 1)?;
    let &[rows, columns] = weight.shape() else {
        return Err(node.unsupported("B", format!("{:?}", weight.shape()), "two dimensions, constant"));
    };
    let [ins, outs] = if transposed { [columns, rows] } else { [rows, columns] };
    if x.dims.last().is_none_or(|d| d.length() != ins) || outs == 0 {
        return Err(node.wrong(format!("weights {:?} and an input of {:?}", weight.shape(), x.lengths())));
    }
    let last = |x: &View| x.dims.last().cloned().unwrap_or(Dim::ONE);
    if last(&x).has_time() {
        return Err(node.unsupported("input", format!("{:?}", x.lengths()), "features in the last dimension, batch 1"));
    }
    // Along the channels alone it is a 1x1 convolution; along everything, one window over the whole map.
    let pixelwise = |x: &View| last(x) == x.along(&[Axis::Channel]);
    let alone = |x: &View| {
        x.dims.iter().rev().skip(1).all(|d| d.runs.is_empty() || d.has_time()) && x.shape[..2].iter().all(|&n| n <= 255)
    };
    x = if pixelwise(&x) || alone(&x) { whole(importer, node, x)? } else { copied(importer, node, &x)? };
    let kernel = if pixelwise(&x) { [1, 1] } else { [x.shape[0], x.shape[1]] };
    if kernel[0] > 255 || kernel[1] > 255 || !(pixelwise(&x) || alone(&x)) {
        return Err(node.wrong(format!("a flattened map of {}x{}; allowed: 255x255", kernel[0], kernel[1])));
    }
    let order = x.places(&last(&x));
    if !order.is_sorted() {
        importer.tell(Kind::Order, format!("values lie as {}", x.words()));
    }
    let mut ours = vec![0.0; ins * outs];
    for o in 0..outs {
        for (i, &place) in order.iter().enumerate() {
            ours[o * ins + place] = alpha * if transposed { weight[[o, i]] } else { weight[[i, o]] };
        }
    }
    // Gemm broadcasts its third input; MatMul has none.
    let one = node.operator() == "Gemm" && node.input(2).is_some() && importer.weights(node, 2)?.len() == 1;
    let mut bias = if one { vec![importer.vector(node, 2, 1)?[0]; outs] } else { importer.bias(node, 2, outs)? };
    bias.iter_mut().for_each(|b| *b *= beta);
    let geometry = Geometry { kernel, ..Geometry::whole([1, 1, 1]) };
    let shape = if pixelwise(&x) { [x.shape[0], x.shape[1], outs] } else { [1, 1, outs] };
    let conv =
        Conv { geometry, inputs: x.shape[2], groups: 1, weight: ours, bias, limits: Limits::NONE, residual: false };
    let id = importer.emit(node, conv, vec![x.tensor], shape)?;
    let mut view = View { tensor: id, shape, ..x };
    let channels = view.along(&[Axis::Channel]);
    if let Some(last) = view.dims.last_mut() {
        *last = channels;
    }
    importer.define(node, 0, view)
}
