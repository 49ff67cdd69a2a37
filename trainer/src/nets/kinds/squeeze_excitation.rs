//! `kind = "squeeze-excitation"`.

use serde::{Deserialize, Serialize};

use super::{Convolution, Padding, initial::read};
use crate::{
    engine::scalar::Scalar,
    layers::{activation::Function, gate, global_average_pool::GlobalAveragePool, init::Init},
    nets::{NetError, Shape, builder::Builder, error::within},
};

/// Squeeze and excitation (Hu, Shen, Sun, CVPR 2018): `y = x gate(W2 f(W1 mean x + b1) + b2)`, one gate for each channel, of the
/// mean over all pixels of all channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqueezeExcitation {
    /// Its name; without it the kind and a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many times fewer numbers than channels lie between the two convolutions.
    #[serde(default = "four")]
    pub reduction: usize,
    /// Between the two.
    #[serde(default = "relu")]
    pub activation: Function,
    /// Behind both.
    #[serde(default)]
    pub gate: Gate,
    /// What both kernels start as; Glorot uniform unless told.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "read")]
    pub init: Option<Init>,
}

/// What opens and shuts channels: 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// `1 / (1 + e^-x)`, as in the paper.
    #[default]
    Sigmoid,
    /// `min(max(x + 3, 0), 6) / 6`, as in MobileNetV3.
    HardSigmoid,
}

fn four() -> usize {
    4
}

fn relu() -> Function {
    Function::Relu
}

/// Numbers between the convolutions: the multiple of 8 nearest to `channels / reduction`, the upper of two; not below 8, nor
/// more than a tenth below the quotient (`_make_divisible` of MobileNetV3's authors).
fn squeezed(channels: usize, reduction: usize) -> usize {
    let nearest = (channels / reduction + 4) / 8 * 8;
    let enough = if 10 * nearest * reduction < 9 * channels { nearest + 8 } else { nearest };
    enough.max(8)
}

impl SqueezeExcitation {
    /// The mean, the two convolutions `squeeze` and `excite`, then the product.
    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        let [_, _, channels] = builder.map(name)?;
        within(name, "reduction", self.reduction, 1..=1024)?;
        let x = builder.at.clone();
        builder.push(&format!("{name}.pool"), GlobalAveragePool { keep: true }, Shape::Map([1, 1, channels]));
        let gate = match self.gate {
            Gate::Sigmoid => Function::Sigmoid,
            Gate::HardSigmoid => Function::HardSigmoid,
        };
        let inner = squeezed(channels, self.reduction);
        for (part, outputs, activation) in [("squeeze", inner, self.activation), ("excite", channels, gate)] {
            let convolution = Convolution {
                name: None,
                outputs,
                kernel: 1,
                stride: 1,
                padding: Padding::Same,
                groups: 1,
                normalize: false,
                activation: Some(activation),
                init: self.init.clone(),
            };
            convolution.build(&format!("{name}.{part}"), builder)?;
        }
        builder.node(name, vec![x.value, builder.at.value], Box::new(gate::Gate), x.shape);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::squeezed;

    /// Of MobileNetV3's own widths, and where the quotient is small.
    #[test]
    fn widths_are_those_of_mobilenetv3() {
        let widths = [(16, 4, 8), (72, 4, 24), (96, 4, 24), (120, 4, 32), (240, 4, 64), (480, 4, 120), (576, 4, 144)];
        for (channels, reduction, inner) in widths {
            assert_eq!(squeezed(channels, reduction), inner, "{channels} / {reduction}");
        }
        assert_eq!([(3, 4), (64, 16), (88, 8), (5, 1)].map(|(c, r)| squeezed(c, r)), [8, 8, 16, 8]);
    }
}
