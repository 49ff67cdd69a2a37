//! Constants that are made, counted, or of another type.

use std::ops::RangeInclusive;

use ndarray::{ArrayD, IxDyn};
use tract_onnx::pb::tensor_proto::DataType;

use super::Job;
use crate::{constant::Constant, error::Error};

pub fn constant(job: &Job) -> Result<Constant, Error> {
    let node = job.node;
    let (float, int, ints) = (node.float("value_float")?, node.int("value_int")?, node.ints("value_ints")?);
    let floats = node.floats("value_floats")?;
    match (node.tensor("value", job.budget)?, float, int, ints) {
        (Some(c), ..) => Ok(c),
        (_, Some(v), ..) => Ok(Constant::Float(ArrayD::from_elem(IxDyn(&[]), v))),
        (_, _, Some(v), _) => Ok(Constant::Int(ArrayD::from_elem(IxDyn(&[]), v))),
        (_, _, _, Some(v)) => {
            job.room(&[v.len()], &Constant::from_shape(&[]))?;
            Ok(Constant::Int(ArrayD::from_shape_vec(IxDyn(&[v.len()]), v.to_vec()).map_err(|e| job.misfit(e))?))
        }
        _ => {
            let supported = "value, value_float, value_int, value_floats, value_ints";
            let floats = floats.ok_or_else(|| node.unsupported("value", "(another kind)", supported))?;
            job.room(&[floats.len()], &Constant::from_shape(&[]))?;
            let floats = ArrayD::from_shape_vec(IxDyn(&[floats.len()]), floats.to_vec());
            Ok(Constant::Float(floats.map_err(|e| job.misfit(e))?))
        }
    }
}

pub fn constant_of_shape(job: &Job) -> Result<Constant, Error> {
    let dims = job.lengths(0)?;
    let value = match job.node.tensor("value", job.budget)? {
        None => Constant::Float(ArrayD::zeros(IxDyn(&[1]))),
        Some(c) if c.shape().iter().all(|&d| d == 1) => c,
        Some(c) => return Err(job.node.unsupported("value", format!("of shape {:?}", c.shape()), "one number")),
    };
    job.room(&dims, &value)?;
    Ok(both!(&value, a => ArrayD::from_elem(dims, a.iter().copied().next().unwrap_or_default())))
}

pub fn identity(job: &Job) -> Result<Constant, Error> {
    let c = job.input(0)?;
    job.room(c.shape(), c)?;
    Ok(c.clone())
}

/// The integers that a type has; `None` for floats and what is no number.
fn integers(kind: DataType) -> Option<RangeInclusive<i64>> {
    Some(match kind {
        DataType::Bool => 0..=1,
        DataType::Uint8 => 0..=u8::MAX.into(),
        DataType::Int8 => i8::MIN.into()..=i8::MAX.into(),
        DataType::Uint16 => 0..=u16::MAX.into(),
        DataType::Int16 => i16::MIN.into()..=i16::MAX.into(),
        DataType::Uint32 => 0..=u32::MAX.into(),
        DataType::Int32 => i32::MIN.into()..=i32::MAX.into(),
        DataType::Uint64 => 0..=i64::MAX,
        DataType::Int64 => i64::MIN..=i64::MAX,
        _ => return None,
    })
}

/// Rounds towards zero, as ONNX does; `None` for what is no i64.
fn whole(v: f32) -> Option<i64> {
    // 2^63 is the first float beyond; a NaN is in no range.
    let inside = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&v);
    #[expect(clippy::cast_possible_truncation, reason = "the range was asked for before")]
    let whole = v as i64;
    inside.then_some(whole)
}

/// Cast. Halves and doubles are f32 here, as everywhere.
pub fn cast(job: &Job) -> Result<Constant, Error> {
    let (c, to) = (job.input(0)?, job.node.int("to")?.unwrap_or(0));
    let kind = i32::try_from(to).ok().and_then(|to| DataType::try_from(to).ok()).unwrap_or(DataType::Undefined);
    // An integer takes 8 bytes, a float 4: room for the larger.
    job.room(c.shape(), &Constant::from_shape(&[]))?;
    if let DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16 = kind {
        return Ok(match c {
            Constant::Int(a) => Constant::Float(a.mapv(|v| v as f32)),
            Constant::Float(a) => Constant::Float(a.clone()),
        });
    }
    let range = integers(kind)
        .ok_or_else(|| job.node.unsupported("to", to, "float, float16, bfloat16, double, integers, bool"))?;
    let truth = kind == DataType::Bool;
    let ints: Option<Vec<i64>> = match c {
        Constant::Float(a) => a.iter().map(|&v| if truth { Some(i64::from(v != 0.0)) } else { whole(v) }).collect(),
        Constant::Int(a) => Some(a.iter().map(|&v| if truth { i64::from(v != 0) } else { v }).collect()),
    };
    let ints = ints.filter(|ints| ints.iter().all(|v| range.contains(v)));
    let ints = ints.and_then(|ints| ArrayD::from_shape_vec(IxDyn(c.shape()), ints).ok());
    ints.map(Constant::Int).ok_or_else(|| job.node.wrong("holds a number that the new type has not"))
}

/// Range: from a start up to a limit, exclusive, some steps apart.
pub fn range(job: &Job) -> Result<Constant, Error> {
    let [start, limit, step] = [job.input(0)?, job.input(1)?, job.input(2)?];
    let wrong = || job.node.wrong("start, limit and delta must be one number each of one type, and delta not 0");
    match (start, limit, step) {
        (Constant::Int(a), Constant::Int(b), Constant::Int(c)) if [a.len(), b.len(), c.len()] == [1; 3] => {
            let [a, b, c] = [a, b, c].map(|v| v.iter().copied().next().unwrap_or(0));
            let room = if c > 0 { b.checked_sub(a) } else { a.checked_sub(b) }.filter(|_| c != 0).ok_or_else(wrong)?;
            let count = room.max(0).unsigned_abs().div_ceil(c.unsigned_abs());
            let count = usize::try_from(count).map_err(|_| wrong())?;
            job.room(&[count], start)?;
            let values: Vec<i64> = std::iter::successors(Some(a), |v| v.checked_add(c)).take(count).collect();
            Ok(Constant::Int(ArrayD::from_shape_vec(IxDyn(&[count]), values).map_err(|e| job.misfit(e))?))
        }
        (Constant::Float(a), Constant::Float(b), Constant::Float(c)) if [a.len(), b.len(), c.len()] == [1; 3] => {
            let [a, b, c] = [a, b, c].map(|v| v.iter().copied().next().unwrap_or(0.0));
            let count = whole(((b - a) / c).ceil().max(0.0)).and_then(|n| usize::try_from(n).ok()).ok_or_else(wrong)?;
            job.room(&[count], start)?;
            let values = (0..count).map(|i| a + i as f32 * c).collect();
            Ok(Constant::Float(ArrayD::from_shape_vec(IxDyn(&[count]), values).map_err(|e| job.misfit(e))?))
        }
        _ => Err(wrong()),
    }
}

/// NonZero: the places of what is not 0, a row for each dimension.
pub fn non_zero(job: &Job) -> Result<Constant, Error> {
    let data = job.input(0)?;
    let shape = data.shape();
    // Room for the largest result and for the truths.
    let most = shape.iter().fold(shape.len().max(1), |n, &d| n.saturating_mul(d.max(1)));
    job.room(&[most], &Constant::from_shape(&[]))?;
    let found: Vec<bool> = match data {
        Constant::Float(a) => a.iter().map(|&v| v != 0.0).collect(),
        Constant::Int(a) => a.iter().map(|&v| v != 0).collect(),
    };
    let places = (0..found.len()).filter(|&i| found[i]);
    let count = places.clone().count();
    let mut rows = vec![];
    for dim in 0..shape.len() {
        let inner: usize = shape[dim + 1..].iter().product();
        rows.extend(places.clone().map(|i| i64::try_from(i / inner % shape[dim]).unwrap_or(i64::MAX)));
    }
    let dims = IxDyn(&[shape.len(), count]);
    Ok(Constant::Int(ArrayD::from_shape_vec(dims, rows).map_err(|e| job.misfit(e))?))
}
