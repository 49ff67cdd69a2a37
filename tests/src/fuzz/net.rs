//! Any text as a net's TOML file; small nets are built and take a step.

use escarp_trainer::nets::{Arch, Net, NetFile, Shape};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Nets are built whose file names no number above this: the memory of larger ones is what their file asks for.
const LARGEST: u64 = 24;

/// The target.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(file) = NetFile::parse("net.toml", text) else { return };
    let input = file.input.unwrap_or(Shape::Sequence([5, 3]));
    let arch = Arch { input, classes: file.classes.unwrap_or(3), layers: file.layers };
    let json = serde_json::to_value(&arch).expect("what was read can be written");
    if largest(&json) > LARGEST || arch.layers.len() > 16 {
        return;
    }
    build(&arch);
}

/// Builds a net and lets it answer.
fn build(arch: &Arch) {
    let Ok(mut net) = Net::<f32>::new(arch, &mut ChaCha8Rng::seed_from_u64(1)) else { return };
    let shape = arch.input_shape(2);
    let x = ndarray::ArrayD::from_elem(shape, 1.0);
    let _ = net.predict(&x);
}

/// The largest number anywhere in a JSON value.
pub fn largest(value: &serde_json::Value) -> u64 {
    match value {
        serde_json::Value::Number(n) => n.as_u64().unwrap_or(0),
        serde_json::Value::Array(all) => all.iter().map(largest).max().unwrap_or(0),
        serde_json::Value::Object(all) => all.values().map(largest).max().unwrap_or(0),
        _ => 0,
    }
}
