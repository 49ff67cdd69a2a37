//! How often a model file is right: int8, as a board runs it, beside the float network it was made from.
//!
//! `cargo run --package escarp-converter --example accuracy MODEL.onnx MODEL.escarp FOLDER`: the samples lie in class
//! folders. Without arguments: the images of the repository, eight pictures.

use std::{error::Error, path::Path};

use escarp_converter::{Options, files, float_runner, measure::measure, read};

fn main() -> Result<(), Box<dyn Error>> {
    let stored = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/images");
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [onnx, model, folder] = match given.as_slice() {
        [] => [format!("{stored}.onnx"), format!("{stored}.escarp"), stored.into()],
        [onnx, model, folder] => [onnx.clone(), model.clone(), folder.clone()],
        _ => return Err("three arguments or none: MODEL.onnx MODEL.escarp FOLDER".into()),
    };
    let (onnx, model) = (std::fs::read(onnx)?, std::fs::read(model)?);
    let options = Options::default();
    let graph = read(&onnx, &options)?;
    let labels = graph.metadata.as_ref().map_or_else(Vec::new, |m| m.labels.clone());
    let source = files::open(Path::new(&folder), &graph, &labels)?;

    let float = float_runner(&onnx, &graph)?;
    let samples = source.samples();
    let picks: Vec<usize> = (0..samples.len()).collect();
    let scores = measure(&model, &float, samples, &picks, options.cpu, &|| {})?;
    println!(
        "of {} labelled samples float has {} right, int8 {}",
        scores.labelled, scores.float_correct, scores.int8_correct
    );
    println!("the same answer on {} of {}", scores.agree, scores.total);
    for answer in scores.answers.iter().filter(|a| a.float_top != a.int8_top) {
        println!("  {}: float {}, int8 {}", samples.name(answer.index), answer.float_top, answer.int8_top);
    }
    Ok(())
}
