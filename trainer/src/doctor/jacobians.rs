//! On demand: how the net of a run reacts to its input, and a recurrent layer to its own past.

use std::{fmt::Write, path::Path};

use ndarray::ArrayD;
use rand_distr::{Distribution, StandardNormal};
use serde::Serialize;

use super::diagnose::number;
use crate::{
    engine::random::{Purpose, stream},
    error::TrainError,
    nets::{Net, Shape},
    run::transfer,
};

/// Singular values at one random input of mean 0 and deviation 1, as standardized inputs have them, so that no data are
/// needed. Not a number where a Jacobian is not finite.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Jacobians {
    /// Of the outputs by the inputs, the largest first; `None` where inputs are tokens.
    pub output_by_input: Option<Vec<f64>>,
    /// Of each direction of each recurrent layer.
    pub recurrent: Vec<OverTime>,
}

/// Singular values of the Jacobian of a layer's last state by its earlier ones.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OverTime {
    /// Its name, and which direction where it has two.
    pub layer: String,
    /// The largest one by the state one step before, two steps before and so on.
    pub largest: Vec<f64>,
}

impl Jacobians {
    /// Of the net in `last.ckpt` of the run in `folder`.
    ///
    /// # Errors
    /// A folder without a checkpoint, or a damaged one.
    pub fn of_run(folder: &Path) -> Result<Self, TrainError> {
        Self::of(&mut transfer::checkpoint(&folder.join("last.ckpt"))?)
    }

    /// Of a net.
    ///
    /// # Errors
    /// None that a sound net gives.
    pub fn of(net: &mut Net) -> Result<Self, TrainError> {
        let mut rng = stream(0, Purpose::Jacobian, 0, 0);
        let shape = net.arch().input_shape(1);
        let x = match net.arch().input {
            // Any token does: what is asked is how a state goes on behind the embedding.
            Shape::Tokens(_) => ArrayD::zeros(shape),
            _ => ArrayD::from_shape_fn(shape, |_| StandardNormal.sample(&mut rng)),
        };
        let output_by_input = net.input_jacobian(&x)?;
        let mut recurrent = Vec::new();
        for (name, directions) in net.state_jacobians(&x)? {
            let both = directions.len() > 1;
            for (direction, steps) in ["forward", "backward"].into_iter().zip(directions) {
                let layer = if both { format!("{name}, {direction}") } else { name.clone() };
                let largest = steps.iter().rev().skip(1).map(|values| values[0]).collect();
                recurrent.push(OverTime { layer, largest });
            }
        }
        Ok(Self { output_by_input, recurrent })
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let mut out = "singular values of Jacobians, at a random input of mean 0 and deviation 1:\n".to_owned();
        let outputs = self.output_by_input.iter().flatten().map(|v| number(*v)).collect::<Vec<_>>();
        if let (Some(most), Some(least)) = (outputs.first(), outputs.last()) {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "  outputs by inputs: {most} to {least}, median {}", outputs[outputs.len() / 2]);
        }
        for OverTime { layer, largest } in self.recurrent.iter().filter(|layer| !layer.largest.is_empty()) {
            let doubled = std::iter::successors(Some(1), |steps| Some(2 * steps));
            let steps = doubled.take_while(|steps| *steps < largest.len()).chain([largest.len()]);
            let values: Vec<String> = steps.map(|steps| format!("{} ({steps})", number(largest[steps - 1]))).collect();
            let _ = writeln!(out, "  {layer}, last state by that of so many steps before: {}", values.join(", "));
        }
        out
    }
}
