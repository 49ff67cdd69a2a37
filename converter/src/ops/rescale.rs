//! The same values in other numbers, and within limits, where one of the two tensors is int16: no table is as exact.

use escarp_runtime::ops::{ScaleStep, Step};

use crate::{
    blocks::Block,
    epilogue::Limits,
    error::Error,
    qgraph::{InPlace, Placed, QOp, State},
    rows::Rows,
    scale::{Scale, least_unit, multiplier},
    site::Site,
};

/// A factor and limits.
#[derive(Debug)]
pub struct QRescale {
    /// The input's scale over the output's: multiplier and shift.
    factor: (i32, u8),
    limits: (i16, i16),
}

impl QRescale {
    /// The smallest unit that the output may have, `wide` for an int16 one.
    pub fn least_unit(input: Scale, wide: bool) -> f64 {
        least_unit(wide) * f64::from(input.scale)
    }

    /// For a site.
    ///
    /// # Errors
    /// [`Error::Node`] for a factor without a fixed-point form.
    pub fn new(site: &Site, limits: Limits) -> Result<QRescale, Error> {
        let factor = f64::from(site.inputs[0].scale) / f64::from(site.output.scale);
        let factor = multiplier(factor, site.shift_min()).ok_or_else(|| site.wrong(format!("a factor of {factor}")))?;
        Ok(QRescale { factor, limits: limits.quantized(site.output) })
    }
}

impl QOp for QRescale {
    fn detail(&self) -> String {
        format!("{:?} clamp {}..{}", self.factor, self.limits.0, self.limits.1)
    }

    fn rows(&self) -> Vec<(&'static str, &Rows)> {
        vec![]
    }

    fn refined(&mut self) -> Option<&mut Rows> {
        None
    }

    fn in_place(&self) -> InPlace {
        InPlace::IfItDies(0)
    }

    fn states(&self) -> Vec<State> {
        vec![]
    }

    fn constants(&self) -> Result<Vec<Block>, Error> {
        Ok(vec![])
    }

    fn records(&self, placed: &Placed) -> Result<Vec<Step>, Error> {
        let ((multiplier, shift), (min, max)) = (self.factor, self.limits);
        let (input, output) = (placed.input(0)?.id, placed.output.id);
        Ok(vec![ScaleStep { input, output, multiplier, shift, min, max }.into()])
    }
}
