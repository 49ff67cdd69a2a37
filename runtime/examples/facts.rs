//! What a model file says about itself, before anything runs.
//!
//! `cargo run --package escarp-runtime --example facts [FILE.escarp]`

use std::error::Error;

use escarp_runtime::Model;

fn main() -> Result<(), Box<dyn Error>> {
    let stored = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/images.escarp");
    let path = std::env::args().nth(1).unwrap_or_else(|| stored.into());
    let file = std::fs::read(&path)?;
    let model = Model::parse(&file).map_err(|e| format!("{path}: {e}"))?;

    println!("name    {}", model.name().unwrap_or("(none)"));
    println!("labels  {}", model.labels().collect::<Vec<_>>().join(", "));
    println!("memory  {} bytes, {} of them state", model.arena_len(), model.state_len());
    println!("work    {} multiply-accumulates a run, {} run(s) a decision", model.macs(), model.sequence());
    for step in model.steps() {
        let shape = model.tensor(step.output()).map(|t| [t.height, t.width, t.channels]).unwrap_or_default();
        println!("step    {:<8} to {shape:?}, {} multiply-accumulates", step.name(), step.macs(&model));
    }
    if let Some(a) = model.accuracy() {
        println!("tested  float {}, int8 {} of {} right", a.float_correct, a.int8_correct, a.total);
    }
    Ok(())
}
