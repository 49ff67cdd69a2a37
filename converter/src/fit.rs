//! A network fitted to its samples: of several ways to choose ranges, to bring channels together and to round, the one with which the
//! outputs err least.

use escarp_runtime::Cpu;

use crate::{
    calibrate::{self, Histogram, Method},
    equalize::equalize,
    error::Error,
    front_end,
    graph::Graph,
    qgraph::QGraph,
    quantize::{self, quantize},
    refine::{self, Refine, Refined, refine},
    samples::{Samples, spread},
};

/// How far channels of different reach are brought together, see [`equalize`]: what is tried, beside not at all.
const ROOTS: [u32; 2] = [2, 1];

/// Multiply-accumulates of all calibration samples up to which ways are tried: each is a refinement, and some are a calibration.
const TRIED: u64 = 1 << 36;

/// What the caller decides.
#[derive(Clone, Copy)]
pub struct Wishes<'a> {
    /// How activation ranges are chosen.
    pub method: Method,
    /// What is refined.
    pub refine: Refine,
    /// Which kernels run the steps.
    pub cpu: Cpu,
    /// Reads the graph once more, for a way that changes its weights.
    pub again: &'a dyn Fn() -> Result<Graph, Error>,
}

/// A graph with what its tensors hold, and what became of it.
pub struct Fitted {
    /// The float graph.
    pub graph: Graph,
    /// What the samples showed of each tensor.
    pub seen: Vec<Histogram>,
    /// The graph in integers.
    pub quantized: QGraph,
    /// What was done, for the report.
    pub notes: Vec<String>,
}

/// Quantizes for the samples in the plainest way: refined where that takes little time.
///
/// # Errors
/// As [`fit`].
pub fn once(
    graph: &Graph,
    seen: &[Histogram],
    (samples, picks): (&dyn Samples, &[usize]),
    wishes: &Wishes,
) -> Result<QGraph, Error> {
    let range = graph.metadata.as_ref().and_then(|m| front_end::range(&m.front_end));
    let ranges = quantize::ranges(graph, seen, range, wishes.method);
    let kept = graph.tensors.iter().any(|t| t.grid.is_some());
    if wishes.refine == Refine::None || kept || work(graph, picks) > TRIED / 4 {
        return quantize(graph, &ranges);
    }
    let some = spread(samples, refine::samples(graph).min(picks.len()));
    Ok(refine(graph, &ranges, (samples, &some), wishes.refine, wishes.cpu)?.graph)
}

/// Multiply-accumulates of all calibration samples.
fn work(graph: &Graph, picks: &[usize]) -> u64 {
    graph.macs().saturating_mul(graph.steps as u64).saturating_mul(picks.len() as u64)
}

/// A way that was tried.
struct Trial {
    /// Tensors whose channels were brought together.
    together: usize,
    graph: Graph,
    seen: Vec<Histogram>,
    made: Refined,
}

/// Quantizes for the samples: ranges by the method, weights and biases refined, channels brought together as far as that lessens the
/// error of the outputs. A network of which the file has quantized a part was fitted already: it keeps what it has.
///
/// # Errors
/// As [`crate::convert()`].
pub fn fit(
    (graph, seen): (Graph, Vec<Histogram>),
    (samples, picks): (&dyn Samples, &[usize]),
    wishes: &Wishes,
) -> Result<Fitted, Error> {
    let range = graph.metadata.as_ref().and_then(|m| front_end::range(&m.front_end));
    let ranges = |graph: &Graph, seen: &[Histogram]| quantize::ranges(graph, seen, range, wishes.method);
    let kept = graph.tensors.iter().any(|t| t.grid.is_some());
    if wishes.refine == Refine::None || kept {
        let quantized = quantize(&graph, &ranges(&graph, &seen))?;
        return Ok(Fitted { graph, seen, quantized, notes: vec![] });
    }
    let some = spread(samples, refine::samples(&graph).min(picks.len()));
    let whole = (seen[graph.output()].min, seen[graph.output()].max);
    let scores = refine::scores(&graph, whole, (samples, &some))?;
    let refined = |graph: &Graph, seen: &[Histogram]| {
        let mut ranges = ranges(graph, seen);
        // Of int16 scores nothing is gained by fewer.
        scores.iter().filter(|_| !graph.tensors[graph.output()].wide).for_each(|&range| ranges[graph.output()] = range);
        refine(graph, &ranges, (samples, &some), wishes.refine, wishes.cpu)
    };
    let work = work(&graph, picks);
    // What the samples showed of the network as it is says how far its channels reach.
    let first = seen.clone();
    let mut best = Trial { made: refined(&graph, &seen)?, together: 0, graph, seen };
    for roots in ROOTS.into_iter().filter(|_| work <= TRIED) {
        let mut graph = (wishes.again)()?;
        let together = equalize(&mut graph, &first, roots);
        if together == 0 {
            break;
        }
        let seen = calibrate::calibrate(&graph, samples, picks)?;
        let made = refined(&graph, &seen)?;
        if made.noise < best.made.noise {
            best = Trial { together, graph, seen, made };
        }
    }
    let Trial { together, graph, seen, made } = best;
    let mut notes = vec![format!("refined on {} samples, layer by layer: biases by their mean errors", some.len())];
    if wishes.refine == Refine::Round {
        notes.push(format!("{} rows of weights rounded such that errors cancel", made.rows));
    }
    notes.extend(scores.filter(|&range| range != whole).map(|(low, high)| {
        let (least, most) = whole;
        format!("scores from {low:.2} to {high:.2} of {least:.2} to {most:.2}: no probability changes much beyond")
    }));
    if together > 0 {
        notes.push(format!(
            "channels of {together} tensors brought closer together in reach, in the weights around them"
        ));
    }
    Ok(Fitted { graph, seen, quantized: made.graph, notes })
}
