//! Reads a Conv.

use ndarray::{ArrayD, Axis};

use super::{
    super::{
        depthwise::Depthwise,
        window::{Geometry, made, map, map_in_any_order},
    },
    Conv,
};
use crate::{
    epilogue::Limits,
    error::Error,
    importer::Importer,
    onnx::Node,
    shape::{Shape, TensorId},
};

/// Reads a Conv: NCHW input, weights `[out, in of a group, kh, kw]`, or of one spatial dimension.
pub fn import(importer: &mut Importer, node: &Node) -> Result<(), Error> {
    node.only(&["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"])?;
    let (x, spatial, order) = match groups_told(node)? {
        1 => map_in_any_order(importer, node)?,
        _ => map(importer, node).map(|(x, spatial)| (x, spatial, None))?,
    };
    let mut weight = weights(importer, node, spatial)?;
    if let Some(order) = order.filter(|order| order.len() == weight.shape()[1]) {
        // Instead of the values, the weights change places.
        let mut places = vec![0; order.len()];
        order.iter().enumerate().for_each(|(i, &channel)| places[channel] = i);
        weight = weight.select(Axis(1), &places);
    }
    let [out, per_group, kh, kw] = weight.shape().try_into().unwrap_or([0; 4]);
    let groups = groups(node, x.shape[2])?;
    if per_group * groups != x.shape[2] || out == 0 || !out.is_multiple_of(groups) {
        let (shape, channels) = (weight.shape(), x.shape[2]);
        return Err(
            node.wrong(format!("weights {shape:?} do not fit an input of {channels} channels in {groups} groups"))
        );
    }
    let bias = importer.bias(node, 2, out)?;
    let (geometry, [oh, ow]) = Geometry::import(node, [kh, kw], x.shape, spatial)?;
    let shape = [oh, ow, out];
    let id = emit(importer, node, x.tensor, Kernel { geometry, groups, weight, bias }, shape)?;
    importer.define(node, 0, made(id, shape, x.steps, spatial))
}

fn groups_told(node: &Node) -> Result<i64, Error> {
    Ok(node.int("group")?.unwrap_or(1))
}

/// The number of groups of so many input channels.
pub(super) fn groups(node: &Node, channels: usize) -> Result<usize, Error> {
    let given = groups_told(node)?;
    let groups = usize::try_from(given).ok().filter(|&g| g > 0 && channels.is_multiple_of(g));
    groups.ok_or_else(|| node.unsupported("group", given, &format!("a number that divides {channels} input channels")))
}

/// Weights of input 1 with two spatial dimensions.
pub(super) fn weights(importer: &Importer, node: &Node, spatial: usize) -> Result<ArrayD<f32>, Error> {
    let mut weight = importer.weights(node, 1)?;
    if spatial == 1 && weight.ndim() == 3 {
        weight = weight.insert_axis(ndarray::Axis(2));
    }
    let &[_, _, kh, kw] = weight.shape() else {
        let form = if spatial == 1 { "[channels, channels, length]" } else { "[channels, channels, height, width]" };
        return Err(node.unsupported("W", format!("{:?}", weight.shape()), form));
    };
    let told = node.ints("kernel_shape")?.is_none_or(|told| {
        told.iter().rev().map(|&k| usize::try_from(k)).eq([kw, kh].map(Ok).into_iter().take(spatial))
    });
    if !(1..=255).contains(&kh) || !(1..=255).contains(&kw) || !told {
        return Err(node.unsupported("kernel_shape", format!("[{kh}, {kw}]"), "1..=255, equal to the weights'"));
    }
    Ok(weight)
}

/// What a convolution computes with.
pub(super) struct Kernel {
    pub geometry: Geometry,
    pub groups: usize,
    /// `[out, in of a group, kh, kw]`
    pub weight: ArrayD<f32>,
    /// `[out]`
    pub bias: Vec<f32>,
}

/// Adds a convolution, depthwise where every channel is a group of its own.
pub(super) fn emit(
    importer: &mut Importer,
    node: &Node,
    x: TensorId,
    kernel: Kernel,
    shape: Shape,
) -> Result<TensorId, Error> {
    let Kernel { geometry, groups, weight, bias } = kernel;
    let per_group = weight.shape()[1];
    let depthwise = groups > 1 && per_group == 1 && groups == shape[2];
    let weight = weight.view().permuted_axes(vec![0, 2, 3, 1]).iter().copied().collect();
    let limits = Limits::NONE;
    if depthwise {
        return importer.emit(node, Depthwise { geometry, weight, bias, limits }, vec![x], shape);
    }
    importer.emit(
        node,
        Conv { geometry, inputs: per_group, groups, weight, bias, limits, residual: false },
        vec![x],
        shape,
    )
}
