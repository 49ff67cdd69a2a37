//! `kind = "gru"`.

use serde::{Deserialize, Serialize};

use super::{
    initial::read,
    one,
    stack::{Stack, check_bias},
};
use crate::{
    engine::scalar::Scalar,
    layers::{
        gru,
        gru_reset_before::GruResetBefore,
        init::{Init, bias::GateBias},
    },
    nets::{NetError, builder::Builder},
};

/// Gated recurrent units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gru {
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
    /// Where the reset gate comes in.
    #[serde(default)]
    pub reset: Reset,
    /// Biases of the update gate.
    #[serde(default = "zeros")]
    pub gate_bias: GateBias,
    /// What the input's matrices start as; Glorot uniform unless told.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "read")]
    pub init: Option<Init>,
    /// What the state's matrices start as; orthogonal unless told.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "read")]
    pub recurrent_init: Option<Init>,
}

/// Where a GRU's reset gate comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reset {
    /// On the product of the state: PyTorch's, cuDNN's, Keras' `reset_after=True`. The faster.
    #[default]
    After,
    /// On the state, before the product: the textbook's relevance gate.
    Before,
}

fn zeros() -> GateBias {
    GateBias::Zeros
}

impl Gru {
    /// A layer of `hidden` numbers, one direction, reset after the product, zero biases.
    pub fn new(hidden: usize) -> Self {
        Self {
            name: None,
            hidden,
            layers: 1,
            bidirectional: false,
            every_step: false,
            reset: Reset::After,
            gate_bias: zeros(),
            init: None,
            recurrent_init: None,
        }
    }

    pub(super) fn build<T: Scalar>(&self, name: &str, builder: &mut Builder<'_, T>) -> Result<(), NetError> {
        check_bias(name, self.gate_bias)?;
        let &Self { hidden, layers, bidirectional, every_step, .. } = self;
        let (init, recurrent_init) = (self.init.as_ref(), self.recurrent_init.as_ref());
        let stack = Stack { gates: 3, hidden, layers, bidirectional, every_step, init, recurrent_init };
        let bias = self.gate_bias;
        match self.reset {
            Reset::After => stack.build(name, builder, |inputs, hidden, rng| gru::Gru::new(inputs, hidden, bias, rng)),
            Reset::Before => {
                stack.build(name, builder, |inputs, hidden, rng| GruResetBefore::new(inputs, hidden, bias, rng))
            }
        }
    }
}
