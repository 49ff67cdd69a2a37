//! How long a model takes on this machine: percentiles for each kind of step and in all.

use std::time::{Duration, Instant};

use escarp_runtime::{Cpu, Dtype, Model, Port, Session};

use crate::Error;

/// Decisions before the clock counts: caches, page faults, the governor's first steps.
const WARM_UP: usize = 5;

/// Percentiles of one quantity, microseconds a decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// `all`, a step's kind with the number of such steps, or one step.
    pub name: String,
    /// Multiply-accumulates a decision.
    pub macs: u64,
    /// Half of the decisions were at most this.
    pub p50: f64,
    /// Nine in ten.
    pub p90: f64,
    /// 99 in a hundred.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

/// Times `decisions` decisions (every time step of a recurrent model) and returns the whole first, then the kinds of step in
/// order of appearance, then each step. Reading the clock after each step is in the whole: tens of nanoseconds a step.
///
/// # Errors
/// An arena that is too small.
pub fn bench(model: &Model, arena: &mut [i8], cpu: Cpu, decisions: usize) -> Result<Vec<Row>, Error> {
    let mut session = Session::new(model, arena, cpu)?;
    let steps: Vec<_> = model.steps().collect();
    // Any input takes the same time: no kernel looks at values. Xorshift keeps it from being all alike.
    let mut seed = 0x9e37_79b9_u32;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed as i8
    };
    let mut numbers = |port: &Port| (0..port.tensor.elements()).map(|_| random()).collect::<Vec<i8>>();
    let inputs: Vec<(Dtype, Vec<i8>)> = model.inputs().map(|port| (port.tensor.dtype, numbers(&port))).collect();
    let mut whole = Vec::with_capacity(decisions);
    let mut each = vec![Vec::with_capacity(decisions); steps.len()];
    for decision in 0..WARM_UP + decisions {
        let mut spent = vec![Duration::ZERO; steps.len()];
        session.reset();
        let began = Instant::now();
        for _ in 0..model.sequence() {
            for (at, (dtype, numbers)) in inputs.iter().enumerate() {
                match dtype {
                    Dtype::I8 => session.set_input(at, numbers)?,
                    Dtype::I16 => session.set_input(at, &numbers.iter().map(|&q| q.into()).collect::<Vec<i16>>())?,
                    Dtype::I32 => session.set_input(at, &numbers.iter().map(|&q| q.into()).collect::<Vec<i32>>())?,
                }
            }
            let mut last = Instant::now();
            session.infer_traced(|index, _, _| {
                let now = Instant::now();
                spent[index] += now - last;
                last = now;
            })?;
        }
        if decision >= WARM_UP {
            whole.push(began.elapsed());
            each.iter_mut().zip(spent).for_each(|(all, one)| all.push(one));
        }
    }
    let runs = u64::from(model.sequence());
    let mut rows = vec![Row::new("all".into(), model.macs() * runs, whole)];
    let mut kinds: Vec<&str> = Vec::new();
    for step in &steps {
        if !kinds.contains(&step.name()) {
            kinds.push(step.name());
        }
    }
    for kind in kinds {
        let members: Vec<usize> = (0..steps.len()).filter(|&i| steps[i].name() == kind).collect();
        let times = (0..decisions).map(|d| members.iter().map(|&i| each[i][d]).sum()).collect();
        let macs = members.iter().filter_map(|&i| Some(steps[i].cost(model)?.macs)).sum::<u64>() * runs;
        rows.push(Row::new(format!("{} {kind}", members.len()), macs, times));
    }
    for (index, (step, times)) in steps.iter().zip(each).enumerate() {
        rows.push(Row::new(
            format!("step {index} {}", step.name()),
            step.cost(model).unwrap_or_default().macs * runs,
            times,
        ));
    }
    Ok(rows)
}

impl Row {
    /// Percentiles by nearest rank.
    fn new(name: String, macs: u64, mut times: Vec<Duration>) -> Row {
        times.sort();
        let at = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).max(1) - 1;
            times.get(rank).map_or(0.0, |t| t.as_secs_f64() * 1e6)
        };
        Row { name, macs, p50: at(50), p90: at(90), p99: at(99), max: at(100) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let row = Row::new("x".into(), 0, (1..=200).rev().map(Duration::from_micros).collect());
        assert_eq!([row.p50, row.p90, row.p99, row.max].map(f64::round), [100.0, 180.0, 198.0, 200.0]);
        let row = Row::new("x".into(), 0, vec![Duration::from_micros(7)]);
        assert_eq!([row.p50, row.max].map(f64::round), [7.0, 7.0]);
    }
}
