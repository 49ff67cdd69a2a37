//! Another arithmetic in the place of the layers' own.

use std::fmt::Debug;

use ndarray::{Array2, ArrayD};

use super::{Batch, Net, NetError};
use crate::engine::scalar::Scalar;

/// Computes what the layers only help to find gradients of. In a training step every node still runs forward, on what the
/// stand-in gave in the place of the nodes before it, so that it knows what it needs on the way back; then the stand-in
/// replaces what the node gave.
pub trait StandIn<T: Scalar>: Debug + Send + Sync {
    /// A training step begins; returns the inputs in its own arithmetic. May put other weights into the net until
    /// [`StandIn::end`].
    ///
    /// # Errors
    /// [`NetError::StandIn`].
    fn begin(&mut self, net: &mut Net<T>, batch: Batch<'_, T>) -> Result<ArrayD<T>, NetError>;

    /// Node `node` gave `y`; puts its own in the place.
    fn gave(&mut self, node: usize, y: &mut ArrayD<T>);

    /// `dy` is the gradient by what was put in the place of `y`; makes it that by `y`.
    fn gradient(&self, node: usize, dy: &mut ArrayD<T>);

    /// The step is over: the net gets its weights back.
    fn end(&mut self, net: &mut Net<T>);

    /// What [`Net::predict`] is to return.
    ///
    /// # Errors
    /// [`NetError::StandIn`].
    fn predict(&mut self, net: &mut Net<T>, batch: Batch<'_, T>) -> Result<Array2<T>, NetError>;

    /// Numbers of its own that belong into a checkpoint, under their name.
    fn buffer(&mut self) -> (String, &mut [T]);

    /// The range of each tensor of the exported graph inside which it tells values apart.
    fn ranges(&self) -> Vec<(String, (T, T))>;
}

impl<T: Scalar> Net<T> {
    /// From now on `stand_in` computes what the net gives.
    pub fn set_stand_in(&mut self, stand_in: Box<dyn StandIn<T>>) {
        self.stand_in = Some(stand_in);
    }

    /// The one that was set.
    pub fn stand_in(&self) -> Option<&dyn StandIn<T>> {
        self.stand_in.as_deref()
    }

    /// Shows the stand-in, if there is one, the net without it.
    pub(super) fn with_stand_in<R>(&mut self, work: impl FnOnce(&mut dyn StandIn<T>, &mut Self) -> R) -> Option<R> {
        let mut stand_in = self.stand_in.take()?;
        let result = work(&mut *stand_in, self);
        self.stand_in = Some(stand_in);
        Some(result)
    }
}
