//! Constants that are quantized: `real = scale * (number - zero point)`, for all or along an axis.

use ndarray::{ArrayD, IxDyn};

use super::Job;
use crate::{axes::axis, constant::Constant, error::Error};

/// A constant for each value of an array of these dimensions: one number, or one for each position along `along`.
fn along(job: &Job, index: usize, dims: &[usize], along: usize) -> Result<Option<ArrayD<f32>>, Error> {
    let Some(constant) = job.optional(index) else { return Ok(None) };
    let values: Vec<f32> = match constant {
        Constant::Float(a) => a.iter().copied().collect(),
        Constant::Int(a) => a.iter().map(|&v| v as f32).collect(),
    };
    let mut shape = vec![1; dims.len()];
    if values.len() != 1 {
        match shape.get_mut(along) {
            Some(length) if values.len() == dims[along] => *length = values.len(),
            _ => {
                return Err(job
                    .node
                    .wrong(format!("input {index} has {} numbers for {dims:?} along axis {along}", values.len())));
            }
        }
    }
    ArrayD::from_shape_vec(IxDyn(&shape), values).map(Some).map_err(|e| job.misfit(e))
}

fn scales(job: &Job, dims: &[usize]) -> Result<(ArrayD<f32>, Option<ArrayD<f32>>), Error> {
    if job.node.int("block_size")?.unwrap_or(0) != 0 {
        return Err(job.node.unsupported("block_size", "(present)", "one scale, or one along an axis"));
    }
    let given = job.node.int("axis")?.unwrap_or(1);
    // Of one scale for all the axis means nothing, and may lie outside.
    let place = if dims.is_empty() { 0 } else { axis(job.node, "axis", given, dims.len()).unwrap_or(0) };
    let scale = along(job, 1, dims, place)?.ok_or_else(|| job.node.wrong("input 1 is missing"))?;
    Ok((scale, along(job, 2, dims, place)?))
}

/// DequantizeLinear.
pub(super) fn dequantize(job: &Job) -> Result<Constant, Error> {
    let data = job.input(0)?;
    let Constant::Int(numbers) = data else { return Err(job.node.wrong("input 0 must be integers")) };
    let (scale, zero) = scales(job, numbers.shape())?;
    job.room(numbers.shape(), data)?;
    let reals = numbers.mapv(|v| v as f32);
    Ok(Constant::Float(match zero {
        Some(zero) => (reals - zero) * scale,
        None => reals * scale,
    }))
}

/// QuantizeLinear to int8 or uint8, halves to even.
pub(super) fn quantize(job: &Job) -> Result<Constant, Error> {
    let data = job.input(0)?;
    let Constant::Float(reals) = data else { return Err(job.node.wrong("input 0 must be floats")) };
    let (scale, zero) = scales(job, reals.shape())?;
    job.room(reals.shape(), &Constant::from_shape(&[]))?;
    let steps = (reals / &scale).mapv(f32::round_ties_even);
    let numbers = match zero {
        Some(zero) => steps + zero,
        None => steps,
    };
    // Both types' ends: which of the two it is, the zero point's type says, which is not kept; no file goes beyond its own.
    #[expect(clippy::cast_possible_truncation, reason = "clamped")]
    let ints = numbers.mapv(|v| v.clamp(-128.0, 255.0) as i64);
    Ok(Constant::Int(ints))
}
