//! The f32 meaning of a [`Graph`], every tensor in sight: calibration and layer errors are measured against it.

use crate::{
    budget::evaluators,
    graph::{Graph, Input, Map, Meaning},
    shape::TensorId,
};

/// Runs one graph again and again on the same buffers.
pub struct Evaluator<'g> {
    graph: &'g Graph,
    /// The current value of every tensor.
    values: Vec<Vec<f32>>,
    /// What each node keeps from step to step.
    states: Vec<Vec<f32>>,
}

/// How many of `picks` samples one evaluator takes after the other, such that all cores have work, in `parts` portions each, but
/// no more evaluators are at work than memory is for.
pub fn share(graph: &Graph, picks: usize, parts: usize) -> usize {
    let values: usize = (0..graph.tensors.len()).map(|id| graph.len(id)).sum();
    let (threads, fit) = (rayon::current_num_threads(), evaluators(values.saturating_mul(graph.steps) as u64));
    picks.div_ceil(if fit < threads { fit } else { threads * parts }).max(1)
}

impl<'g> Evaluator<'g> {
    /// Buffers for a graph.
    pub fn new(graph: &'g Graph) -> Self {
        let values = (0..graph.tensors.len()).map(|id| vec![0.0; graph.len(id)]).collect();
        let states = graph.nodes.iter().map(|n| vec![0.0; n.op.state_len()]).collect();
        Evaluator { graph, values, states }
    }

    /// One decision: `sample` is `[steps][input][height][width][channel]`. `observe` sees every tensor in every step. Gives the first
    /// output; [`Evaluator::value`] gives the others.
    ///
    /// # Panics
    /// If `sample` is not [`Graph::sample_len`] long; samples are checked where they are read.
    pub fn run(&mut self, sample: &[f32], mut observe: impl FnMut(TensorId, &[f32])) -> &[f32] {
        let graph = self.graph;
        assert_eq!(sample.len(), graph.sample_len(), "a sample of the wrong length");
        self.states.iter_mut().for_each(|state| state.fill(0.0));
        for mut step in sample.chunks_exact(graph.step_len()) {
            for Input { tensor, .. } in &graph.inputs {
                let (values, rest) = step.split_at(graph.len(*tensor));
                self.values[*tensor].copy_from_slice(values);
                graph.tensors[*tensor].round(&mut self.values[*tensor]);
                observe(*tensor, &self.values[*tensor]);
                step = rest;
            }
            for (node, state) in graph.nodes.iter().zip(&mut self.states) {
                let mut out = std::mem::take(&mut self.values[node.output]);
                let input = |&id: &TensorId| Map { values: &self.values[id], shape: graph.shape(id) };
                let inputs: Vec<Map> = node.inputs.iter().map(input).collect();
                node.op.eval(&inputs, state, &mut out, graph.shape(node.output));
                graph.tensors[node.output].round(&mut out);
                observe(node.output, &out);
                self.values[node.output] = out;
            }
        }
        self.value(graph.output())
    }

    /// What a tensor holds after the last step.
    pub fn value(&self, id: TensorId) -> &[f32] {
        &self.values[id]
    }
}

/// Scores as a reader knows them: probabilities where the network ended in a softmax or sigmoid.
pub(crate) fn read_off(kind: Meaning, logits: &[f32]) -> Vec<f32> {
    match kind {
        Meaning::Plain | Meaning::Probabilities | Meaning::State => logits.to_vec(),
        Meaning::Sigmoid => logits.iter().map(|x| 1.0 / (1.0 + libm::expf(-x))).collect(),
        Meaning::Softmax => {
            let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let powers: Vec<f32> = logits.iter().map(|x| libm::expf(x - largest)).collect();
            let sum: f32 = powers.iter().sum();
            powers.iter().map(|p| p / sum).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_sums_to_one() {
        let p = read_off(Meaning::Softmax, &[1000.0, 1001.0, -1000.0]);
        assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-6 && p[1] > p[0] && p[2] == 0.0, "{p:?}");
        assert_eq!(read_off(Meaning::Sigmoid, &[0.0]), [0.5]);
    }
}
