//! `kind = "dense"`.

use serde::{Deserialize, Serialize};

use super::initial::{check, read};
use crate::{
    engine::scalar::Scalar,
    layers::{
        activation::Function,
        dense,
        init::{Init, Kernel},
    },
    nets::{NetError, Shape, builder::Builder, error::within},
};

/// Fully connected.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    /// Its name; without it the kind and a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Numbers out; without it one for each class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<usize>,
    /// Behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Function>,
    /// What the matrix starts as; Glorot uniform unless told.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "read")]
    pub init: Option<Init>,
}

impl Dense {
    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        let outputs = self.outputs.unwrap_or(builder.classes);
        within(name, "outputs", outputs, 1..=65_536)?;
        let (inputs, shape) = match builder.at.shape {
            Shape::Vector(n) => (n, Shape::Vector(outputs)),
            Shape::Sequence([frames, n]) => (n, Shape::Sequence([frames, outputs])),
            Shape::Map(_) | Shape::Tokens(_) => return Err(builder.misfit(name, "a vector or a sequence")),
        };
        let init = check(name, &self.init, Init::default())?;
        builder.weights(name, &[inputs, outputs])?;
        let weight = init.fill(Kernel::dense(inputs, outputs), builder.rng);
        builder.push(name, dense::Dense::new(weight, inputs, outputs), shape);
        builder.activation(name, self.activation);
        Ok(())
    }
}
