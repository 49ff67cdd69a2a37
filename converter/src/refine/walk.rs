//! Float and int8 side by side, node by node: all samples pass a node before the next one is quantized. The int8 half is the
//! runtime itself, on a model of that one node.

use escarp_runtime::{Cpu, Dtype, Model, Session};
use rayon::prelude::*;

use crate::{
    error::Error,
    graph::{Graph, Map, Meaning},
    pack::{About, pack},
    plan::plan,
    qgraph::{QGraph, QNode, QOutput, QTensor},
    samples::Samples,
    scale::nearest_i16,
    shape::TensorId,
};

/// One tensor's values, for each sample those of all steps, one after the other. Integers are `i16` here whether the tensor is int8 or
/// int16.
pub type Values<T> = Vec<Vec<T>>;

/// What all tensors hold that later nodes will read.
pub struct Walk<'g> {
    graph: &'g Graph,
    cpu: Cpu,
    /// How many samples.
    pub samples: usize,
    /// The last node that reads each tensor.
    last: Vec<usize>,
    /// Of the float network, by tensor.
    pub float: Vec<Values<f32>>,
    /// Of the network in integers, by tensor.
    pub ints: Vec<Values<i16>>,
}

/// A value as the tensor holds it.
fn quantized(v: f32, tensor: &QTensor) -> i16 {
    if tensor.dtype == Dtype::I8 {
        tensor.scale.quantize(v).into()
    } else {
        nearest_i16(f64::from(v) / f64::from(tensor.scale.scale))
    }
}

/// A value of an int8 tensor in its own type; nothing is lost.
fn narrow(q: i16) -> i8 {
    i8::try_from(q).unwrap_or(if q < 0 { i8::MIN } else { i8::MAX })
}

/// The last node that reads each tensor.
fn last_read(graph: &Graph) -> Vec<usize> {
    let mut last = vec![0; graph.tensors.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        node.inputs.iter().for_each(|&id| last[id] = at);
    }
    last
}

/// The most values of a step that are held at once.
pub fn most(graph: &Graph) -> usize {
    let (last, mut held) = (last_read(graph), graph.step_len());
    let mut most = held;
    for (at, node) in graph.nodes.iter().enumerate() {
        held += graph.len(node.output);
        most = most.max(held);
        let mut done: Vec<TensorId> = node.inputs.iter().copied().filter(|&id| last[id] == at).collect();
        done.dedup();
        held = held.saturating_sub(done.iter().map(|&id| graph.len(id)).sum());
    }
    most
}

impl<'g> Walk<'g> {
    /// Before the first node. `tensors` have the scales of the inputs.
    ///
    /// # Errors
    /// [`Error::Samples`] if a sample cannot be read.
    pub fn new(
        graph: &'g Graph,
        tensors: &[QTensor],
        samples: &dyn Samples,
        picks: &[usize],
        cpu: Cpu,
    ) -> Result<Self, Error> {
        let read = picks.par_iter().map(|&pick| samples.get(pick)).collect::<Result<Vec<_>, _>>()?;
        let last = last_read(graph);
        let mut float = vec![vec![]; graph.tensors.len()];
        let mut ints = vec![vec![]; graph.tensors.len()];
        let mut start = 0;
        for input in &graph.inputs {
            let (id, len) = (input.tensor, graph.len(input.tensor));
            let part = |sample: &Vec<f32>| -> Vec<f32> {
                sample.chunks_exact(graph.step_len()).flat_map(|step| &step[start..start + len]).copied().collect()
            };
            float[id] = read.iter().map(part).collect();
            ints[id] = float[id].iter().map(|v| v.iter().map(|&v| quantized(v, &tensors[id])).collect()).collect();
            start += len;
        }
        Ok(Walk { graph, cpu, samples: picks.len(), last, float, ints })
    }

    /// What a node makes in the float network.
    pub fn floats(&self, at: usize) -> Values<f32> {
        let (graph, node) = (self.graph, &self.graph.nodes[at]);
        let len = graph.len(node.output);
        let of = |sample: usize| {
            let mut state = vec![0.0; node.op.state_len()];
            let mut all = vec![0.0; len * graph.steps];
            for (step, out) in all.chunks_exact_mut(len).enumerate() {
                let input = |&id: &TensorId| {
                    let values = &self.float[id][sample][step * graph.len(id)..][..graph.len(id)];
                    Map { values, shape: graph.shape(id) }
                };
                let inputs: Vec<Map> = node.inputs.iter().map(input).collect();
                node.op.eval(&inputs, &mut state, out, graph.shape(node.output));
            }
            all
        };
        (0..self.samples).into_par_iter().map(of).collect()
    }

    /// What a node makes in the network in integers, and the node again; nothing where a tensor is int32.
    ///
    /// # Errors
    /// [`Error::Pack`] if it cannot be packed or run.
    pub fn ints(&self, node: QNode, tensors: &[QTensor]) -> Result<(QNode, Values<i16>), Error> {
        // Numbers of int32 stand at the end, where nothing is left to refine.
        if node.inputs.iter().chain([&node.output]).any(|&id| tensors[id].dtype == Dtype::I32) {
            return Ok((node, vec![vec![]; self.samples]));
        }
        let failed = |e: &dyn std::fmt::Display| Error::Pack(format!("running a step: {e}"));
        // A graph of its own, of the node's tensors only, each input once.
        let (original, output) = (node.inputs.clone(), node.output);
        let mut ids: Vec<TensorId> = vec![];
        original.iter().for_each(|id| {
            if !ids.contains(id) {
                ids.push(*id)
            }
        });
        let inputs: Vec<TensorId> = (0..ids.len()).collect();
        let place = |id: TensorId| ids.iter().position(|&i| i == id).unwrap_or(ids.len());
        let steps = self.graph.steps;
        let alone = QNode { inputs: original.iter().map(|&id| place(id)).collect(), output: ids.len(), ..node };
        let mut own: Vec<QTensor> = ids.iter().chain([&output]).map(|&id| tensors[id].clone()).collect();
        own.iter_mut().enumerate().for_each(|(at, t)| t.name = at.to_string());
        let end = QOutput { tensor: ids.len(), name: "y".into(), meaning: Meaning::Plain };
        let graph = QGraph { tensors: own, nodes: vec![alone], inputs, outputs: vec![end], steps, macs: 0 };
        let mut plan = plan(graph)?;
        let file = pack(&plan, &About::default())?;
        let picks: Vec<usize> = (0..self.samples).collect();
        let share = picks.len().div_ceil(rayon::current_num_threads() * 2).max(1);
        let parts = picks.par_chunks(share).map(|picks| {
            let model = Model::parse(&file).map_err(|e| failed(&e))?;
            let mut arena = vec![0; model.buffer_len()];
            let mut session = Session::new(&model, &mut arena, self.cpu).map_err(|e| failed(&e))?;
            let mut made = vec![];
            for &sample in picks {
                session.reset();
                let mut all = vec![];
                for step in 0..steps {
                    for (at, &id) in ids.iter().enumerate() {
                        let len = self.graph.len(id);
                        let values = &self.ints[id][sample][step * len..][..len];
                        let set = match tensors[id].dtype {
                            Dtype::I8 => session.set_input(at, &values.iter().map(|&q| narrow(q)).collect::<Vec<_>>()),
                            _ => session.set_input(at, values),
                        };
                        set.map_err(|e| failed(&e))?;
                    }
                    session.infer().map_err(|e| failed(&e))?;
                    match tensors[output].dtype {
                        Dtype::I8 => {
                            let made: &[i8] = session.output(0).map_err(|e| failed(&e))?;
                            all.extend(made.iter().map(|&q| i16::from(q)));
                        }
                        _ => all.extend_from_slice(session.output(0).map_err(|e| failed(&e))?),
                    }
                }
                made.push(all);
            }
            Ok(made)
        });
        let made = parts.collect::<Result<Vec<Values<i16>>, Error>>()?.into_iter().flatten().collect();
        let node = plan.graph.nodes.pop().ok_or_else(|| Error::Pack("a step without its node".into()))?;
        Ok((QNode { inputs: original, output, ..node }, made))
    }

    /// Goes past a node: what it made stands for what reads it, what nobody reads any more is dropped.
    pub fn pass(&mut self, at: usize, float: Values<f32>, ints: Values<i16>) {
        let node = &self.graph.nodes[at];
        self.float[node.output] = float;
        self.ints[node.output] = ints;
        for &id in node.inputs.iter().filter(|&&id| self.last[id] == at) {
            (self.float[id], self.ints[id]) = (vec![], vec![]);
        }
    }
}
