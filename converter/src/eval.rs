//! The f32 meaning of a [`Graph`], every tensor in sight: calibration and layer errors are measured against it.

use crate::{
    budget::evaluators,
    graph::{Graph, Map},
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

    /// One decision: `sample` is `[steps][height][width][channel]`. `observe` sees every tensor after every step.
    ///
    /// # Panics
    /// If `sample` is not [`Graph::sample_len`] long; samples are checked where they are read.
    pub fn run(&mut self, sample: &[f32], mut observe: impl FnMut(TensorId, &[f32])) -> &[f32] {
        let graph = self.graph;
        assert_eq!(sample.len(), graph.sample_len(), "a sample of the wrong length");
        self.states.iter_mut().for_each(|state| state.fill(0.0));
        for step in sample.chunks_exact(graph.len(graph.input)) {
            self.values[graph.input].copy_from_slice(step);
            observe(graph.input, step);
            for (node, state) in graph.nodes.iter().zip(&mut self.states) {
                let mut out = std::mem::take(&mut self.values[node.output]);
                let input = |&id: &TensorId| Map { values: &self.values[id], shape: graph.shape(id) };
                let inputs: Vec<Map> = node.inputs.iter().map(input).collect();
                node.op.eval(&inputs, state, &mut out, graph.shape(node.output));
                observe(node.output, &out);
                self.values[node.output] = out;
            }
        }
        &self.values[graph.output]
    }
}
