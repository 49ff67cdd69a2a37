//! Gemm and MatMul: with constant weights convolutions whose window is the pixel, or the whole map.

use ndarray::{Array2, arr0};

use super::{
    add::weighted as sum,
    affine::{scaled_by, shifted_by},
    arrange::{copied, whole},
    conv::Conv,
    matmul,
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

/// Gemm: `y = alpha * a * b' + beta * c`.
fn import_gemm(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["alpha", "beta", "transA", "transB"])?;
    let transposed = |name: &str| Ok(node.int(name)?.unwrap_or(0) != 0);
    let [of_a, of_b] = [transposed("transA")?, transposed("transB")?];
    let alpha = node.float("alpha")?.unwrap_or(1.0);
    let beta = node.float("beta")?.unwrap_or(1.0);
    let operand = |importer: &Importer, index: usize, transposed: bool| {
        let mut x = importer.view(node, index)?;
        if x.dims.len() != 2 {
            return Err(node.wrong(format!("an input of {:?}; Gemm takes 2 dimensions", x.lengths())));
        }
        if transposed {
            x.dims.swap(0, 1);
        }
        Ok(x)
    };
    let constant = [importer.constant(node, 0)?.is_some(), importer.constant(node, 1)?.is_some()];
    let mut outs = None;
    let made = match constant {
        [false, true] => {
            let x = operand(importer, 0, of_a)?;
            let mut weight = matrix(importer, node, 1)?;
            if of_b {
                weight = weight.reversed_axes();
            }
            // A bias for each column becomes the convolution's.
            let bias = match importer.constant(node, 2)?.map(|c| c.shape().to_vec()) {
                Some(shape) if shape.iter().product::<usize>() == 1 => {
                    vec![importer.vector(node, 2, 1)?[0]; weight.ncols()]
                }
                Some(shape)
                    if shape.last() == Some(&weight.ncols()) && shape.iter().product::<usize>() == weight.ncols() =>
                {
                    importer.vector(node, 2, weight.ncols())?
                }
                _ => vec![],
            };
            outs = (!bias.is_empty() || node.input(2).is_none()).then_some(());
            let mut bias = if bias.is_empty() { vec![0.0; weight.ncols()] } else { bias };
            bias.iter_mut().for_each(|b| *b *= beta);
            weight.mapv_inplace(|w| alpha * w);
            weighted(importer, node, x, &weight, bias)?
        }
        [true, _] => {
            let x = operand(importer, 1, of_b)?;
            let weight = matrix(importer, node, 0)?;
            let weight = if of_a { weight.reversed_axes() } else { weight };
            matmul::by_constant(importer, node, &weight.mapv(|w| alpha * w), x)?
        }
        [false, false] => {
            let (a, b) = (operand(importer, 0, of_a)?, operand(importer, 1, of_b)?);
            let made = matmul::of_two(importer, node, a, b)?;
            if alpha == 1.0 { made } else { scaled_by(importer, node, made, &arr0(alpha).into_dyn())? }
        }
    };
    let made = match node.input(2) {
        Some(_) if outs.is_none() => match importer.constant(node, 2)? {
            Some(_) => {
                let c = importer.weights(node, 2)?.mapv(|v| v * beta);
                shifted_by(importer, node, made, &c)?
            }
            None => {
                let c = importer.view(node, 2)?;
                sum(importer, node, [made, c], [1.0, beta])?
            }
        },
        _ => made,
    };
    importer.define(node, 0, made)
}

/// MatMul: of the last two dimensions, for each position of the others.
fn import_matmul(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&[])?;
    if importer.constant(node, 0)?.is_some() {
        let weight = matrix(importer, node, 0)?;
        let x = importer.view(node, 1)?;
        let made = matmul::by_constant(importer, node, &weight, x)?;
        return importer.define(node, 0, made);
    }
    let x = importer.view(node, 0)?;
    if importer.constant(node, 1)?.is_none() {
        let b = importer.view(node, 1)?;
        let made = matmul::of_two(importer, node, x, b)?;
        return importer.define(node, 0, made);
    }
    let weight = importer.weights(node, 1)?;
    let rank = weight.ndim();
    let made = if rank > 2 && weight.shape()[..rank - 2].iter().any(|&n| n != 1) {
        matmul::batched(importer, node, x, &weight)?
    } else {
        let extra = rank.saturating_sub(x.dims.len().max(2));
        let weight = matrix(importer, node, 1)?;
        let bias = vec![0.0; weight.ncols()];
        let mut made = weighted(importer, node, x, &weight, bias)?;
        made.dims.splice(..0, vec![Dim::ONE; extra]);
        made
    };
    importer.define(node, 0, made)
}

/// The constant at input `index`, a matrix; dimensions of one in front of it are left out.
fn matrix(importer: &Importer, node: &Node, index: usize) -> Result<Array2<f32>, Error> {
    let weight = importer.weights(node, index)?;
    let shape = weight.shape().to_vec();
    let (ones, last) = shape.split_at(shape.len().saturating_sub(2));
    match last {
        &[rows, columns] if rows * columns > 0 && ones.iter().all(|&n| n == 1) => {
            weight.into_shape_with_order((rows, columns)).map_err(|e| node.wrong(e.to_string()))
        }
        _ => {
            let name = if index == 0 { "A" } else { "B" };
            Err(node.unsupported(name, format!("{shape:?}"), "two dimensions above 0, constant, or a tensor"))
        }
    }
}

/// `x * weight + bias`, of weights `[in, out]`.
fn weighted(
    importer: &mut Importer,
    node: &Node,
    mut x: View,
    weight: &Array2<f32>,
    bias: Vec<f32>,
) -> Result<View, Error> {
    let [ins, outs] = [weight.nrows(), weight.ncols()];
    if x.dims.last().is_none_or(|d| d.length() != ins) {
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
            ours[o * ins + place] = weight[[i, o]];
        }
    }
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
    Ok(view)
}
