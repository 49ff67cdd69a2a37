//! The whole chain in one call.

use std::path::PathBuf;

use escarp_runtime::Cpu;

use crate::{
    calibrate::{self, Histogram, Method},
    compose::compose,
    error::Error,
    fit::{Wishes, fit, once},
    fold::fold,
    front_end,
    graph::{Graph, Meaning},
    import::{Request, import},
    measure::{self, Layer},
    metadata::{FrontEnd, Metadata, Scores},
    pack::{About, pack},
    part::Part,
    plan::{Plan, plan},
    quantize::quantize,
    ranges,
    refine::Refine,
    samples::{Samples, spread},
    wide::{Choice, Target, choose},
    widths::{Wide, widen},
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
    /// Which activations are int16.
    pub wide: Wide,
    /// Which of them are made with weights of two terms, twice the products.
    pub fine: Wide,
    /// How near to the float network the result has to be: activations get 16 bits until it is, whatever [`Options::wide`] says.
    pub target: Option<Target>,
    /// Is told what goes on where that takes long.
    pub progress: fn(&str),
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
            method: Method::Mse,
            refine: Refine::Round,
            wide: Wide::None,
            fine: Wide::None,
            target: None,
            progress: |_| {},
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
    /// Which activations got 16 bits, and why; nothing if that was not asked.
    pub choice: Option<Choice>,
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
    widen(&mut graph, &options.wide, &options.fine);
    Ok(graph)
}

/// ONNX bytes to a model file, calibrated on samples.
///
/// # Errors
/// Everything in [`Error`]; nothing is written anywhere.
pub fn convert(onnx: &[u8], samples: &dyn Samples, options: &Options) -> Result<Converted, Error> {
    let mut graph = read(onnx, options)?;
    if graph.inputs.is_empty() || graph.outputs.is_empty() {
        return Err(Error::Model("all of it is constant".into()));
    }
    let metadata = graph.metadata.clone().unwrap_or_default();
    let picks = spread(samples, options.limit);
    let seen = calibrate::calibrate(&graph, samples, &picks)?;
    let range = front_end::range(&metadata.front_end);
    let trained = ranges::trained(&graph, &metadata.activations, range);
    let again = || read(onnx, options);
    let wishes = Wishes { method: options.method, refine: options.refine, cpu: options.cpu, again: &again };
    let once = |graph: &Graph| match &trained {
        Some(trained) => quantize(graph, trained),
        None => once(graph, &seen, (samples, &picks), &wishes),
    };
    let choice = options.target.map(|target| choose(&mut graph, target, &once, samples, options.cpu, options.progress));
    let choice = choice.transpose()?;
    // What was chosen with, in case that nothing better comes of fitting.
    let plain = choice.as_ref().map(|_| once(&graph)).transpose()?;
    let wide = choice.as_ref().map_or_else(|| options.wide.clone(), |choice| Wide::These(choice.wide.clone()));
    let fine = choice.as_ref().map_or_else(|| options.fine.clone(), |choice| Wide::These(choice.fine.clone()));
    let options = &Options { wide, fine, ..options.clone() };
    let warnings = warnings(&graph, &metadata, &seen, picks.len());
    let mut notes = graph.notes.clone();
    let before = if choice.is_some() { seen.clone() } else { vec![] };
    let (mut graph, mut seen, quantized) = match &trained {
        Some(trained) => {
            notes.push("trained for int8: ranges are those of the training, not of the samples".into());
            let quantized = quantize(&graph, trained)?;
            (graph, seen, quantized)
        }
        None => {
            let again = || read(onnx, options);
            let fitted = fit((graph, seen), (samples, &picks), &Wishes { again: &again, ..wishes })?;
            notes.extend(fitted.notes);
            (fitted.graph, fitted.seen, fitted.quantized)
        }
    };
    let about = About { name: options.name.clone(), metadata, accuracy: None };
    let mut plan = plan(quantized)?;
    let mut file = pack(&plan, &about)?;
    if let Some((choice, plain)) = choice.as_ref().zip(plain) {
        notes.extend(choice.notes.iter().cloned());
        notes.push(match choice.check(&file, samples, options.cpu) {
            Ok(line) => line,
            Err(_) => {
                (graph, seen) = (read(onnx, options)?, before);
                plan = crate::plan::plan(plain)?;
                file = pack(&plan, &about)?;
                choice.check(&file, samples, options.cpu)?
            }
        });
    }
    let compared = spread(samples, COMPARED);
    let layers = measure::layers(&file, &graph, &plan, samples, &compared, options.cpu)?;
    if let Some(first) = warnings.first().filter(|_| options.strict) {
        return Err(Error::Strict(first.clone()));
    }
    Ok(Converted { file, graph, plan, about, seen, layers, picks, choice, notes, warnings })
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
