//! What a model file says about itself, before anything runs.
//!
//! `cargo run --package escarp-runtime --example facts [FILE.escarp]`

use std::error::Error;

use escarp_runtime::{Model, Tensor};

fn main() -> Result<(), Box<dyn Error>> {
    let stored = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/images.escarp");
    let path = std::env::args().nth(1).unwrap_or_else(|| stored.into());
    let file = std::fs::read(&path)?;
    let model = Model::parse(&file).map_err(|e| format!("{path}: {e}"))?;

    println!("name    {}", model.name().unwrap_or("(none)"));
    println!("labels  {}", model.labels().collect::<Vec<_>>().join(", "));
    println!("memory  {} bytes, {} of them state", model.buffer_len(), model.state_len());
    println!("work    {} multiply-accumulates a run, {} run(s) a decision", model.macs(), model.sequence());
    for (what, ports) in [("input", model.inputs()), ("output", model.outputs())] {
        for port in ports {
            let Tensor { height, width, channels, scale, zero_point, .. } = port.tensor;
            println!("{what:<7} {:?}: {height} x {width} x {channels}, {scale} * (q - {zero_point})", port.name);
        }
    }
    for step in model.steps() {
        let shape = model.tensor(step.output()).map(|t| [t.height, t.width, t.channels]).unwrap_or_default();
        let macs = step.cost(&model).unwrap_or_default().macs;
        println!("step    {:<8} to {shape:?}, {macs} multiply-accumulates", step.name());
    }
    if let Some(a) = model.accuracy() {
        println!("tested  float {}, int8 {} of {} right", a.float_correct, a.int8_correct, a.total);
    }
    Ok(())
}
