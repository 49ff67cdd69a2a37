//! `kind = "rnn"`.

use serde::{Deserialize, Serialize};

use super::{initial::read, one, stack::Stack};
use crate::{
    engine::scalar::Scalar,
    layers::{init::Init, rnn},
    nets::{NetError, builder::Builder},
};

/// Recurrence without gates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rnn {
    /// Its name; without it the kind and a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Numbers in a state.
    pub hidden: usize,
    /// Layers on top of each other.
    #[serde(default = "one")]
    pub layers: usize,
    /// A second direction, from the last frame to the first, whose states stand beside the first's: `2 hidden` numbers.
    #[serde(default)]
    pub bidirectional: bool,
    /// Every state is the output, not only the last.
    #[serde(default)]
    pub every_step: bool,
    /// What the input's matrices start as; Glorot uniform unless told.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "read")]
    pub init: Option<Init>,
    /// What the state's matrices start as; orthogonal unless told.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "read")]
    pub recurrent_init: Option<Init>,
}

impl Rnn {
    /// A layer of `hidden` numbers, one direction, the last state.
    pub fn new(hidden: usize) -> Self {
        Self {
            name: None,
            hidden,
            layers: 1,
            bidirectional: false,
            every_step: false,
            init: None,
            recurrent_init: None,
        }
    }

    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        let &Self { hidden, layers, bidirectional, every_step, .. } = self;
        let (init, recurrent_init) = (self.init.as_ref(), self.recurrent_init.as_ref());
        let stack = Stack { gates: 1, hidden, layers, bidirectional, every_step, init, recurrent_init };
        stack.build(name, builder, rnn::Rnn::new)
    }
}
