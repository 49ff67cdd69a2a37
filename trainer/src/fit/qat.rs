//! Quantization-aware training (`--qat`): the forward pass is the int8 network's, to the bit.
//!
//! In every step the net is exported, quantized by the converter for fixed ranges of the activations, and its samples run
//! through the runtime: what [`Net::predict`](crate::nets::Net::predict) and the loss see is what a board will compute.
//! The way back takes rounding for the identity (the straight-through estimator: Bengio, Leonard, Courville,
//! arXiv 1308.3432) inside the range, and for a constant outside of it (Jacob et al., CVPR 2018):
//!
//! ```text
//! y_q = s (clamp(round(y / s) + z, -128, 127) - z)        dL/dy = dL/dy_q  if y lies in the range, else 0
//! ```
//!
//! where `y` is what the float layer makes of the int8 values before it and of the int8 weights: each layer's way back
//! starts from what the int8 network really held there. Gradients move float weights; the int8 ones are made of them anew.
//!
//! Normalizations are folded into the convolutions before training begins, and nothing is dropped
//! ([`LayerSpec::settle`](crate::nets::LayerSpec::settle)). Ranges are calibrated as the converter does it, on training
//! samples, when the training begins. They stay, they lie in the checkpoints, and the ONNX file tells them to the
//! converter, which takes them as they are.

mod int8;

use escarp_converter::{calibrate, front_end, graph::Graph, metadata::FrontEnd, qgraph::Rows, quantize, scale::Scale};
use ndarray::{Array2, ArrayD};
use rayon::prelude::*;

use crate::{
    data::Samples,
    layers::numbers_mut,
    nets::{Batch, Net, NetError, StandIn, export::names},
};
use int8::{Calibration, Int8, read};

/// The name of the ranges in a checkpoint.
const RANGES: &str = "quantization.ranges";

/// Puts int8 values in the place of what a net gives.
#[derive(Debug)]
pub struct Quantizer {
    /// Tensors of the converter's graph.
    tensors: Vec<String>,
    /// Lower and upper end of the range of each.
    ranges: Vec<f32>,
    /// For each node of the net the node of the int8 network that makes the same tensor.
    places: Vec<Option<usize>>,
    /// What each node of the int8 network has made in this step, `[sample][frame][number]`, and its scale.
    made: Vec<(Vec<i8>, Scale)>,
    /// For each node of the net and each sample the numbers that were outside of the range.
    clipped: Vec<Vec<Vec<u32>>>,
    /// Weights that int8 ones stand in for, by their place among the parameters.
    masters: Vec<(usize, Vec<f32>)>,
}

impl Quantizer {
    /// For a net of this shape; of ranges that are yet to come, from a checkpoint or from [`Quantizer::calibrate`].
    ///
    /// # Errors
    /// [`NetError::StandIn`] names the node that the converter does not take, or the layer that must be settled.
    pub fn new(net: &mut Net) -> Result<Self, NetError> {
        if let Some((name, _)) = net.buffers().first() {
            let layer = name.rsplit_once('.').map_or(name.as_str(), |(layer, _)| layer);
            return Err(failed(format!("`{layer}` is a normalization that no convolution takes up")));
        }
        let graph = read(net)?;
        let tensors: Vec<String> = graph.tensors.iter().map(|t| t.name.clone()).collect();
        let place = |name: String| graph.nodes.iter().position(|n| tensors[n.output] == name);
        let places: Vec<_> = names(net).into_iter().skip(1).map(place).collect();
        Ok(Self {
            ranges: vec![0.0; 2 * tensors.len()],
            tensors,
            clipped: vec![Vec::new(); places.len()],
            places,
            made: Vec::new(),
            masters: Vec::new(),
        })
    }

    /// Finds the ranges that the converter would find on the samples `indices`.
    ///
    /// # Errors
    /// [`NetError::StandIn`] if the samples drive the net to infinity.
    pub fn calibrate(
        &mut self,
        net: &Net,
        inputs: &FrontEnd,
        samples: &dyn Samples,
        indices: &[u32],
    ) -> Result<(), NetError> {
        let graph = read(net)?;
        let picks: Vec<usize> = (0..indices.len()).collect();
        let seen = calibrate::calibrate(&graph, &Calibration { samples, indices }, &picks).map_err(failed)?;
        let method = calibrate::Method::Percentile(99.99);
        let ranges = quantize::ranges(&graph, &seen, front_end::range(inputs), method);
        self.ranges = ranges.into_iter().flat_map(|(low, high)| [low, high]).collect();
        Ok(())
    }

    /// The int8 network of the weights as they are.
    fn int8(&self, net: &Net) -> Result<Int8, NetError> {
        let graph: Graph = read(net)?;
        let ranges: Vec<(f32, f32)> = self.ranges.chunks_exact(2).map(|r| (r[0], r[1])).collect();
        Int8::new(&graph, &ranges)
    }
}

fn failed(reason: impl std::fmt::Display) -> NetError {
    NetError::StandIn(format!("quantization-aware training: {reason}"))
}

impl StandIn<f32> for Quantizer {
    fn begin(&mut self, net: &mut Net, Batch { x, lengths }: Batch<'_>) -> Result<ArrayD<f32>, NetError> {
        if lengths.is_some() {
            return Err(failed("sequences of unequal length; the int8 network takes all of one length"));
        }
        let int8 = self.int8(net)?;
        let made = int8.run(x, |_| true)?;
        self.made = made.into_iter().zip(int8.scales()).collect();
        let weights = weights(&int8);
        self.masters.clear();
        for (i, parameter) in net.parameters().into_iter().enumerate() {
            if let Some((_, real)) = weights.iter().find(|(name, _)| *name == parameter.name) {
                self.masters.push((i, parameter.value.to_vec()));
                parameter.value.copy_from_slice(real);
            }
        }
        let input = int8.input_scale();
        Ok(x.mapv(|v| input.dequantize(input.quantize(v))))
    }

    fn gave(&mut self, node: usize, y: &mut ArrayD<f32>) {
        self.clipped[node].clear();
        let Some(place) = self.places[node] else { return };
        let (made, scale) = &self.made[place];
        let batch = y.shape()[0];
        let (here, there) = (y.len() / batch, made.len() / batch);
        // The int8 network answers every frame; a layer that gives its last state answers the last.
        let replace = |(y, made): (&mut [f32], &[i8])| {
            let mut clipped = Vec::new();
            for ((i, y), &q) in y.iter_mut().enumerate().zip(&made[there - here..]) {
                let real = scale.dequantize(q);
                let beyond = match q {
                    i8::MAX => *y > real + 0.5 * scale.scale,
                    i8::MIN => *y < real - 0.5 * scale.scale,
                    _ => false,
                };
                if beyond {
                    clipped.push(i as u32);
                }
                *y = real;
            }
            clipped
        };
        let samples = numbers_mut(y).par_chunks_mut(here).zip(made.par_chunks(there));
        samples.map(replace).collect_into_vec(&mut self.clipped[node]);
    }

    fn gradient(&self, node: usize, dy: &mut ArrayD<f32>) {
        let samples = dy.shape()[0];
        let len = dy.len() / samples;
        for (dy, clipped) in numbers_mut(dy).chunks_exact_mut(len).zip(&self.clipped[node]) {
            clipped.iter().for_each(|&i| dy[i as usize] = 0.0);
        }
    }

    fn end(&mut self, net: &mut Net) {
        let mut parameters = net.parameters();
        for (i, master) in self.masters.drain(..) {
            parameters[i].value.copy_from_slice(&master);
        }
    }

    fn predict(&mut self, net: &mut Net, Batch { x, .. }: Batch<'_>) -> Result<Array2<f32>, NetError> {
        let int8 = self.int8(net)?;
        let last = int8.output();
        let made = &int8.run(x, |node| node == last)?[last];
        let (samples, classes, scale) = (x.shape()[0], net.arch().classes, int8.scales()[last]);
        let (frames, first) = (made.len() / samples / classes, made.len() / samples - classes);
        debug_assert!(frames > 0);
        let real = made.chunks_exact(frames * classes).flat_map(|made| &made[first..]).map(|&q| scale.dequantize(q));
        Ok(Array2::from_shape_vec((samples, classes), real.collect()).expect("one answer for each sample"))
    }

    fn buffer(&mut self) -> (String, &mut [f32]) {
        (RANGES.to_owned(), &mut self.ranges)
    }

    fn ranges(&self) -> Vec<(String, (f32, f32))> {
        self.tensors.iter().cloned().zip(self.ranges.chunks_exact(2).map(|r| (r[0], r[1]))).collect()
    }
}

/// The int8 weights as real numbers, under the names and in the layout of the parameters.
fn weights(int8: &Int8) -> Vec<(String, Vec<f32>)> {
    let mut all = Vec::new();
    for node in int8.nodes() {
        let layer = node.name.strip_suffix(".product").unwrap_or(&node.name);
        all.extend(node.op.rows().into_iter().map(|(name, rows)| (format!("{layer}.{name}"), real(rows))));
    }
    all
}

/// A parameter has its outputs last, the converter first: `[depth][outputs]` from `[outputs][depth]`.
fn real(rows: &Rows) -> Vec<f32> {
    let outputs = rows.scale.len();
    let depth = rows.weight.len() / outputs;
    let at = |i: usize| rows.scale[i % outputs] * f32::from(rows.weight[i % outputs * depth + i / outputs]);
    (0..rows.weight.len()).map(at).collect()
}
