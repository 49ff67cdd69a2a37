//! `kind = "rnn"`.

use serde::{Deserialize, Serialize};

use super::one;
use super::stack::Stack;
use crate::layers::rnn;
use crate::nets::NetError;
use crate::nets::build::Builder;
use crate::scalar::Scalar;

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
}

impl Rnn {
    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        let &Self { hidden, layers, bidirectional, every_step, .. } = self;
        let stack = Stack { hidden, layers, bidirectional, every_step };
        stack.build(name, builder, rnn::Rnn::new)
    }
}
