//! `kind = "embedding"`.

use serde::{Deserialize, Serialize};

use super::initial::{check, read};
use crate::{
    engine::scalar::Scalar,
    layers::{
        embedding,
        init::{Init, Kernel},
    },
    nets::{NetError, Shape, builder::Builder, error::within},
};

/// A row of numbers for each token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    /// Its name; without it the kind and a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Numbers in a row.
    pub outputs: usize,
    /// What the rows start as; fans mean nothing here, so Keras' uniform numbers up to 0.05 unless told.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "read")]
    pub init: Option<Init>,
}

impl Embedding {
    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        within(name, "outputs", self.outputs, 1..=4096)?;
        let Shape::Tokens([frames, vocabulary]) = builder.at.shape else {
            return Err(builder.misfit(name, "tokens"));
        };
        let init = check(name, &self.init, Init::Uniform { limit: 0.05 })?;
        builder.weights(name, &[vocabulary, self.outputs])?;
        let weight = init.fill(Kernel::dense(vocabulary, self.outputs), builder.rng);
        builder.push(name, embedding::Embedding::new(weight, self.outputs), Shape::Sequence([frames, self.outputs]));
        Ok(())
    }
}
