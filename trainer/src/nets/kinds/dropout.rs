//! `kind = "dropout"`.

use serde::{Deserialize, Serialize};

use crate::{
    engine::scalar::Scalar,
    layers::dropout,
    nets::{NetError, Shape, builder::Builder},
};

/// Drops numbers in training, another choice in every step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// Its name; without it the kind and a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Probability of being dropped, 0 to below 1.
    #[serde(default = "half")]
    pub rate: f64,
}

fn half() -> f64 {
    0.5
}

impl Dropout {
    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        if !(0.0..1.0).contains(&self.rate) {
            let reason = format!("rate = {}; allowed: 0 to below 1", self.rate);
            return Err(NetError::Layer { layer: name.to_owned(), reason });
        }
        if let Shape::Tokens(_) = builder.at.shape {
            return Err(builder.misfit(name, "maps, a sequence or a vector"));
        }
        builder.push(name, dropout::Dropout::new(self.rate, builder.place()), builder.at.shape);
        Ok(())
    }
}
