//! Sound inputs that fuzzing begins with, made by the writers that the crates' own tests use.

mod files;
mod nets;

use escarp_runtime::frontend::{FrontEnd, LogMelSettings, Norm, PixelSettings, SensorSettings};
use escarp_trainer::nets::presets::PRESETS;

use super::run::RUN;
pub use files::{png, tar};

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::should_implement_trait,
    reason = "the runtime's own tests have it for themselves"
)]
#[path = "../../../runtime/tests/writer/mod.rs"]
pub mod writer;

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::should_implement_trait,
    clippy::new_without_default,
    reason = "the converter's own tests have it for themselves"
)]
#[path = "../../../converter/tests/build/mod.rs"]
pub mod build;

/// Named inputs for the target of that name; every one is accepted.
///
/// # Panics
/// If there is no such target.
pub fn of(target: &str) -> Vec<(String, Vec<u8>)> {
    match target {
        "model" => models(),
        "front-end" => front_ends(),
        "image" => files::images(),
        "data" => files::data(),
        "tar" => files::tars(),
        "onnx" => nets::onnx(),
        "net" => {
            let presets = PRESETS.iter().map(|p| (p.name.to_owned(), p.text.as_bytes().to_vec()));
            presets
                .filter(|(_, text)| text.len() < 1024)
                .chain(named(nets::TOML, |text| text.as_bytes().to_vec()))
                .collect()
        }
        "health" => named(files::LOGS, |text| text.as_bytes().to_vec()),
        "checkpoint" => vec![("gru".into(), RUN.with(|run| run.checkpoint.clone()))],
        "config" => vec![("motion".into(), RUN.with(|run| run.config.clone()))],
        _ => panic!("no target {target}"),
    }
}

fn named<T: Copy>(all: &[(&str, T)], bytes: impl Fn(T) -> Vec<u8>) -> Vec<(String, Vec<u8>)> {
    all.iter().map(|(name, content)| ((*name).to_owned(), bytes(*content))).collect()
}

fn models() -> Vec<(String, Vec<u8>)> {
    use escarp_runtime::{
        Dtype, Meaning,
        ops::{AddStep, Combine, LinearStep, Step},
    };
    let mut random = writer::Random(3);
    let mut linear = writer::Writer::default();
    let (x, y) = (linear.tensor([1, 1, 3], 0.5, -3), linear.tensor([1, 1, 2], 0.25, 4));
    let [weights, params] = linear.matrix(&writer::Matrix::random(&mut random, 2, 1, 3, 38));
    linear.steps.push(Step::from(LinearStep { input: x, output: y, weights, params, min: -128, max: 127 }));
    let mut add = writer::Writer::default();
    let (a, b) = (add.tensor([2, 3, 4], 0.5, -3), add.tensor([2, 3, 4], 0.25, 4));
    add.steps.push(Step::from(AddStep {
        combine: Combine::Sum,
        a,
        b: a,
        output: b,
        multipliers: [2048, 4096],
        min: -120,
        max: 120,
    }));
    let mut ports = writer::Writer::default();
    let [left, right, sum] = [0.5, 0.25, 0.5].map(|scale| ports.tensor([2, 1, 3], scale, -3));
    let (short, long, state) = (ports.wide([1, 2, 3], Dtype::I16), ports.wide([1, 1, 2], Dtype::I32), ports.state(4));
    ports.steps.push(Step::from(AddStep {
        combine: Combine::Sum,
        a: left,
        b: right,
        output: sum,
        multipliers: [4096, 2048],
        min: -9,
        max: 9,
    }));
    let plain = |name, id| (name, id, Meaning::Plain);
    let inputs = [plain("left", left), plain("right", right), plain("short", short), plain("long", long)];
    let outputs = [("sum", sum, Meaning::Sigmoid), plain("long", long), plain("short", short), plain("state", state)];
    vec![
        ("linear".into(), linear.finish(x, y, 1)),
        ("add".into(), add.finish(a, b, 1)),
        ("residual".into(), writer::residual_net()),
        ("gru".into(), writer::gru_net()),
        ("ports".into(), ports.finish_with(&inputs, &outputs, 1)),
        ("every".into(), writer::every_net()),
    ]
}

/// Each with some bytes of data behind it.
fn front_ends() -> Vec<(String, Vec<u8>)> {
    let (zero, one) = ([0.0; 2], [1.0; 2]);
    let norm = Norm::new(&zero, &one);
    let log_mel = LogMelSettings {
        sample_rate: 8000,
        frame: 50,
        hop: 20,
        fft: 64,
        frames: 3,
        low_hz: 20.0,
        high_hz: 4000.0,
        floor: 1e-6,
        norm,
    };
    let all = [
        ("raw", FrontEnd::Raw),
        ("pixels", FrontEnd::Pixels(PixelSettings { norm })),
        ("log-mel", FrontEnd::LogMel(log_mel)),
        ("sensor", FrontEnd::Sensor(SensorSettings { rate: 50.0, frames: 2, norm })),
    ];
    let data = [0.5f32, -1.0, 3.0, 1e3].into_iter().cycle().take(50).flat_map(f32::to_le_bytes);
    let bytes = |front_end: &FrontEnd| {
        let mut bytes = vec![0; front_end.emitted_len()];
        front_end.emit(&mut bytes).expect("sound settings");
        bytes.into_iter().chain(data.clone()).collect()
    };
    all.iter().map(|(name, front_end)| ((*name).to_owned(), bytes(front_end))).collect()
}
