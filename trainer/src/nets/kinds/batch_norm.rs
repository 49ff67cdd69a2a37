//! `kind = "batch-norm"`.

use serde::{Deserialize, Serialize};

use crate::{
    engine::scalar::Scalar,
    layers::batch_norm::Normalization,
    nets::{NetError, Shape, builder::Builder},
};

/// Batch normalization of any numbers, channel by channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm {
    /// Its name; without it the kind and a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl BatchNorm {
    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        if let Shape::Tokens(_) = builder.at.shape {
            return Err(builder.misfit(name, "maps, a sequence or a vector"));
        }
        builder.push(name, Normalization::new(builder.at.shape.channels()), builder.at.shape);
        Ok(())
    }
}
