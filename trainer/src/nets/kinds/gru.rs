//! `kind = "gru"`.

use serde::{Deserialize, Serialize};

use crate::layers::gru;
use crate::layers::recurrent::Recurrent;
use crate::nets::arch::{HIDDEN, within};
use crate::nets::build::Builder;
use crate::nets::{NetError, Shape};
use crate::scalar::Scalar;

/// Gated recurrent unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gru {
    /// Its name; without it the kind and a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Numbers in a state.
    pub hidden: usize,
    /// Every state is the output, not only the last.
    #[serde(default)]
    pub every_step: bool,
}

impl Gru {
    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        let &Self { hidden, every_step, .. } = self;
        within(name, "hidden", hidden, HIDDEN)?;
        let Shape::Sequence([frames, inputs]) = builder.at.shape else {
            return Err(builder.misfit(name, "a sequence"));
        };
        let cell = gru::Gru::new(inputs, hidden, builder.rng);
        let shape = if every_step { Shape::Sequence([frames, hidden]) } else { Shape::Vector(hidden) };
        builder.push(name, Recurrent::new(cell, every_step), shape);
        Ok(())
    }
}
