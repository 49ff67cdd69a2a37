//! `escarp-convert MODEL`: a conversion.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use escarp_media::visible;
use escarp_runtime::meta::Accuracy;

use super::{Failure, LONGEST_MODEL, apart, is_npy, progress, read_whole, say, write_all};
use crate::{
    calibrate::Method,
    convert::{Converted, Options, convert, read},
    doubt::doubt,
    error::Error,
    export::export,
    files::{self, Places, Source},
    front_end,
    graph::Graph,
    measure::{Scores, measure},
    metadata::FrontEnd,
    oracle::{FloatRunner, float_runner},
    output::folder,
    pack::About,
    part::{Part, parse_inputs, parse_outputs},
    refine::Refine,
    report::Report,
    wide::Target,
};

/// Longest file of labels, bytes.
const LONGEST_LABELS: u64 = 1 << 20;

/// Converts an ONNX network to an int8 model file and measures what that costs.
#[derive(Args)]
pub struct Order {
    /// The network.
    pub model: PathBuf,
    /// Samples for calibration: a directory or tar of files (class folders or not), or an NPY array. For a network of several inputs
    /// such a path for each: `INPUT=PATH,OTHER=PATH`.
    #[arg(long, value_name = "DIR|TAR|NPY")]
    samples: Places,
    /// Labelled samples to measure the accuracy on.
    #[arg(long, value_name = "DIR|TAR|NPY")]
    test: Option<Places>,
    /// Classes of an NPY test: an integer for each sample.
    #[arg(long, value_name = "NPY", requires = "test")]
    test_labels: Option<PathBuf>,
    /// What the network takes for a pixel p: `0..255` p, `0..1` p/255, `mean=R,G,B,std=R,G,B` (p/255 - mean) / std; `bgr:` before it if
    /// it takes blue, green, red.
    #[arg(long, value_name = "0..255|0..1|mean=R,G,B,std=R,G,B")]
    pixels: Option<String>,
    /// Names of the outputs in order: `cat,dog`, or a file with one name on each line.
    #[arg(long, value_name = "A,B,C|FILE")]
    labels: Option<String>,
    /// Length of the sequence where the network leaves it open.
    #[arg(long, value_parser = clap::value_parser!(u16).range(2..))]
    frames: Option<u16>,
    /// Shapes of inputs, and tensors inside the graph at which the network begins: `NAME=1x3x224x224,OTHER=1x10`.
    #[arg(long, value_name = "NAME=SHAPE,...")]
    inputs: Option<String>,
    /// Tensors at which the network ends, such as those before a detector's post-processing: `A,B,C`.
    #[arg(long, value_name = "NAME,...")]
    outputs: Option<String>,
    /// Most samples used for calibration, spread evenly over classes and files.
    #[arg(long, default_value_t = 500)]
    limit: usize,
    /// How the range of each activation is chosen from the samples.
    #[arg(long, value_enum, default_value_t = Ranges::Mse)]
    ranges: Ranges,
    /// What is refined on the samples, layer by layer.
    #[arg(long, value_enum, default_value_t = Refining::Round)]
    refine: Refining,
    /// The model file to write.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// An HTML report to write.
    #[arg(long, value_name = "FILE", requires = "output")]
    report: Option<PathBuf>,
    /// A JSON report to write.
    #[arg(long, value_name = "FILE", requires = "output")]
    json: Option<PathBuf>,
    /// The quantized network to write as ONNX too, with QuantizeLinear and DequantizeLinear around float operators.
    #[arg(long, value_name = "FILE", requires = "output")]
    export_qdq: Option<PathBuf>,
    /// Print a stage of the conversion.
    #[arg(long, value_enum)]
    dump: Option<Stage>,
    /// Fail if the model needs more memory for states, activations and scratch.
    #[arg(long, value_name = "BYTES|K|M", value_parser = bytes)]
    max_ram: Option<u64>,
    /// Fail if the model file is larger.
    #[arg(long, value_name = "BYTES|K|M", value_parser = bytes)]
    max_flash: Option<u64>,
    /// Give activations 16 bits until this share of the samples, in percent, has the same top-1 as in float.
    #[arg(long, value_name = "PERCENT", value_parser = percent, conflicts_with = "snr")]
    agree: Option<f64>,
    /// Give activations 16 bits until the worst output has this signal-to-noise ratio, in decibels, against float.
    #[arg(long, value_name = "DB", value_parser = decibels)]
    snr: Option<f64>,
    /// Treat warnings as errors.
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Ranges {
    /// Everything seen.
    Minmax,
    /// 99.99 % of the values.
    Percentile,
    /// The least mean squared error of rounding and clipping.
    Mse,
    /// The least divergence by Kullback and Leibler.
    Entropy,
}

#[derive(Clone, Copy, ValueEnum)]
enum Refining {
    /// Nothing: all is rounded to the nearest.
    None,
    /// Biases, and channels brought together.
    Bias,
    /// Weights too: rounded such that errors cancel.
    Round,
}

#[derive(Clone, Copy, ValueEnum)]
enum Stage {
    Graph,
    Qgraph,
    Plan,
}

/// Does it.
///
/// # Errors
/// What is wrong with the order, the model or the samples.
pub fn run(args: &Order) -> Result<(), Failure> {
    if args.output.is_none() && args.dump.is_none() {
        return Err(Failure::Usage("nothing to do: give -o FILE, or --dump graph|qgraph|plan".into()));
    }
    check_outputs(args)?;
    let onnx = read_whole(&args.model, LONGEST_MODEL)?;
    let mut options = options(args)?;
    let mut graph = match read(&onnx, &options) {
        // An array of samples tells the length of a sequence that the network leaves open.
        Err(Error::Model(_) | Error::Several(_)) if options.frames.is_none() => {
            options.frames = args.samples.paths().filter(|path| is_npy(path)).find_map(|path| files::frames(path).ok());
            read(&onnx, &options)?
        }
        graph => graph?,
    };
    if let Some(text) = &args.pixels {
        let channels = graph.shape(graph.input())[2];
        let pixels = front_end::parse_pixels(text, channels).map_err(|e| Failure::Usage(format!("--pixels: {e}")))?;
        (options.front_end, options.bgr) = (Some(pixels.front_end), pixels.bgr);
        graph = read(&onnx, &options)?;
    }
    if let Some(Stage::Graph) = args.dump {
        say(&graph)?;
        if args.output.is_none() {
            return Ok(());
        }
    }
    let samples = open_samples(&args.samples, &mut graph, &mut options)?;
    let mut converted = convert(&onnx, samples.samples(), &options)?;
    converted.notes.extend(samples.note("--samples"));
    match args.dump {
        Some(Stage::Qgraph) => say(&converted.plan.graph)?,
        Some(Stage::Plan) => say(&converted.plan)?,
        Some(Stage::Graph) | None => {}
    }
    check_budgets(args, &converted)?;
    let exported = args.export_qdq.as_ref().map(|_| export(&converted.graph, &converted.plan.graph)).transpose()?;
    converted.notes.extend(exported.iter().flat_map(|e| &e.notes).map(|note| format!("--export-qdq: {note}")));
    let Some(output) = &args.output else { return Ok(()) };
    let test = open_test(args, &converted)?;
    converted.notes.extend(test.as_ref().and_then(|test| test.note("--test")));
    let source = test.as_ref().unwrap_or(&samples);
    let which = if test.is_some() { "--test" } else { "--samples" };
    converted.warnings.extend(source.doubt(which, converted.graph.len(converted.graph.output())));
    let float = float_runner(&onnx, &converted.graph)?;
    if let Some(line) = float.doubt() {
        if args.strict {
            return Err(Error::Strict(line.into()).into());
        }
        converted.warnings.push(line.into());
    }
    let scores = score(&float, &converted, source, test.is_none(), &options)?;
    if let Some(line) = doubt(&scores, &converted.graph, &float, source.samples())? {
        if args.strict {
            return Err(Error::Strict(line).into());
        }
        converted.warnings.push(line);
    }
    if test.is_some() && scores.labelled > 0 {
        let count =
            |n: usize| u32::try_from(n).map_err(|_| Error::Samples(format!("{n} test samples; allowed: {}", u32::MAX)));
        let accuracy = Some(Accuracy {
            total: count(scores.labelled)?,
            float_correct: count(scores.float_correct)?,
            int8_correct: count(scores.int8_correct)?,
            agree: count(scores.agree)?,
        });
        let about = About { accuracy, ..converted.about.clone() };
        converted.repack(about)?;
    }
    let report = Report {
        converted: &converted,
        float_bytes: onnx.len(),
        scores: &scores,
        samples: source.samples(),
        tested: test.is_some(),
        isa: options.cpu.isa(),
    };
    let mut files = vec![(output, converted.file.clone())];
    files.extend(args.report.as_ref().map(|path| (path, report.html().into_bytes())));
    files.extend(args.json.as_ref().map(|path| (path, report.json().into_bytes())));
    files.extend(args.export_qdq.as_ref().zip(exported).map(|(path, onnx)| (path, onnx.bytes)));
    write_all(&files)?;
    say(report.terminal())
}

/// A share that may be asked for: above 0, at most 100.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|&n| n > 0.0 && n <= 100.0);
    number.ok_or_else(|| "allowed: a number above 0, at most 100".into())
}

/// A signal-to-noise ratio that may be asked for: above 0, and below what 16 bits can hold.
fn decibels(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|&n| n > 0.0 && n <= 90.0);
    number.ok_or_else(|| "allowed: a number above 0, at most 90".into())
}

/// A number of bytes: `300000`, `256K` (1,024 each), `2M`.
fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" => Some(1),
        "K" | "k" | "KiB" => Some(1 << 10),
        "M" | "m" | "MiB" => Some(1 << 20),
        _ => None,
    };
    let bytes = digits.parse::<u64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    bytes
        .ok_or_else(|| "allowed: a whole number of bytes, or with K or M behind it of 1024 or 1024 * 1024 bytes".into())
}

/// The model fits the memories that it is meant for.
fn check_budgets(args: &Order, converted: &Converted) -> Result<(), Failure> {
    let plan = &converted.plan;
    let ram = format!(
        "states {}, activations {} of which at least {} live together, scratch {}",
        plan.state_len,
        plan.arena_len - plan.state_len - plan.totals.scratch,
        plan.lower_bound,
        plan.totals.scratch
    );
    let needs = [
        ("--max-ram", args.max_ram, plan.arena_len, ram),
        ("--max-flash", args.max_flash, converted.file.len() as u64, "the model file".into()),
    ];
    for (flag, most, needed, what) in needs {
        if let Some(most) = most.filter(|&most| needed > most) {
            return Err(Error::Budget(format!("{flag} {most}: the model needs {needed} bytes ({what})")).into());
        }
    }
    Ok(())
}

/// Nothing worse than running for minutes and then having nowhere to write, except writing over what was read.
fn check_outputs(args: &Order) -> Result<(), Failure> {
    let given = |flag, path: &Option<PathBuf>| path.clone().map(|path| (flag, path));
    let all = |flag, places: &Places| places.paths().map(move |path| (flag, path.to_owned())).collect::<Vec<_>>();
    let samples = all("--samples", &args.samples).into_iter();
    let samples = samples.chain(args.test.iter().flat_map(|test| all("--test", test)));
    let inputs = [
        Some(("the model", args.model.clone())),
        given("--test-labels", &args.test_labels),
        given("--labels", &args.labels.as_ref().map(PathBuf::from)),
    ];
    let outputs = [
        given("-o", &args.output),
        given("--report", &args.report),
        given("--json", &args.json),
        given("--export-qdq", &args.export_qdq),
    ];
    apart(inputs.into_iter().flatten().chain(samples), outputs.into_iter().flatten())
}

fn options(args: &Order) -> Result<Options, Failure> {
    if args.limit == 0 {
        return Err(Failure::Usage("--limit 0: calibration needs at least one sample".into()));
    }
    let labels = match &args.labels {
        None => None,
        Some(text) if Path::new(text).exists() && !Path::new(text).is_dir() => {
            let bytes = read_whole(Path::new(text), LONGEST_LABELS)?;
            let lines = String::from_utf8(bytes).map_err(|e| Error::Labels(format!("{text}: {e}")))?;
            Some(lines.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect())
        }
        Some(text) => Some(text.split(',').map(|l| l.trim().to_owned()).collect()),
    };
    let usage = |flag: &'static str| move |e: String| Failure::Usage(format!("{flag} {e}"));
    let inputs = args.inputs.as_deref().map(parse_inputs).transpose().map_err(usage("--inputs"))?;
    let outputs = args.outputs.as_deref().map(parse_outputs).transpose().map_err(usage("--outputs"))?;
    Ok(Options {
        frames: args.frames.map(usize::from),
        part: Part { inputs: inputs.unwrap_or_default(), outputs: outputs.unwrap_or_default() },
        folder: Some(folder(&args.model).to_owned()),
        labels,
        name: args.model.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned()),
        limit: args.limit,
        method: match args.ranges {
            Ranges::Minmax => Method::MinMax,
            Ranges::Percentile => Method::Percentile(99.99),
            Ranges::Mse => Method::Mse,
            Ranges::Entropy => Method::Entropy,
        },
        refine: match args.refine {
            Refining::None => Refine::None,
            Refining::Bias => Refine::Bias,
            Refining::Round => Refine::Round,
        },
        target: args.agree.map(Target::Agree).or(args.snr.map(Target::Snr)),
        progress: |line| eprintln!("  {}", visible(line)),
        strict: args.strict,
        ..Options::default()
    })
}

/// Opens the calibration samples. Where nothing else names the outputs, as many class folders as outputs do.
fn open_samples(places: &Places, graph: &mut Graph, options: &mut Options) -> Result<Source, Failure> {
    let labels = graph.metadata.as_ref().map_or_else(Vec::new, |m| m.labels.clone());
    let images = |path: &Path| escarp_media::Folder::open(path, escarp_media::Kind::Image).is_ok();
    let raw = graph.metadata.as_ref().is_none_or(|m| m.front_end == FrontEnd::Raw);
    let path = places.of(graph)?[0];
    if raw && !is_npy(path) && images(path) {
        return Err(Failure::Usage(format!(
            "{} holds images, and neither the model nor --pixels says what the network takes for a pixel; allowed: \
             --pixels 0..255, 0..1, mean=R,G,B,std=R,G,B",
            path.display()
        )));
    }
    let source = files::open_places(places, graph, &labels)?;
    if labels.is_empty() && source.classes().len() == graph.len(graph.output()) {
        options.labels = Some(source.classes().to_vec());
        if let Some(metadata) = &mut graph.metadata {
            metadata.labels = source.classes().to_vec();
        }
    }
    Ok(source)
}

fn open_test(args: &Order, converted: &Converted) -> Result<Option<Source>, Failure> {
    let Some(places) = &args.test else { return Ok(None) };
    let graph = &converted.graph;
    let labels = &converted.about.metadata.labels;
    let mut test = files::open_places(places, graph, labels)?;
    let outputs = graph.len(graph.output());
    let classes = test.classes().len();
    match (test.array(), &args.test_labels) {
        (Some(array), Some(path)) => files::label_array(array, path, outputs)?,
        (None, Some(_)) => {
            return Err(Failure::Usage("--test-labels is for an NPY --test; folders name their classes".into()));
        }
        (None, None) if labels.is_empty() && classes > outputs.max(2) => {
            let path = places.of(graph)?[0].display();
            return Err(Error::Labels(format!("{path}: {classes} classes; the network has {outputs} outputs")).into());
        }
        _ => {}
    }
    Ok(Some(test))
}

fn score(
    float: &FloatRunner,
    converted: &Converted,
    source: &Source,
    calibrated: bool,
    options: &Options,
) -> Result<Scores, Failure> {
    let samples = source.samples();
    let picks = if calibrated { converted.picks.clone() } else { (0..samples.len()).collect() };
    let bar = progress("measuring", picks.len());
    let scores = measure(&converted.file, float, samples, &picks, options.cpu, &|| bar.inc(1));
    bar.finish_and_clear();
    Ok(scores?)
}
