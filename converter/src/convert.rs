//! The whole chain in one call.

use std::path::PathBuf;

use escarp_runtime::Cpu;

use crate::{
    calibrate::{self, Histogram, Method},
    compose::compose,
    equalize::equalize,
    error::Error,
    fold::fold,
    front_end,
    graph::{Graph, Meaning},
    import::{Request, import},
    measure::{self, Layer},
    metadata::{FrontEnd, Metadata, Scores},
    pack::{About, pack},
    part::Part,
    plan::{Plan, plan},
    qgraph::QGraph,
    quantize::{self, quantize},
    ranges,
    refine::{self, Refine, Refined, refine},
    samples::{Samples, spread},
};

/// What a caller may decide.
#[derive(Clone, Debug)]
pub struct Options {
    /// Steps of a sequence whose length the ONNX file leaves open.
    pub frames: Option<usize>,
    /// Where the network begins and ends, and shapes of its inputs, other than the ONNX file says.
    pub part: Part,
    /// Inputs of any number of dimensions, with a first that is a batch or is none, are taken as they are, and outputs may be
    /// constants ([`Graph::constants`]). For tests of operators; programs give networks one sample at a time.
    pub any_batch: bool,
    /// The folder of the ONNX file, whose external data is read from there; without it such data is an error.
    pub folder: Option<PathBuf>,
    /// The network takes the channels of images as blue, green, red; the file will take red, green, blue.
    pub bgr: bool,
    /// Front end; overrides the one in the ONNX metadata.
    pub front_end: Option<FrontEnd>,
    /// Names of the outputs; override those in the ONNX metadata.
    pub labels: Option<Vec<String>>,
    /// Name of the model.
    pub name: String,
    /// Most samples used for calibration.
    pub limit: usize,
    /// How activation ranges are chosen.
    pub method: Method,
    /// What is refined on the samples. A network that was trained for int8 is not: its weights have adapted to the nearest.
    pub refine: Refine,
    /// Which kernels run the model here: changes how long that takes, and no result.
    pub cpu: Cpu,
    /// Anything doubtful is an error.
    pub strict: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            frames: None,
            part: Part::default(),
            any_batch: false,
            folder: None,
            bgr: false,
            front_end: None,
            labels: None,
            name: String::new(),
            limit: 500,
            method: Method::Percentile(99.99),
            refine: Refine::None,
            cpu: escarp_detect::detect(),
            strict: false,
        }
    }
}

/// A conversion and how it came about.
#[derive(Debug)]
pub struct Converted {
    /// The model file.
    pub file: Vec<u8>,
    /// The folded float graph.
    pub graph: Graph,
    /// The quantized graph and where everything lies.
    pub plan: Plan,
    /// What the file says besides.
    pub about: About,
    /// What the samples showed of each tensor of the graph.
    pub seen: Vec<Histogram>,
    /// Error of each step, on samples.
    pub layers: Vec<Layer>,
    /// Which samples calibrated.
    pub picks: Vec<usize>,
    /// Lines for the report: facts.
    pub notes: Vec<String>,
    /// Lines for the report: doubts, errors with [`Options::strict`].
    pub warnings: Vec<String>,
}

impl Converted {
    /// The file again, with other facts in it.
    ///
    /// # Errors
    /// As [`pack`].
    pub fn repack(&mut self, about: About) -> Result<(), Error> {
        self.file = pack(&self.plan, &about)?;
        self.about = about;
        Ok(())
    }
}

/// How far channels of different reach are brought together, see [`equalize`]: what is tried, beside not at all.
const ROOTS: [u32; 2] = [2, 1];

/// Multiply-accumulates of all calibration samples up to which that is tried: each trial is a calibration and a refinement.
const TRIED: u64 = 1 << 36;

/// Most samples on which layers are compared.
const COMPARED: usize = 64;

/// The folded graph of a model, as [`convert`] will quantize it: what samples must look like, and which front end is meant.
///
/// # Errors
/// [`Error::Onnx`] for bytes that are no model, [`Error::Operator`], [`Error::Attribute`], [`Error::Node`] and [`Error::Model`] for
/// models outside the supported set, [`Error::Labels`] if there are labels, and not one for each output.
pub fn read(onnx: &[u8], options: &Options) -> Result<Graph, Error> {
    let request = Request {
        frames: options.frames,
        part: Some(&options.part).filter(|part| **part != Part::default()),
        any_batch: options.any_batch,
        bgr: options.bgr,
        folder: options.folder.as_deref(),
    };
    let mut graph = compose(fold(import(onnx, &request)?)?);
    graph.tell_several();
    if graph.outputs.is_empty() {
        return Ok(graph);
    }
    let mut metadata = graph.metadata.take().unwrap_or_default();
    if let Some(front_end) = &options.front_end {
        metadata.front_end = front_end.clone();
    }
    if let Some(labels) = &options.labels {
        metadata.labels = labels.clone();
    }
    if metadata.scores == Scores::Softmax && graph.outputs[0].meaning == Meaning::Plain {
        graph.outputs[0].meaning = Meaning::Softmax;
    }
    let (labels, outputs) = (metadata.labels.len(), graph.len(graph.output()));
    if labels > 0 && labels != outputs {
        return Err(Error::Labels(format!("{labels} labels; the network has {outputs} outputs")));
    }
    graph.metadata = Some(metadata);
    Ok(graph)
}

/// ONNX bytes to a model file, calibrated on samples.
///
/// # Errors
/// Everything in [`Error`]; nothing is written anywhere.
pub fn convert(onnx: &[u8], samples: &dyn Samples, options: &Options) -> Result<Converted, Error> {
    let graph = read(onnx, options)?;
    if graph.inputs.is_empty() || graph.outputs.is_empty() {
        return Err(Error::Model("all of it is constant".into()));
    }
    let metadata = graph.metadata.clone().unwrap_or_default();
    let picks = spread(samples, options.limit);
    let seen = calibrate::calibrate(&graph, samples, &picks)?;
    let trained = ranges::trained(&graph, &metadata.activations, front_end::range(&metadata.front_end));
    let warnings = warnings(&graph, &metadata, &seen, picks.len());
    let mut notes = graph.notes.clone();
    let (graph, seen, quantized) = match trained {
        Some(trained) => {
            notes.push("trained for int8: ranges are those of the training, not of the samples".into());
            let quantized = quantize(&graph, &trained)?;
            (graph, seen, quantized)
        }
        None => {
            let fitted = fitted(onnx, (graph, seen), (samples, &picks), options)?;
            notes.extend(fitted.notes);
            (fitted.graph, fitted.seen, fitted.quantized)
        }
    };
    let plan = plan(quantized)?;
    let about = About { name: options.name.clone(), metadata, accuracy: None };
    let file = pack(&plan, &about)?;
    let compared = spread(samples, COMPARED);
    let layers = measure::layers(&file, &graph, &plan, samples, &compared, options.cpu)?;
    if let Some(first) = warnings.first().filter(|_| options.strict) {
        return Err(Error::Strict(first.clone()));
    }
    Ok(Converted { file, graph, plan, about, seen, layers, picks, notes, warnings })
}

/// A graph with what its tensors hold, and what became of it.
struct Fitted {
    graph: Graph,
    seen: Vec<Histogram>,
    quantized: QGraph,
    /// What was done, for the report.
    notes: Vec<String>,
}

/// Quantizes for the samples: ranges by the method, weights and biases refined, channels brought together as far as that lessens the
/// error of the outputs.
fn fitted(
    onnx: &[u8],
    (graph, seen): (Graph, Vec<Histogram>),
    (samples, picks): (&dyn Samples, &[usize]),
    options: &Options,
) -> Result<Fitted, Error> {
    let range = graph.metadata.as_ref().and_then(|m| front_end::range(&m.front_end));
    let ranges = |graph: &Graph, seen: &[Histogram]| quantize::ranges(graph, seen, range, options.method);
    // What a file has quantized was fitted already, and is kept.
    let kept = graph.tensors.iter().any(|t| t.grid.is_some());
    if options.refine == Refine::None || kept {
        let quantized = quantize(&graph, &ranges(&graph, &seen))?;
        return Ok(Fitted { graph, seen, quantized, notes: vec![] });
    }
    let some = spread(samples, refine::samples(&graph).min(picks.len()));
    let whole = (seen[graph.output()].min, seen[graph.output()].max);
    let scores = refine::scores(&graph, whole, (samples, &some))?;
    let refined = |graph: &Graph, seen: &[Histogram]| {
        let mut ranges = ranges(graph, seen);
        scores.iter().for_each(|&range| ranges[graph.output()] = range);
        refine(graph, &ranges, (samples, &some), options.refine, options.cpu)
    };
    let work = graph.macs().saturating_mul(graph.steps as u64).saturating_mul(picks.len() as u64);
    let (mut best, mut together) = ((refined(&graph, &seen)?, graph, seen.clone()), None);
    for roots in ROOTS.into_iter().filter(|_| work <= TRIED) {
        let mut graph = read(onnx, options)?;
        let tensors = equalize(&mut graph, &seen, roots);
        if tensors == 0 {
            break;
        }
        let seen = calibrate::calibrate(&graph, samples, picks)?;
        let trial = refined(&graph, &seen)?;
        if trial.noise < best.0.noise {
            (best, together) = ((trial, graph, seen), Some(tensors));
        }
    }
    let (Refined { graph: quantized, rows, .. }, graph, seen) = best;
    let mut notes = vec![format!("refined on {} samples, layer by layer: biases by their mean errors", some.len())];
    if options.refine == Refine::Round {
        notes.extend([format!("{rows} rows of weights rounded such that errors cancel")]);
    }
    notes.extend(scores.filter(|&range| range != whole).map(|(low, high)| {
        let (least, most) = whole;
        format!("scores from {low:.2} to {high:.2} of {least:.2} to {most:.2}: no probability changes much beyond")
    }));
    notes.extend(
        together
            .map(|n| format!("channels of {n} tensors brought closer together in reach, in the weights around them")),
    );
    Ok(Fitted { graph, seen, quantized, notes })
}

/// What a careful reader should know before trusting the numbers.
fn warnings(graph: &Graph, metadata: &Metadata, seen: &[Histogram], used: usize) -> Vec<String> {
    let mut lines = graph.doubts.clone();
    if used < 32 {
        lines.push(format!("calibrated on {used} samples only; 100 or more give ranges to rely on"));
    }
    if metadata.labels.is_empty() && graph.decides() {
        lines.push("the outputs have no names: give --labels, or samples in class folders".into());
    }
    for node in &graph.nodes {
        let h = &seen[node.output];
        if h.min == 0.0 && h.max == 0.0 {
            lines.push(format!("node `{}`: every output was 0 on all samples", node.name));
        }
    }
    lines.extend(ranges::warnings(graph, &metadata.activations, seen));
    lines
}
