//! Better weights and biases for the same kernels, layer by layer: each is refined on what the int8 network before it makes of the
//! samples, and so makes up for part of what was lost there too.

mod error;
mod round;
mod scores;
mod walk;
mod weights;

use escarp_runtime::Cpu;

use crate::{
    error::Error,
    graph::{Graph, Products},
    qgraph::{QGraph, QNode, QTensor},
    quantize::quantize_and,
    samples::Samples,
    scale::Scale,
};
use walk::{Values, Walk};
use weights::Columns;

/// What is refined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refine {
    /// Nothing: weights and biases are rounded to the nearest.
    None,
    /// Biases: each channel's mean error is taken off.
    Bias,
    /// Weights too: rounded such that errors cancel.
    Round,
}

/// A network refined.
#[derive(Debug)]
pub struct Refined {
    /// It.
    pub graph: QGraph,
    /// Rows of weights that were rounded otherwise than to the nearest.
    pub rows: usize,
    /// Noise for each unit of signal at the outputs, summed up over them.
    pub noise: f64,
}

/// Most samples that all layers are refined on, and fewest.
const SAMPLES: [usize; 2] = [128, 8];

/// Multiply-accumulates that all samples together may take in one pass.
const WORK: u64 = 1 << 36;

/// Bytes that the values of all samples may take.
const MEMORY: usize = 512 << 20;

/// How often a layer's biases are corrected by what was measured.
const TURNS: usize = 2;

/// The range for the scores of a softmax at the end, of which all is `whole`: the one whose probabilities err least on samples. `None`
/// where the first output is none.
///
/// # Errors
/// [`Error::Samples`] if a sample cannot be read.
pub fn scores(
    graph: &Graph,
    whole: (f32, f32),
    (samples, picks): (&dyn Samples, &[usize]),
) -> Result<Option<(f32, f32)>, Error> {
    if scores::are(graph) { scores::range(graph, whole, samples, picks).map(Some) } else { Ok(None) }
}

/// On how many samples a network is refined: as many as time and memory are for.
pub fn samples(graph: &Graph) -> usize {
    let decision = graph.macs().saturating_mul(graph.steps as u64).max(1);
    let values = walk::most(graph).saturating_mul(graph.steps);
    let by_work = usize::try_from(WORK / decision).unwrap_or(usize::MAX);
    let by_memory = MEMORY / values.saturating_mul(size_of::<f32>() + size_of::<i16>()).max(1);
    by_work.min(by_memory).clamp(SAMPLES[1], SAMPLES[0])
}

/// Quantizes a graph as [`crate::quantize::quantize`] does, and refines each step before the next one.
///
/// # Errors
/// As that, [`Error::Samples`] if a sample cannot be read, [`Error::Pack`] if a step cannot be run.
pub fn refine(
    graph: &Graph,
    ranges: &[(f32, f32)],
    (samples, picks): (&dyn Samples, &[usize]),
    how: Refine,
    cpu: Cpu,
) -> Result<Refined, Error> {
    let (mut walk, mut rows, mut noise) = (None, 0, 0.0);
    let graph = quantize_and(graph, ranges, |at, node, tensors| {
        let walk = match &mut walk {
            Some(walk) => walk,
            none => none.insert(Walk::new(graph, tensors, samples, picks, cpu)?),
        };
        let step = Step { graph, at, tensors };
        let floats = walk.floats(at);
        let (node, ints) = if how == Refine::None {
            walk.ints(node, tensors)?
        } else {
            step.refined(walk, node, &floats, how, &mut rows)?
        };
        let output = graph.nodes[at].output;
        if graph.is_output(output) {
            // What lies outside the range chosen for scores has been judged by itself.
            let scores = output == graph.output() && scores::are(graph);
            let limits = if scores { ranges[output] } else { (f32::NEG_INFINITY, f32::INFINITY) };
            noise += error::Error::within(&floats, &ints, tensors[output].scale, limits).share();
        }
        walk.pass(at, floats, ints);
        Ok(node)
    })?;
    Ok(Refined { graph, rows, noise })
}

/// A node whose turn it is.
struct Step<'a> {
    graph: &'a Graph,
    at: usize,
    tensors: &'a [QTensor],
}

impl Step<'_> {
    /// The node with its rows refined, where it has such, and what it makes.
    fn refined(
        &self,
        walk: &Walk,
        mut node: QNode,
        floats: &Values<f32>,
        how: Refine,
        changed: &mut usize,
    ) -> Result<(QNode, Values<i16>), Error> {
        let (input, output) = (node.inputs[0], node.output);
        let (from, to) = (self.graph.shape(input), self.graph.shape(output));
        let products = self.graph.nodes[self.at].op.products(from, to);
        let (Some(products), Some(rows)) = (products, node.op.refined()) else { return walk.ints(node, self.tensors) };
        let scale = self.tensors[input].scale;
        let columns = Columns::new(&products, from, to, walk.samples, self.graph.steps);
        if how == Refine::Round {
            *changed += weights::round(&columns, rows, &walk.ints[input], scale);
        }
        weights::centre(&columns, rows, (&walk.float[input], &walk.ints[input]), scale);
        self.corrected(walk, node, floats, &products)
    }

    /// The node with its biases shifted by each channel's mean error, as long as that lessens the whole error.
    fn corrected(
        &self,
        walk: &Walk,
        node: QNode,
        floats: &Values<f32>,
        products: &Products,
    ) -> Result<(QNode, Values<i16>), Error> {
        let (input, output) = (self.tensors[node.inputs[0]].scale, self.tensors[node.output].scale);
        let ends = error::ends(products.limits, &self.tensors[node.output]);
        let error = |ints: &Values<i16>| error::Error::new(floats, ints, output).noise;
        let (mut node, mut ints) = walk.ints(node, self.tensors)?;
        for _ in 0..TURNS {
            let offsets = error::offsets((floats, &ints), output, ends, products.bias.len());
            let Some(rows) = node.op.refined() else { break };
            let before = rows.clone();
            rows.shift(&in_sums(&offsets, input, &rows.scale));
            let (back, new) = walk.ints(node, self.tensors)?;
            node = back;
            if error(&new) < error(&ints) {
                ints = new;
            } else {
                if let Some(rows) = node.op.refined() {
                    *rows = before;
                }
                break;
            }
        }
        Ok((node, ints))
    }
}

/// Real values of rows' outputs in units of their sums.
fn in_sums(values: &[f64], input: Scale, units: &[f32]) -> Vec<f64> {
    values.iter().zip(units).map(|(value, &unit)| value / (f64::from(input.scale) * f64::from(unit))).collect()
}
