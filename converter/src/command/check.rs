//! `escarp-convert check FILE MODEL`: where a model file and its network part.

use std::{fmt::Write, path::PathBuf};

use clap::Args;
use escarp_media::visible;
use escarp_runtime::Model;

use super::{Failure, LONGEST_MODEL, is_npy, read_model, read_whole, say};
use crate::{
    check::{Checked, Layer, Verdict, check},
    convert::{Options, read},
    error::Error,
    files::{self, Places},
    front_end,
    graph::Graph,
    metadata::FrontEnd,
    output::folder,
    page::short,
    part::{Part, parse_inputs, parse_outputs},
    samples::spread,
};

/// A fall of so many decibels from what a layer reads to what it makes is told.
const JUMP: f64 = 6.0;

/// Runs a model file beside the network that it was made of and finds the first layer where they part.
#[derive(Args)]
pub struct Order {
    /// The model file.
    file: PathBuf,
    /// The network, as ONNX.
    network: PathBuf,
    /// Samples to run both on, as for a conversion.
    #[arg(long, value_name = "DIR|TAR|NPY")]
    samples: Places,
    /// What the network takes for a pixel, as for a conversion; else as the network says, or the file.
    #[arg(long, value_name = "0..255|0..1|mean=R,G,B,std=R,G,B")]
    pixels: Option<String>,
    /// Shapes of inputs, and where the network begins, as for the conversion.
    #[arg(long, value_name = "NAME=SHAPE,...")]
    inputs: Option<String>,
    /// Where the network ends, as for the conversion.
    #[arg(long, value_name = "NAME,...")]
    outputs: Option<String>,
    /// Most samples, spread evenly.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    limit: u16,
}

/// Does it.
///
/// # Errors
/// [`Failure::Answer`] if they part, which has been said; what is wrong with the order or its files.
pub fn run(order: &Order) -> Result<(), Failure> {
    let file = read_model(&order.file)?;
    let onnx = read_whole(&order.network, LONGEST_MODEL)?;
    if Model::parse(&onnx).is_ok() {
        return Err(Failure::Usage(format!(
            "{} is a model file; needed second: the network as ONNX",
            order.network.display()
        )));
    }
    let of_network = |e: Error| Failure::Of(order.network.clone(), e.into());
    let of_file = |e: Error| Failure::Of(order.file.clone(), e.into());
    let model = Model::parse(&file).map_err(|e| of_file(Error::Pack(e.to_string())))?;
    let (graph, options) = network(order, &onnx, &model).map_err(|failure| match failure {
        Failure::Run(e) => of_network(e),
        other => other,
    })?;
    let ours = graph.metadata.as_ref().map_or(FrontEnd::Raw, |m| m.front_end.clone());
    let images = order
        .samples
        .of(&graph)?
        .first()
        .is_some_and(|path| !is_npy(path) && escarp_media::Folder::open(path, escarp_media::Kind::Image).is_ok());
    if images && ours == FrontEnd::Raw {
        return Err(Failure::Usage(
            "images as samples, and neither network nor file says what a pixel is; allowed: --pixels".into(),
        ));
    }
    let source = files::open_places(&order.samples, &graph, &[])?;
    let picks = spread(source.samples(), order.limit.into());
    let mut checked = check(&file, &graph, source.samples(), &picks, options.cpu).map_err(of_file)?;
    if front_end::of(&ours) != model.front_end() {
        let theirs = front_end::stored(&model.front_end());
        checked.remarks.push(format!("front end: the file has {theirs:?}, the network is checked with {ours:?}"));
    }
    say(told(order, &model, &graph, &checked, picks.len()))?;
    if checked.verdict == Verdict::Fine { Ok(()) } else { Err(Failure::Answer) }
}

/// The network as the file has it: its length of sequences, and its front end where the network says none.
fn network(order: &Order, onnx: &[u8], model: &Model) -> Result<(Graph, Options), Failure> {
    let usage = |flag: &'static str| move |e: String| Failure::Usage(format!("{flag} {e}"));
    let inputs = order.inputs.as_deref().map(parse_inputs).transpose().map_err(usage("--inputs"))?;
    let outputs = order.outputs.as_deref().map(parse_outputs).transpose().map_err(usage("--outputs"))?;
    let steps = usize::from(model.header().sequence);
    let mut options = Options {
        frames: (steps > 1).then_some(steps),
        part: Part { inputs: inputs.unwrap_or_default(), outputs: outputs.unwrap_or_default() },
        folder: Some(folder(&order.network).to_owned()),
        ..Options::default()
    };
    let mut graph = read(onnx, &options)?;
    let channels = graph.shape(graph.input())[2];
    let raw = graph.metadata.as_ref().is_none_or(|m| m.front_end == FrontEnd::Raw);
    if let Some(text) = &order.pixels {
        let pixels = front_end::parse_pixels(text, channels).map_err(usage("--pixels:"))?;
        (options.front_end, options.bgr) = (Some(pixels.front_end), pixels.bgr);
    } else if raw {
        options.front_end = Some(front_end::stored(&model.front_end()));
    }
    if options.front_end.is_some() {
        graph = read(onnx, &options)?;
    }
    Ok((graph, options))
}

fn decibels(snr: f64) -> String {
    // Nothing lost of something, or of nothing.
    if snr.is_finite() { format!("{snr:.1} dB") } else { "exact".into() }
}

/// The table and the verdict.
fn told(order: &Order, model: &Model, graph: &Graph, checked: &Checked, samples: usize) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    let name = model.name().map_or(String::new(), |name| format!(", `{}`", visible(name)));
    line(format!("{:>15}  {}{name}", "file", visible(order.file.display())));
    line(format!("{:>15}  {}", "network", visible(order.network.display())));
    line(format!("{:>15}  {samples}", "samples"));
    if !checked.layers.is_empty() {
        line("\n     so far  by itself     units   beyond  layer".into());
    }
    // What each tensor has lost.
    let mut lost = vec![f64::INFINITY; graph.tensors.len()];
    for (at, (layer, node)) in checked.layers.iter().zip(&graph.nodes).enumerate() {
        let before = node.inputs.iter().map(|&id| lost[id]).fold(f64::INFINITY, f64::min);
        lost[node.output] = layer.snr_db;
        let mark = match (checked.verdict == Verdict::Layer(at), before.is_finite() && before - layer.snr_db > JUMP) {
            (true, _) => "  <- here they part",
            (false, true) => "  <- falls",
            _ => "",
        };
        line(format!("{}{mark}", row(layer)));
    }
    line(String::new());
    for remark in &checked.remarks {
        line(format!("  {}", visible(remark)));
    }
    line(format!("  {}", verdict(graph, checked)));
    out
}

fn row(layer: &Layer) -> String {
    let mut out = String::new();
    let beyond = if layer.clipped > 0.0 { format!("{:.1} %", layer.clipped / 10.0) } else { "-".into() };
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "  {:>9}  {:>9}  {:>8.2}  {beyond:>7}  {:<18} {:>10}  {}",
        decibels(layer.snr_db),
        decibels(layer.own_db),
        layer.own_steps,
        visible(&layer.operator).to_string(),
        layer.shape,
        visible(short(&layer.name, 48))
    );
    out
}

fn verdict(graph: &Graph, checked: &Checked) -> String {
    match &checked.verdict {
        Verdict::Fine => {
            let worst = checked.layers.iter().map(|l| l.own_steps).fold(0.0, f64::max);
            format!("they compute the same: no layer by itself is further from float than {worst:.2} of its units")
        }
        Verdict::Built(why) => format!(
            "they are not built alike: {}. The file was made of another network, or with other --inputs or --outputs",
            visible(why)
        ),
        Verdict::Layer(at) => {
            let layer = &checked.layers[*at];
            let first = graph.nodes[*at].inputs.iter().any(|&id| graph.is_input(id));
            let hint = if first {
                "; other weights, or the channels in another order (--pixels bgr:...)"
            } else {
                "; other weights"
            };
            format!(
                "they part at layer {at}, `{}`: from what the file's step gets, the network makes something else ({}, {:.1} units){hint}",
                visible(&layer.name),
                decibels(layer.own_db),
                layer.own_steps
            )
        }
        Verdict::Sum(output) => format!(
            "no layer by itself computes something else, but together their errors make another output of `{}`: ranges too narrow \
             or too wide for these samples; convert with samples like them, or with --snr",
            visible(&graph.outputs[*output].name)
        ),
    }
}
