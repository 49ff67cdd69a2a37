//! `kind = "residual"`.

use serde::{Deserialize, Serialize};

use super::{Convolution, Padding, initial::read, one, two, yes};
use crate::{
    engine::scalar::Scalar,
    layers::{activation::Function, add::Add, init::Init},
    nets::{NetError, builder::Builder, error::within},
};

/// Residual blocks (He et al., CVPR 2016): `y = relu(F(x) + shortcut(x))`. The shortcut is `x` itself (identity block)
/// where the shape stays, else `norm(conv1x1 x)` (convolution block).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    /// Its name; without it the kind and a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Channels out of every block.
    pub outputs: usize,
    /// Blocks one after the other.
    #[serde(default = "one")]
    pub blocks: usize,
    /// Stride of the first block.
    #[serde(default = "one")]
    pub stride: usize,
    /// 2: two 3x3; 3: the bottleneck 1x1, 3x3, 1x1 whose inner layers have a quarter of the channels.
    #[serde(default = "two")]
    pub convolutions: usize,
    /// `false` is the plain twin: the same layers, no shortcut.
    #[serde(default = "yes")]
    pub shortcut: bool,
    /// Batch normalization behind every convolution, in place of a bias.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub normalize: bool,
    /// What the kernels start as; Glorot uniform unless told.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "read")]
    pub init: Option<Init>,
}

fn is_yes(normalize: &bool) -> bool {
    *normalize
}

impl Residual {
    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        within(name, "blocks", self.blocks, 1..=64)?;
        within(name, "convolutions", self.convolutions, 2..=3)?;
        for block in 0..self.blocks {
            let stride = if block == 0 { self.stride } else { 1 };
            self.block(&format!("{name}.block{}", block + 1), stride, builder)?;
        }
        Ok(())
    }

    /// The convolutions `a`, `b` (and `c`), then the projection if the shape changes, then the sum. Without shortcut
    /// the last convolution ends in the ReLU.
    fn block<T: Scalar>(&self, name: &str, stride: usize, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        let &Self { outputs, shortcut, normalize, .. } = self;
        let x = builder.at.clone();
        let unit = |outputs, kernel, stride, relu: bool| Convolution {
            name: None,
            outputs,
            kernel,
            stride,
            normalize,
            activation: relu.then_some(Function::Relu),
            init: self.init.clone(),
            padding: Padding::Same,
            groups: 1,
        };
        let inner = (outputs / 4).max(1);
        let units = match self.convolutions {
            2 => vec![unit(outputs, 3, stride, true), unit(outputs, 3, 1, !shortcut)],
            // The stride is on the 3x3, as in PyTorch's ResNet-50 ("v1.5"): on the 1x1 it would skip three pixels of
            // four.
            _ => vec![unit(inner, 1, 1, true), unit(inner, 3, stride, true), unit(outputs, 1, 1, !shortcut)],
        };
        for (unit, branch) in units.into_iter().zip(["a", "b", "c"]) {
            unit.build(&format!("{name}.{branch}"), builder)?;
        }
        if !shortcut {
            return Ok(());
        }
        let sum = builder.at.clone();
        let other = if x.shape == sum.shape {
            x
        } else {
            builder.at = x;
            unit(outputs, 1, stride, false).build(&format!("{name}.shortcut"), builder)?;
            builder.at.clone()
        };
        builder.node(name, vec![sum.value, other.value], Box::new(Add { relu: true }), sum.shape);
        Ok(())
    }
}
