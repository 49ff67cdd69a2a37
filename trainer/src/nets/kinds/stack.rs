//! What all recurrent kinds are built by.

use std::ops::RangeInclusive;

use rand_chacha::ChaCha8Rng;

use crate::{
    engine::scalar::Scalar,
    layers::{
        init::{Init, bias::GateBias},
        recurrent::{Cell, Recurrent},
    },
    nets::{NetError, Shape, builder::Builder, error::within},
};

/// Numbers in a recurrent state that can be built.
pub const HIDDEN: RangeInclusive<usize> = 1..=4096;
/// Recurrent layers on top of each other that can be built.
pub const LAYERS: RangeInclusive<usize> = 1..=16;

/// Recurrent layers on top of each other; all but the last hand on every state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stack<'a> {
    /// Matrices of a cell for its input, and as many for its state.
    pub gates: usize,
    pub hidden: usize,
    pub layers: usize,
    pub bidirectional: bool,
    pub every_step: bool,
    /// Of the input's matrices, if not the cell's own.
    pub init: Option<&'a Init>,
    /// Of the state's matrices, if not the cell's own.
    pub recurrent_init: Option<&'a Init>,
}

impl Stack<'_> {
    /// Layers of the cells that `cell` makes of inputs and hidden numbers. Of several, each has a number in its name.
    pub fn build<T: Scalar, C: Cell<T> + 'static>(
        self,
        name: &str,
        builder: &mut Builder<'_, T>,
        cell: impl Fn(usize, usize, &mut ChaCha8Rng) -> C,
    ) -> Result<(), NetError> {
        let Self { gates, hidden, layers, bidirectional, every_step, init, recurrent_init } = self;
        within(name, "hidden", hidden, HIDDEN)?;
        within(name, "layers", layers, LAYERS)?;
        for (key, init) in [("", init), ("recurrent_", recurrent_init)] {
            let refuse = |e| NetError::Layer { layer: name.to_owned(), reason: format!("{key}{e}") };
            init.map_or(Ok(()), Init::check).map_err(refuse)?;
        }
        // Of all layers before the first is made: orthogonal weights take their time.
        if let Shape::Sequence([_, inputs]) = builder.at.shape {
            let directions = if bidirectional { 2 } else { 1 };
            for inputs in std::iter::once(inputs).chain(std::iter::repeat_n(directions * hidden, layers - 1)) {
                builder.weights(name, &[directions, gates, hidden, inputs + hidden])?;
            }
        }
        for layer in 1..=layers {
            let Shape::Sequence([frames, inputs]) = builder.at.shape else {
                return Err(builder.misfit(name, "a sequence"));
            };
            let every_step = every_step || layer < layers;
            let mut next = || {
                let mut cell = cell(inputs, hidden, builder.rng);
                cell.weights_mut().restart(init, recurrent_init, builder.rng);
                cell
            };
            let layer_of_cells = match bidirectional {
                true => Recurrent::bidirectional(next(), next(), every_step),
                false => Recurrent::new(next(), every_step),
            };
            let width = if bidirectional { 2 * hidden } else { hidden };
            let shape = if every_step { Shape::Sequence([frames, width]) } else { Shape::Vector(width) };
            let name = if layers == 1 { name.to_owned() } else { format!("{name}.layer{layer}") };
            builder.push(&name, layer_of_cells, shape);
        }
        Ok(())
    }
}

/// Refuses what [`GateBias::fill`] would not take at its word.
pub(super) fn check_bias(name: &str, bias: GateBias) -> Result<(), NetError> {
    match bias {
        GateBias::Chrono { longest } => within(name, "longest", longest, 2..=65_535),
        GateBias::Zeros | GateBias::One => Ok(()),
    }
}
