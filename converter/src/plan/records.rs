//! The file's tensor records.

use escarp_runtime::{Dtype, Tensor, TensorId};

use crate::{error::Error, scale::Scale, shape::Shape};

/// The records so far.
#[derive(Default)]
pub(super) struct Records(pub Vec<Tensor>);

/// What a record says besides its shape and place.
pub(super) struct Kind {
    pub scale: Scale,
    pub dtype: Dtype,
    pub state: bool,
}

impl Records {
    /// Adds the record of a tensor at an offset, and gives its number.
    ///
    /// # Errors
    /// [`Error::Pack`] if a side, the offset or the number does not fit, which whoever read the graph should have said before.
    pub fn add(&mut self, name: &str, shape: Shape, offset: u64, kind: &Kind) -> Result<TensorId, Error> {
        let wrong = || Error::Pack(format!("`{name}`: {shape:?} at {offset} does not fit a record"));
        let [height, width, channels] = shape.map(|d| u16::try_from(d).ok());
        let id = TensorId::try_from(self.0.len());
        let id = id.map_err(|_| Error::Pack(format!("{} tensors; allowed: 65535", self.0.len() + 1)))?;
        self.0.push(Tensor {
            offset: u32::try_from(offset).map_err(|_| wrong())?,
            height: height.ok_or_else(wrong)?,
            width: width.ok_or_else(wrong)?,
            channels: channels.ok_or_else(wrong)?,
            scale: kind.scale.scale,
            zero_point: kind.scale.zero_point,
            dtype: kind.dtype,
            state: kind.state,
        });
        Ok(id)
    }
}
