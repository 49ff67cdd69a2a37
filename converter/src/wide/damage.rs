//! What int8 does to the outputs, one set of tensors after the other: these rounded to their int8 steps, all else float.

use rayon::prelude::*;

use super::Ranked;
use crate::{
    error::Error,
    eval::Evaluator,
    graph::{Graph, Map},
    qgraph::QGraph,
    samples::{Samples, spread},
    scale::Scale,
    shape::TensorId,
    widths::Ties,
};

/// Multiply-accumulates that all runs together may take.
const WORK: u64 = 1 << 37;

/// Most samples.
const SAMPLES: usize = 32;

/// Tensors of one width.
#[derive(Clone, Debug)]
pub struct Part {
    /// The first of them.
    pub first: TensorId,
    /// All.
    tensors: Vec<TensorId>,
    /// Noise for each unit of signal, at the output that has most.
    damage: f64,
    /// Multiply-accumulates of the steps around them.
    macs: u64,
    /// Values that they have together.
    values: u64,
}

impl Part {
    /// What it takes in 16 bits, in products: two more for each one around it, and moving its values.
    fn cost(&self) -> f64 {
        (2 * self.macs + self.values).max(1) as f64
    }

    /// For the report.
    pub fn ranked(&self, graph: &Graph, wide: bool) -> Ranked {
        let made = graph.nodes.iter().find(|n| self.tensors.contains(&n.output));
        Ranked {
            layer: made.map_or_else(|| graph.tensors[self.first].name.clone(), |n| n.name.clone()),
            tensors: self.tensors.len(),
            snr_db: -10.0 * self.damage.log10(),
            macs: self.macs,
            bytes: self.values,
            wide,
        }
    }
}

/// All sets that may be int16, those that do most damage for what they take first, and what weights make of these, those first whose weights
/// do most damage for their products. `narrow` has the int8 scales.
///
/// # Errors
/// [`Error::Samples`] if a sample cannot be read.
pub fn parts(
    graph: &Graph,
    ties: &Ties,
    narrow: &QGraph,
    samples: &dyn Samples,
    picks: &[usize],
    progress: fn(&str),
) -> Result<(Vec<Part>, Vec<TensorId>), Error> {
    let mut parts: Vec<Part> = vec![];
    let mut place = vec![None; graph.tensors.len()];
    let tensors = graph.inputs.iter().map(|i| i.tensor).chain(graph.nodes.iter().map(|n| n.output));
    for id in tensors.filter(|&id| ties.is_free(id)) {
        let at = *place[ties.width(id)].get_or_insert(parts.len());
        if at == parts.len() {
            parts.push(Part { first: id, tensors: vec![], damage: 0.0, macs: 0, values: 0 });
        }
        parts[at].tensors.push(id);
        parts[at].values += graph.len(id) as u64;
    }
    for part in &mut parts {
        let around =
            graph.nodes.iter().filter(|n| part.tensors.iter().any(|id| *id == n.output || n.inputs.contains(id)));
        part.macs = around.map(|n| n.op.cost(graph.shape(n.output)).macs).sum();
    }
    let decision = graph.macs().saturating_mul(graph.steps as u64).max(1);
    let runs = usize::try_from(WORK / decision).unwrap_or(usize::MAX) * 2 / parts.len().max(1);
    let some: Vec<usize> = spread(samples, runs.clamp(1, SAMPLES)).into_iter().take(picks.len()).collect();
    let mut sums = vec![vec![0.0; graph.outputs.len()]; parts.len()];
    let mut signal = vec![0.0; graph.outputs.len()];
    // Of each tensor itself: values and errors, squared.
    let mut own = vec![(0.0, 0.0); graph.tensors.len()];
    for (done, &pick) in some.iter().enumerate() {
        if (done + 1).is_multiple_of(some.len().div_ceil(4)) || done + 1 == some.len() {
            progress(&format!(
                "sensitivity of {} sets of activations: sample {} of {}",
                parts.len(),
                done + 1,
                some.len()
            ));
        }
        let sample = samples.get(pick)?;
        let base = values(graph, &sample);
        for &id in parts.iter().flat_map(|part| &part.tensors) {
            let scale = narrow.tensors[id].scale;
            for &v in &base[base.len() - 1][id] {
                own[id].0 += f64::from(v).powi(2);
                own[id].1 += (f64::from(v) - f64::from(scale.dequantize(scale.number(v)))).powi(2);
            }
        }
        let expected: Vec<&[f32]> = graph.outputs.iter().map(|o| &base[base.len() - 1][o.tensor][..]).collect();
        for (signal, expected) in signal.iter_mut().zip(&expected) {
            *signal += expected.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
        }
        let noises: Vec<Vec<f64>> = parts
            .par_iter()
            .map(|part| {
                let found = rounded(graph, &base, &part.tensors, narrow);
                let noise = |(a, b): (&&[f32], &Vec<f32>)| {
                    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>()
                };
                expected.iter().zip(&found).map(noise).collect()
            })
            .collect();
        for (sums, noises) in sums.iter_mut().zip(&noises) {
            sums.iter_mut().zip(noises).for_each(|(sum, noise)| *sum += noise);
        }
    }
    for (part, sums) in parts.iter_mut().zip(&sums) {
        let shares = sums.iter().zip(&signal).map(|(noise, signal)| noise / signal.max(f64::MIN_POSITIVE));
        part.damage = shares.fold(0.0, f64::max);
    }
    let layers = layers(graph, &parts, &own);
    // Stable: of equals, the first in the graph goes first.
    parts.sort_by(|a, b| (b.damage / b.cost()).total_cmp(&(a.damage / a.cost())));
    Ok((parts, layers))
}

/// What weights make, those first whose int8 weights do most damage for their products: noise that weights bring into a tensor reaches the
/// outputs as that of its rounding does.
fn layers(graph: &Graph, parts: &[Part], own: &[(f64, f64)]) -> Vec<TensorId> {
    let mut layers = vec![];
    for node in &graph.nodes {
        let (id, sets) = (node.output, node.op.weights());
        let Some(part) = parts.iter().find(|part| part.tensors.contains(&id)).filter(|_| !sets.is_empty()) else {
            continue;
        };
        let depth = |values: &[f32]| (values.len() / graph.shape(id)[2]).max(1);
        let rows = sets.iter().flat_map(|(_, values)| values.chunks(depth(values)));
        let (mut signal, mut noise) = (0.0, 0.0);
        for row in rows {
            let unit = f64::from(row.iter().fold(0.0f32, |m, w| m.max(w.abs()))).max(1e-30) / 127.0;
            for &w in row {
                let steps = f64::from(w) / unit;
                signal += f64::from(w).powi(2);
                noise += ((steps - steps.round()) * unit).powi(2);
            }
        }
        let rounding: f64 = part.tensors.iter().map(|&id| own[id].1 / own[id].0.max(f64::MIN_POSITIVE)).sum();
        let gain = part.damage / rounding.max(f64::MIN_POSITIVE);
        let macs = node.op.cost(graph.shape(id)).macs.max(1);
        layers.push((noise / signal.max(f64::MIN_POSITIVE) * gain / macs as f64, id));
    }
    layers.sort_by(|a, b| b.0.total_cmp(&a.0));
    layers.into_iter().map(|(_, id)| id).collect()
}

/// What all tensors hold, in each step.
fn values(graph: &Graph, sample: &[f32]) -> Vec<Vec<Vec<f32>>> {
    let mut all = vec![];
    let mut now = vec![vec![]; graph.tensors.len()];
    let last = graph.nodes.last().map_or(graph.output(), |n| n.output);
    Evaluator::new(graph).run(sample, |id, values| {
        now[id] = values.to_vec();
        if id == last {
            all.push(std::mem::replace(&mut now, vec![vec![]; graph.tensors.len()]));
        }
    });
    all
}

/// The outputs after the last step, if these tensors are rounded. What nothing of that reaches is as it was.
fn rounded(graph: &Graph, base: &[Vec<Vec<f32>>], tensors: &[TensorId], narrow: &QGraph) -> Vec<Vec<f32>> {
    let mut states: Vec<Vec<f32>> = graph.nodes.iter().map(|n| vec![0.0; n.op.state_len()]).collect();
    let mut touched = vec![false; graph.nodes.len()];
    let mut changed: Vec<Option<Vec<f32>>> = vec![];
    for base in base {
        changed = vec![None; graph.tensors.len()];
        let steps = |id: TensorId, values: &mut [f32]| {
            let scale: Scale = narrow.tensors[id].scale;
            values.iter_mut().for_each(|v| *v = scale.dequantize(scale.number(*v)));
        };
        for input in graph.inputs.iter().map(|i| i.tensor).filter(|id| tensors.contains(id)) {
            let mut values = base[input].clone();
            steps(input, &mut values);
            changed[input] = Some(values);
        }
        for ((node, state), touched) in graph.nodes.iter().zip(&mut states).zip(&mut touched) {
            let own = tensors.contains(&node.output);
            // What keeps a state is computed from the first change on, and before, so that the state is there.
            let reached = *touched || !state.is_empty() || node.inputs.iter().any(|&i| changed[i].is_some());
            if !reached && !own {
                continue;
            }
            let mut out = match reached {
                false => base[node.output].clone(),
                true => {
                    let value = |&id: &TensorId| changed[id].as_deref().unwrap_or(&base[id]);
                    let inputs: Vec<Map> =
                        node.inputs.iter().map(|id| Map { values: value(id), shape: graph.shape(*id) }).collect();
                    let mut out = vec![0.0; graph.len(node.output)];
                    node.op.eval(&inputs, state, &mut out, graph.shape(node.output));
                    graph.tensors[node.output].round(&mut out);
                    out
                }
            };
            if own {
                steps(node.output, &mut out);
            }
            *touched |= reached;
            changed[node.output] = Some(out);
        }
    }
    let last = base.last();
    let output = |o: &crate::graph::Output| {
        let before = || last.map_or_else(Vec::new, |base| base[o.tensor].clone());
        changed.get(o.tensor).cloned().flatten().unwrap_or_else(before)
    };
    graph.outputs.iter().map(output).collect()
}
