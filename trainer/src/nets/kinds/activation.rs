//! `kind = "activation"`.

use serde::{Deserialize, Serialize};

use crate::{
    engine::scalar::Scalar,
    layers::activation::{self, Function, SLOPE},
    nets::{NetError, builder::Builder},
};

/// A function of one number, applied to every number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activation {
    /// Its name; without it the kind and a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which.
    pub function: Function,
    /// Of the leaky ReLU below zero, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slope: Option<f64>,
}

impl Activation {
    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        let refuse = |reason: &str| Err(NetError::Layer { layer: name.to_owned(), reason: reason.to_owned() });
        match self.slope {
            Some(_) if self.function != Function::LeakyRelu => {
                return refuse("only `function = \"leaky-relu\"` has a slope");
            }
            Some(slope) if !(0.0..=1.0).contains(&slope) => return refuse("slope must be 0 to 1"),
            _ => {}
        }
        let layer = activation::Activation { function: self.function, slope: self.slope.unwrap_or(SLOPE) };
        builder.push(name, layer, builder.at.shape);
        Ok(())
    }
}
