//! `kind = "convolution"`.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{
    Padding,
    initial::{check, read},
    one, three,
};
use crate::{
    engine::scalar::Scalar,
    layers::{
        activation::Function,
        conv_norm::ConvNorm,
        conv_shape::ConvShape,
        convolution,
        init::{Init, Kernel},
    },
    nets::{NetError, Shape, builder::Builder, error::within},
};

/// Channels of a residual net's first stage that can be built.
pub const WIDTHS: RangeInclusive<usize> = 1..=1024;

/// Convolution with what usually follows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convolution {
    /// Its name; without it the kind and a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Channels out.
    pub outputs: usize,
    /// Edge of the square kernel.
    #[serde(default = "three")]
    pub kernel: usize,
    /// Distance between neighbouring windows.
    #[serde(default = "one")]
    pub stride: usize,
    /// Zeros around the maps.
    #[serde(default, skip_serializing_if = "Padding::is_default")]
    pub padding: Padding,
    /// Groups of channels that see each other; as many as channels: depthwise.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub groups: usize,
    /// Batch normalization behind it, in place of a bias.
    #[serde(default)]
    pub normalize: bool,
    /// Behind that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Function>,
    /// What the kernel starts as; Glorot uniform unless told.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "read")]
    pub init: Option<Init>,
}

fn is_one(groups: &usize) -> bool {
    *groups == 1
}

impl Convolution {
    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        let &Self { outputs, kernel, stride, groups, normalize, activation, .. } = self;
        within(name, "outputs", outputs, 1..=*WIDTHS.end() * 4)?;
        within(name, "kernel", kernel, 1..=31)?;
        within(name, "stride", stride, 1..=16)?;
        let [h, w, inputs] = builder.map(name)?;
        let padding = self.padding.pixels(kernel);
        within(name, "padding", padding, 0..=kernel - 1)?;
        within(name, "groups", groups, 1..=inputs)?;
        if !inputs.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
            let reason = format!("groups = {groups} must divide its {inputs} channels in and its {outputs} out");
            return Err(NetError::Layer { layer: name.to_owned(), reason });
        }
        if h.min(w) + 2 * padding < kernel {
            return Err(builder.misfit(name, "maps that are no smaller than its kernel"));
        }
        let init = check(name, &self.init, Init::default())?;
        builder.weights(name, &[kernel, kernel, inputs / groups, outputs])?;
        let weight = init.fill(Kernel::convolution(kernel * kernel, inputs, outputs, groups), builder.rng);
        let shape = ConvShape { inputs, outputs, kernel, stride, padding, groups };
        let conv = convolution::Convolution::new(weight, shape);
        // A ReLU is part of the layer and costs no pass over memory of its own.
        let relu = activation == Some(Function::Relu);
        builder.push(name, ConvNorm::new(conv, normalize, relu), Shape::Map([shape.size(h), shape.size(w), outputs]));
        builder.activation(name, activation.filter(|_| !relu));
        Ok(())
    }
}
