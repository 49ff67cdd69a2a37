//! Everything that a net computes on its way, for whoever wants to measure it.

use ndarray::{ArrayD, Axis};

use super::{Batch, EVALUATION_BATCH, Net, NetError};
use crate::{engine::scalar::Scalar, layers::Mode};

impl<T: Scalar> Net<T> {
    /// Runs samples in evaluation; `see` is shown each value of each part of the batch: 0 is the input,
    /// `i + 1` what node `i` gives.
    ///
    /// # Errors
    /// [`NetError`] if shapes do not fit, and [`NetError::Interrupted`].
    pub fn observe<'a>(
        &mut self,
        batch: impl Into<Batch<'a, T>>,
        mut see: impl FnMut(usize, &ArrayD<T>),
    ) -> Result<(), NetError> {
        let Batch { x, lengths } = batch.into();
        self.check_input(Batch { x, lengths })?;
        for (i, part) in x.axis_chunks_iter(Axis(0), EVALUATION_BATCH).enumerate() {
            let part = part.as_standard_layout().into_owned();
            let lengths = lengths.map(|all| &all[i * EVALUATION_BATCH..][..part.shape()[0]]);
            self.forward(Batch { x: &part, lengths }, Mode::Evaluate)?;
            see(0, &part);
            self.values.iter().enumerate().for_each(|(i, value)| see(i + 1, value));
        }
        Ok(())
    }
}
