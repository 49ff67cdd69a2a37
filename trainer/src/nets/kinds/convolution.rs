//! `kind = "convolution"`.

use serde::{Deserialize, Serialize};

use super::{one, three};
use crate::init::he;
use crate::layers::activation::Function;
use crate::layers::conv::Conv;
use crate::layers::conv_norm::ConvNorm;
use crate::nets::arch::{WIDTHS, within};
use crate::nets::build::Builder;
use crate::nets::{NetError, Shape};
use crate::scalar::Scalar;

/// Convolution, padded by half its kernel, so that stride 1 keeps the size.
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
    /// Batch normalization behind it, in place of a bias.
    #[serde(default)]
    pub normalize: bool,
    /// Behind that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Function>,
}

impl Convolution {
    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        let &Self { outputs, kernel, stride, normalize, activation, .. } = self;
        within(name, "outputs", outputs, 1..=*WIDTHS.end() * 4)?;
        within(name, "kernel", kernel, 1..=31)?;
        within(name, "stride", stride, 1..=16)?;
        let [h, w, inputs] = builder.map(name)?;
        let padding = kernel / 2;
        if h + 2 * padding < kernel || w + 2 * padding < kernel {
            return Err(builder.misfit(name, "maps that are no smaller than its kernel"));
        }
        let taps = kernel * kernel;
        let weight = he(taps * inputs * outputs, taps * inputs, builder.rng);
        let conv = Conv::new(weight, inputs, outputs, kernel, stride);
        let size = |n: usize| (n + 2 * padding - kernel) / stride + 1;
        // A ReLU is part of the layer and costs no pass over memory of its own.
        let relu = activation == Some(Function::Relu);
        builder.push(name, ConvNorm::new(conv, normalize, relu), Shape::Map([size(h), size(w), outputs]));
        builder.activation(name, activation.filter(|_| !relu));
        Ok(())
    }
}
