//! A net as the converter quantizes it and the runtime runs it.

use escarp_converter::{
    Error, Options,
    graph::Graph,
    metadata::Metadata,
    pack::{About, pack},
    plan::{Plan, plan},
    qgraph::QNode,
    quantize::quantize,
    scale::Scale,
};
use escarp_detect::detect;
use escarp_runtime::{Model, Session};
use ndarray::ArrayD;
use rayon::prelude::*;

use super::failed;
use crate::{
    data::Samples,
    engine::{interrupt, pieces::samples_per_piece},
    layers::numbers,
    nets::{Net, NetError, export::export},
};

/// The graph that the converter makes of the net as it is.
pub(super) fn read(net: &Net) -> Result<Graph, NetError> {
    let onnx = export(net, &Metadata::default()).map_err(failed)?;
    escarp_converter::read(&onnx, &Options::default()).map_err(failed)
}

/// A plan and its file.
pub(super) struct Int8 {
    plan: Plan,
    file: Vec<u8>,
}

impl Int8 {
    /// Quantizes a graph, each tensor for its range.
    pub(super) fn new(graph: &Graph, ranges: &[(f32, f32)]) -> Result<Self, NetError> {
        let plan = quantize(graph, ranges).and_then(plan).map_err(failed)?;
        let file = pack(&plan, &About::default()).map_err(failed)?;
        Ok(Self { plan, file })
    }

    pub(super) fn nodes(&self) -> &[QNode] {
        &self.plan.graph.nodes
    }

    /// What the outputs of the nodes mean.
    pub(super) fn scales(&self) -> Vec<Scale> {
        let graph = &self.plan.graph;
        graph.nodes.iter().map(|n| graph.tensors[n.output].scale).collect()
    }

    pub(super) fn input_scale(&self) -> Scale {
        self.plan.graph.tensors[self.plan.graph.inputs[0]].scale
    }

    /// The node that makes the network's output.
    pub(super) fn output(&self) -> usize {
        let graph = &self.plan.graph;
        graph.nodes.iter().position(|n| n.output == graph.outputs[0].tensor).expect("the converter has checked it")
    }

    /// Runs samples; returns what each node that is wanted has made, `[sample][frame][number]`.
    pub(super) fn run(&self, x: &ArrayD<f32>, wanted: impl Fn(usize) -> bool + Sync) -> Result<Vec<Vec<i8>>, NetError> {
        let (samples, graph, scale) = (x.shape()[0], &self.plan.graph, self.input_scale());
        let sample = x.len() / samples;
        let parts: Vec<Vec<Vec<i8>>> = numbers(x)
            .par_chunks(samples_per_piece(samples, 1) * sample)
            .map(|x| {
                let model = Model::parse(&self.file).map_err(failed)?;
                let mut arena = vec![0; model.buffer_len()];
                let mut session = Session::new(&model, &mut arena, detect()).map_err(failed)?;
                let mut made = vec![Vec::new(); graph.nodes.len()];
                for sample in x.chunks_exact(sample) {
                    if interrupt::asked() {
                        return Err(NetError::Interrupted);
                    }
                    session.reset();
                    for frame in sample.chunks_exact(sample.len() / graph.steps) {
                        let frame: Vec<i8> = frame.iter().map(|&v| scale.quantize(v)).collect();
                        let keep = |step: usize, _: &_, stored: &[i8]| {
                            let node = self.plan.nodes[step];
                            // Of several steps that make an output together, the last one has it whole.
                            if self.plan.nodes.get(step + 1) == Some(&node) {
                                return;
                            }
                            let channels = graph.tensors[graph.nodes[node].output].shape[2];
                            // Channels are filled up to eights.
                            let pixels = stored.chunks_exact(channels.next_multiple_of(8));
                            if wanted(node) {
                                pixels.for_each(|pixel| made[node].extend_from_slice(&pixel[..channels]));
                            }
                        };
                        session.trace(&frame, keep).map_err(failed)?;
                    }
                }
                Ok(made)
            })
            .collect::<Result<_, NetError>>()?;
        let mut all = vec![Vec::new(); graph.nodes.len()];
        for part in parts {
            all.iter_mut().zip(part).for_each(|(all, part)| all.extend(part));
        }
        Ok(all)
    }
}

/// Training samples as the converter calibrates on them.
pub(super) struct Calibration<'a> {
    pub(super) samples: &'a dyn Samples,
    pub(super) indices: &'a [u32],
}

impl escarp_converter::Samples for Calibration<'_> {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn get(&self, index: usize) -> Result<Vec<f32>, Error> {
        let mut values = vec![0.0; self.samples.shape().iter().product()];
        self.samples.write(self.indices[index] as usize, None, &mut values);
        Ok(values)
    }

    fn label(&self, index: usize) -> Option<usize> {
        Some(self.samples.classes()[self.indices[index] as usize].into())
    }

    fn name(&self, index: usize) -> String {
        format!("training sample {}", self.indices[index])
    }
}
