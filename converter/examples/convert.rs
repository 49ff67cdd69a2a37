//! A network from ONNX to a model file, with samples that are in memory already, and the figures of the report.
//!
//! `cargo run --package escarp-converter --example convert`

use std::error::Error;

use escarp_converter::{Options, convert, float_runner, measure::measure, read, samples::InMemory};

fn main() -> Result<(), Box<dyn Error>> {
    let onnx = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/motion.onnx"))?;
    let options = Options { name: "motion".into(), ..Options::default() };

    // What a sample looks like says the graph. These are waves of 40 frequencies; a network of yours needs samples as it will see them.
    let graph = read(&onnx, &options)?;
    let wave = |sample: usize, i: usize| ((i * (sample + 1)) as f32 * 0.01).sin();
    let values = (0..40).flat_map(|s| (0..graph.sample_len()).map(move |i| wave(s, i))).collect();
    let samples = InMemory { values, sample_len: graph.sample_len(), labels: vec![], source: "waves".into() };

    let converted = convert(&onnx, &samples, &options)?;
    println!("{} bytes of ONNX became {}", onnx.len(), converted.file.len());
    for layer in &converted.layers {
        println!("{:5.1} dB  {:<8} {}", layer.snr_db, layer.operator, layer.name);
    }
    for line in converted.notes.iter().chain(&converted.warnings) {
        println!("note: {line}");
    }

    let float = float_runner(&onnx, &converted.graph)?;
    let scores = measure(&converted.file, &float, &samples, &converted.picks, options.cpu, &|| {})?;
    println!("the same answer on {} of {} samples", scores.agree, scores.total);
    Ok(())
}
