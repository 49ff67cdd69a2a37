//! `kind = "global-average-pool"`.

use serde::{Deserialize, Serialize};

use crate::layers::pool;
use crate::nets::build::Builder;
use crate::nets::{NetError, Shape};
use crate::scalar::Scalar;

/// Mean over all pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalAveragePool {
    /// Its name; without it the kind and a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl GlobalAveragePool {
    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        let [_, _, channels] = builder.map(name)?;
        builder.push(name, pool::GlobalAveragePool, Shape::Vector(channels));
        Ok(())
    }
}
