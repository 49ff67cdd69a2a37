//! The way back through the nodes of a net.

use ndarray::ArrayD;

use super::{Batch, Net, NetError, Watch, activity::add_gradient, value};
use crate::{
    engine::{interrupt, scalar::Scalar},
    layers::{InputGradient, Mode, Pass},
};

impl<T: Scalar> Net<T> {
    /// Runs all nodes backwards from `d`, the gradient of the last value: in [`Mode::Train`] down to the lowest with
    /// something to train, in [`Mode::Evaluate`] down to the input, whose gradient it returns.
    ///
    /// # Errors
    /// [`NetError::Interrupted`].
    pub(super) fn backward(
        &mut self,
        Batch { x, lengths }: Batch<'_, T>,
        d: ArrayD<T>,
        mode: Mode,
        mut watch: Option<&mut dyn Watch<T>>,
    ) -> Result<Option<ArrayD<T>>, NetError> {
        let mut pass = Pass { mode, lengths, noise: self.noise, conv: &mut self.conv };
        let mut gradients: Vec<Option<ArrayD<T>>> = (0..=self.nodes.len()).map(|_| None).collect();
        gradients[self.nodes.len()] = Some(d);
        let (lowest, to_input) = if mode == Mode::Train { (self.lowest, false) } else { (0, true) };
        // The penalty is part of training alone.
        let penalty = if mode == Mode::Train { self.activity_penalty } else { 0.0 };
        let (last, slope) = (self.nodes.len() - 1, 2.0 * penalty / x.shape()[0] as f64);
        for (i, node) in self.nodes.iter_mut().enumerate().skip(lowest).rev() {
            // What nobody uses has no gradient; the builder makes no such node.
            let Some(mut dy) = gradients[i + 1].take() else { continue };
            if i < last {
                add_gradient(node, &self.values[i], lengths, slope, &mut dy);
            }
            let inputs: Vec<&ArrayD<T>> = node.inputs.iter().map(|&v| value(x, &self.values, v)).collect();
            if let (Mode::Train, Some(stand_in)) = (mode, &self.stand_in) {
                stand_in.gradient(i, &mut dy);
            }
            if let Some(watch) = &mut watch {
                watch.node(&node.name, &*node.layer, &self.values[i], &dy);
            }
            let mut held: Vec<(Earlier, ArrayD<T>)> = Vec::with_capacity(node.inputs.len());
            for (&v, input) in node.inputs.iter().zip(&inputs) {
                held.push(match gradients[v].take() {
                    _ if v <= lowest && !to_input => (Earlier::Unused, ArrayD::zeros(vec![0])),
                    None => (Earlier::None, memory(&mut self.spare, input)),
                    Some(array) => (Earlier::Some, array),
                });
            }
            let mut dx: Vec<InputGradient<'_, T>> = held
                .iter_mut()
                .map(|(earlier, array)| match earlier {
                    Earlier::Unused => InputGradient::Unused,
                    Earlier::None => InputGradient::Write(array),
                    Earlier::Some => InputGradient::Add(array),
                })
                .collect();
            node.layer.backward(&inputs, &self.values[i], &mut dy, &mut dx, &mut pass);
            if let Some(watch) = &mut watch {
                watch.gone_back(&node.name, &*node.layer);
            }
            for (&v, (_, array)) in node.inputs.iter().zip(held) {
                gradients[v] = Some(array);
            }
            self.spare.push(dy);
            if interrupt::asked() {
                return Err(NetError::Interrupted);
            }
        }
        // Batches of other sizes leave arrays that nobody will ask for again: the oldest go.
        let surplus = self.spare.len().saturating_sub(self.nodes.len() + 1);
        self.spare.drain(..surplus);
        Ok(gradients[0].take().filter(|_| to_input))
    }
}

/// What a value's gradient holds before a layer that takes the value adds its part.
enum Earlier {
    /// It is the data, or all below it is frozen: nobody wants its gradient.
    Unused,
    /// Nothing yet.
    None,
    /// The part of another layer.
    Some,
}

/// An array of the shape of `like`, used ones first; its content is unspecified.
fn memory<T: Scalar>(spare: &mut Vec<ArrayD<T>>, like: &ArrayD<T>) -> ArrayD<T> {
    match spare.iter().position(|array| array.shape() == like.shape()) {
        Some(index) => spare.remove(index),
        None => ArrayD::zeros(like.raw_dim()),
    }
}
