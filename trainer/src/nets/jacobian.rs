//! How a net that answers reacts to its input: singular values of Jacobians.
//!
//! Largest values far above 1 say that a small change at one end becomes a large one at the other, and the gradient on
//! its way back with it; far below 1, that it is lost (Saxe et al., ICLR 2014; Pennington et al., NeurIPS 2017).

use nalgebra::DMatrix;
use ndarray::{ArrayD, Axis};

use super::{Batch, EVALUATION_BATCH, Net, NetError, Node, Shape, value};
use crate::{
    engine::scalar::Scalar,
    layers::{Mode, numbers},
};

/// Name of a recurrent layer, and for each of its directions and steps the singular values.
pub type StateJacobians = (String, Vec<Vec<Vec<f64>>>);

impl<T: Scalar> Net<T> {
    /// Singular values, the largest first, of the Jacobian of the outputs by the one sample `x`; `None` for tokens, by
    /// which nothing can be derived. NaN if the Jacobian is not finite.
    ///
    /// Copies of the sample run as a batch, and copy `i` is sent back the gradient that is 1 at output `i` and 0
    /// elsewhere: it comes to the input as row `i`.
    ///
    /// # Errors
    /// [`NetError::Shape`].
    pub fn input_jacobian(&mut self, x: &ArrayD<T>) -> Result<Option<Vec<f64>>, NetError> {
        self.check_one(x)?;
        let (rows, shape) = match self.output {
            Shape::Sequence([frames, classes]) => (frames * classes, vec![frames, classes]),
            _ => (self.arch.classes, vec![self.arch.classes]),
        };
        if let Shape::Tokens(_) = self.arch.input {
            return Ok(None);
        }
        let mut jacobian = Vec::with_capacity(rows * x.len());
        for first in (0..rows).step_by(EVALUATION_BATCH) {
            let copies = EVALUATION_BATCH.min(rows - first);
            let batch = ArrayD::from_shape_vec(self.arch.input_shape(copies), numbers(x).repeat(copies));
            let batch = batch.expect("so many copies of one sample");
            self.forward(Batch::from(&batch), Mode::Evaluate)?;
            let mut d = ArrayD::zeros([&[copies][..], &shape[..]].concat());
            for (i, mut d) in d.outer_iter_mut().enumerate() {
                *d.iter_mut().nth(first + i).expect("one of the outputs") = T::one();
            }
            let by_input = self.backward(Batch::from(&batch), d, Mode::Evaluate, None)?;
            jacobian.extend(numbers(&by_input.expect("evaluation goes back to the input")).iter().map(|v| v.wide()));
        }
        let jacobian = DMatrix::from_row_slice(rows, x.len(), &jacobian);
        // The decomposition of nalgebra does not end on numbers that are not finite.
        Ok(Some(match jacobian.iter().all(|v| v.is_finite()) {
            true => jacobian.singular_values().iter().copied().collect(),
            false => vec![f64::NAN; rows.min(x.len())],
        }))
    }

    /// Of every recurrent layer its name and what
    /// [`Layer::state_jacobians`](crate::layers::Layer::state_jacobians) says of it on the one sample `x`, `[1, frames, inputs]`.
    ///
    /// # Errors
    /// [`NetError::Shape`].
    pub fn state_jacobians(&mut self, x: &ArrayD<T>) -> Result<Vec<StateJacobians>, NetError> {
        self.check_one(x)?;
        self.forward(x.into(), Mode::Evaluate)?;
        let of_node = |node: &Node<T>| {
            let input = value(x, &self.values, *node.inputs.first()?).index_axis(Axis(0), 0).to_owned();
            Some((node.name.clone(), node.layer.state_jacobians(&input)?))
        };
        Ok(self.nodes.iter().filter_map(of_node).collect())
    }

    fn check_one(&self, x: &ArrayD<T>) -> Result<(), NetError> {
        match self.check_input(x.into())? {
            1 => Ok(()),
            _ => Err(NetError::Shape { got: x.shape().to_vec(), expected: self.arch.input_shape(1) }),
        }
    }
}
