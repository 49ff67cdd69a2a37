//! Arithmetic of constants, element by element and along axes. Truths are integers, 0 and 1.

use ndarray::{ArrayD, Axis, IxDyn};

use super::Job;
use crate::{axes::axes, constant::Constant, error::Error};

/// Two operands, broadcast, element by element; room for the result must have been taken.
fn zipped<A: Copy, B: Copy, C>(
    job: &Job,
    (a, b): (&ArrayD<A>, &ArrayD<B>),
    dims: &[usize],
    apply: impl Fn(A, B) -> Option<C>,
) -> Result<ArrayD<C>, Error> {
    let (a, b) = a.broadcast(dims).zip(b.broadcast(dims)).ok_or_else(|| job.node.wrong("shapes do not broadcast"))?;
    let made: Option<Vec<C>> = a.iter().zip(b.iter()).map(|(&a, &b)| apply(a, b)).collect();
    let made = made.ok_or_else(|| job.node.wrong("integer overflow or division by 0"))?;
    ArrayD::from_shape_vec(IxDyn(dims), made).map_err(|e| job.misfit(e))
}

fn float(operator: &str, a: f32, b: f32) -> f32 {
    match operator {
        "Add" => a + b,
        "Sub" => a - b,
        "Mul" => a * b,
        "Div" => a / b,
        "Mod" => a % b,
        "Min" => a.min(b),
        "Max" => a.max(b),
        _ => libm::powf(a, b),
    }
}

fn int(operator: &str, a: i64, b: i64) -> Option<i64> {
    match operator {
        "Add" => a.checked_add(b),
        "Sub" => a.checked_sub(b),
        "Mul" => a.checked_mul(b),
        "Div" => a.checked_div(b),
        "Mod" => a.checked_rem(b),
        "Min" => Some(a.min(b)),
        "Max" => Some(a.max(b)),
        _ => a.checked_pow(u32::try_from(b).ok()?),
    }
}

/// Add, Sub, Mul, Div, Mod, Pow of two; Min and Max of any number.
pub fn binary(job: &Job) -> Result<Constant, Error> {
    let (node, operator) = (job.node, job.node.operator());
    // Of remainders, ONNX has two; that of a negative number is told apart.
    let like_c = operator == "Mod" && node.int("fmod")? == Some(1);
    let both_of = |a: &Constant, b: &Constant| {
        let dims = job.broadcast(a.shape(), b.shape())?;
        job.room(&dims, a)?;
        match (a, b) {
            (Constant::Float(_), Constant::Float(_)) if operator == "Mod" && !like_c => {
                Err(node.unsupported("fmod", 0, "1, of floats"))
            }
            (Constant::Float(a), Constant::Float(b)) => {
                Ok(Constant::Float(zipped(job, (a, b), &dims, |a, b| Some(float(operator, a, b)))?))
            }
            (Constant::Int(a), Constant::Int(b)) if operator == "Mod" && !like_c => {
                // The sign is the divisor's.
                let apply = |a: i64, b: i64| {
                    let rest = a.checked_rem(b)?;
                    if rest != 0 && (rest < 0) != (b < 0) { rest.checked_add(b) } else { Some(rest) }
                };
                Ok(Constant::Int(zipped(job, (a, b), &dims, apply)?))
            }
            (Constant::Int(a), Constant::Int(b)) => {
                Ok(Constant::Int(zipped(job, (a, b), &dims, |a, b| int(operator, a, b))?))
            }
            // A power of a float by a whole number.
            (Constant::Float(a), Constant::Int(b)) if operator == "Pow" => {
                Ok(Constant::Float(zipped(job, (a, b), &dims, |a, b| Some(libm::powf(a, b as f32)))?))
            }
            _ => Err(node.wrong("inputs of different types")),
        }
    };
    let most = if matches!(operator, "Min" | "Max") { job.inputs.len() } else { 2 };
    if most == 1 {
        return super::made::identity(job);
    }
    let mut sum = both_of(job.input(0)?, job.input(1)?)?;
    for index in 2..most {
        sum = both_of(&sum, job.input(index)?)?;
    }
    Ok(sum)
}

/// Comparisons, and And and Or of truths.
pub fn compare(job: &Job) -> Result<Constant, Error> {
    let (a, b) = (job.input(0)?, job.input(1)?);
    let dims = job.broadcast(a.shape(), b.shape())?;
    job.room(&dims, &Constant::from_shape(&[]))?;
    fn holds<T: PartialOrd + Default>(operator: &str, a: T, b: T) -> i64 {
        let none = T::default();
        i64::from(match operator {
            "Equal" => a == b,
            "Greater" => a > b,
            "GreaterOrEqual" => a >= b,
            "Less" => a < b,
            "LessOrEqual" => a <= b,
            "And" => a != none && b != none,
            _ => a != none || b != none,
        })
    }
    let operator = job.node.operator();
    Ok(Constant::Int(match (a, b) {
        (Constant::Float(a), Constant::Float(b)) => zipped(job, (a, b), &dims, |a, b| Some(holds(operator, a, b)))?,
        (Constant::Int(a), Constant::Int(b)) => zipped(job, (a, b), &dims, |a, b| Some(holds(operator, a, b)))?,
        _ => return Err(job.node.wrong("inputs of different types")),
    }))
}

/// Where: of two operands the one or the other.
pub fn choose(job: &Job) -> Result<Constant, Error> {
    let (which, a, b) = (job.input(0)?, job.input(1)?, job.input(2)?);
    let Constant::Int(which) = which else { return Err(job.node.wrong("the condition must be truths")) };
    let dims = job.broadcast(&job.broadcast(a.shape(), b.shape())?, which.shape())?;
    job.room(&dims, &Constant::from_shape(&[]))?;
    job.room(&dims, a)?;
    Ok(match (a, b) {
        (Constant::Float(a), Constant::Float(b)) => {
            let pairs = zipped(job, (a, b), &job.broadcast(a.shape(), b.shape())?, |a, b| Some((a, b)))?;
            let pick = |w: i64, (a, b)| Some(if w != 0 { a } else { b });
            Constant::Float(zipped(job, (which, &pairs), &dims, pick)?)
        }
        (Constant::Int(a), Constant::Int(b)) => {
            let pairs = zipped(job, (a, b), &job.broadcast(a.shape(), b.shape())?, |a, b| Some((a, b)))?;
            let pick = |w: i64, (a, b)| Some(if w != 0 { a } else { b });
            Constant::Int(zipped(job, (which, &pairs), &dims, pick)?)
        }
        _ => return Err(job.node.wrong("inputs of different types")),
    })
}

/// Functions of one number.
pub fn unary(job: &Job) -> Result<Constant, Error> {
    let (operator, data) = (job.node.operator(), job.input(0)?);
    job.room(data.shape(), data)?;
    let float = |v: f32| match operator {
        "Neg" => -v,
        "Abs" => v.abs(),
        "Sqrt" => v.sqrt(),
        "Exp" => libm::expf(v),
        "Log" => libm::logf(v),
        "Reciprocal" => 1.0 / v,
        "Floor" => v.floor(),
        "Ceil" => v.ceil(),
        // Halves to the even neighbour.
        _ => v.round_ties_even(),
    };
    match (data, operator) {
        (Constant::Int(a), "Not") => Ok(Constant::Int(a.mapv(|v| i64::from(v == 0)))),
        (Constant::Int(a), "Neg" | "Abs") => {
            let apply = if operator == "Neg" { i64::checked_neg } else { i64::checked_abs };
            let made: Option<Vec<i64>> = a.iter().map(|&v| apply(v)).collect();
            let made = made.ok_or_else(|| job.node.wrong("integer overflow"))?;
            Ok(Constant::Int(ArrayD::from_shape_vec(a.raw_dim(), made).map_err(|e| job.misfit(e))?))
        }
        (Constant::Float(a), _) if operator != "Not" => Ok(Constant::Float(a.mapv(float))),
        _ => Err(job.node.wrong("an input of another type")),
    }
}

/// Clip: between limits that are inputs, or attributes before operator set 11.
pub fn clip(job: &Job) -> Result<Constant, Error> {
    let data = job.input(0)?;
    job.room(data.shape(), data)?;
    let one = |index: usize| job.optional(index).filter(|c| c.shape().iter().product::<usize>() == 1);
    let wrong = || job.node.wrong("limits must be one number each, of the input's type");
    if [1, 2].into_iter().any(|index| job.optional(index).is_some() && one(index).is_none()) {
        return Err(wrong());
    }
    match data {
        Constant::Float(a) => {
            let limit = |index: usize, name: &str| match one(index) {
                Some(Constant::Float(v)) => Ok(v.iter().copied().next()),
                Some(Constant::Int(_)) => Err(wrong()),
                None => job.node.float(name),
            };
            let [low, high] = [limit(1, "min")?, limit(2, "max")?];
            let clipped = |v: f32| v.max(low.unwrap_or(f32::NEG_INFINITY)).min(high.unwrap_or(f32::INFINITY));
            Ok(Constant::Float(a.mapv(clipped)))
        }
        Constant::Int(a) => {
            let limit = |index: usize, none: i64| match one(index) {
                Some(Constant::Int(v)) => Ok(v.iter().copied().next().unwrap_or(none)),
                Some(Constant::Float(_)) => Err(wrong()),
                None => Ok(none),
            };
            let [low, high] = [limit(1, i64::MIN)?, limit(2, i64::MAX)?];
            Ok(Constant::Int(a.mapv(|v| v.max(low).min(high))))
        }
    }
}

/// What a reduction makes of each value before, and of their sum after.
fn parts(operator: &str) -> [fn(f32) -> f32; 2] {
    match operator {
        "ReduceL1" => [f32::abs, |sum| sum],
        "ReduceL2" => [|v| v * v, f32::sqrt],
        "ReduceSumSquare" => [|v| v * v, |sum| sum],
        "ReduceLogSum" => [|v| v, f32::ln],
        _ => [|v| v, |sum| sum],
    }
}

/// Reductions along axes: an attribute in old operator sets, an input since 13 or 18. Of nothing, a sum is 0, a product 1, and the
/// largest the least there is.
pub fn reduce(job: &Job) -> Result<Constant, Error> {
    let (node, operator, data) = (job.node, job.node.operator(), job.input(0)?);
    node.only(&["axes", "keepdims", "noop_with_empty_axes"])?;
    let rank = data.shape().len();
    let given = axes(node, job.optional(1), rank)?.filter(|axes| !axes.is_empty());
    let places = match given {
        Some(places) => places,
        None if node.int("noop_with_empty_axes")? == Some(1) => Vec::new(),
        None => (0..rank).collect(),
    };
    let keep = node.int("keepdims")?.unwrap_or(1) != 0;
    // What the result has may be more than the input, if that is empty.
    let dims: Vec<usize> = (0..rank).filter(|d| !places.contains(d)).map(|d| data.shape()[d]).collect();
    job.room(data.shape(), data)?;
    job.room(&dims, data)?;
    let mut made = match data {
        Constant::Float(a) => {
            let [before, after] = parts(operator);
            let mut a = a.mapv(before);
            for &along in places.iter().rev() {
                a = a.map_axis(Axis(along), |lane| {
                    let all = lane.iter().copied();
                    match operator {
                        "ReduceProd" => all.product(),
                        "ReduceMax" => all.fold(f32::NEG_INFINITY, f32::max),
                        "ReduceMin" => all.fold(f32::INFINITY, f32::min),
                        "ReduceMean" => all.sum::<f32>() / lane.len() as f32,
                        _ => all.sum(),
                    }
                });
            }
            Constant::Float(a.mapv(after))
        }
        Constant::Int(a) => {
            let mut a = a.clone();
            for &along in places.iter().rev() {
                let lane = |lane: ndarray::ArrayView1<i64>| match operator {
                    "ReduceProd" => lane.iter().try_fold(1i64, |p, &v| p.checked_mul(v)),
                    "ReduceSum" => lane.iter().try_fold(0i64, |p, &v| p.checked_add(v)),
                    "ReduceMax" => lane.iter().copied().max(),
                    "ReduceMin" => lane.iter().copied().min(),
                    _ => None,
                };
                let made = a.map_axis(Axis(along), lane);
                let dims = made.raw_dim();
                let all: Option<Vec<i64>> = made.into_iter().collect();
                let all = all.ok_or_else(|| node.wrong("integers that overflow, or have no such reduction"))?;
                a = ArrayD::from_shape_vec(dims, all).map_err(|e| job.misfit(e))?;
            }
            Constant::Int(a)
        }
    };
    if keep {
        made = both!(made, a => places.iter().fold(a, |a, &along| a.insert_axis(Axis(along))));
    }
    Ok(made)
}
