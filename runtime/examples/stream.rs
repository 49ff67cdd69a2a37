//! A recurrent net, fed as its sensor delivers: one run for each frame. In the middle its state is saved, the session is thrown
//! away, and another one goes on from there, as after a restart.
//!
//! `cargo run --package escarp-runtime --example stream`

use std::error::Error;

use escarp_runtime::{
    Arena, Cpu, Model, Session, State, arena_len,
    frontend::{FrontEnd, quantize},
    include_model,
};

static MODEL: &[u8] = include_model!("../../tests/models/motion.escarp");
/// x, y, z for every 20 ms, after a line of names.
static RECORDING: &str = include_str!("../../tests/models/motion/circle-left/0000.csv");

fn main() -> Result<(), Box<dyn Error>> {
    let model = Model::parse(MODEL)?;
    let FrontEnd::Sensor(settings) = model.front_end() else { return Err("the model takes no sensor".into()) };
    let input = model.input();
    let frames = RECORDING.lines().skip(1).map(|line| -> Result<Vec<i8>, Box<dyn Error>> {
        let samples = line.split(',').map(str::parse).collect::<Result<Vec<f32>, _>>()?;
        let mut values = vec![0.0; samples.len()];
        settings.normalize(&samples, &mut values)?;
        Ok(values.iter().map(|&v| quantize(v, input.scale, input.zero_point)).collect())
    });
    let frames = frames.collect::<Result<Vec<_>, _>>()?;

    let mut arena = Arena::<{ arena_len(MODEL) }>::new();
    let mut session = Session::new(&model, &mut arena, Cpu::compiled())?;
    let (before, after) = frames.split_at(frames.len() / 2);
    for frame in before {
        session.run(frame)?;
    }
    let saved = session.state().bytes.to_vec();
    println!("after {} frames the state is {} bytes", before.len(), saved.len());

    let mut arena = Arena::<{ arena_len(MODEL) }>::new();
    let mut session = Session::new(&model, &mut arena, Cpu::compiled())?;
    session.restore(State { model: model.id(), bytes: &saved })?;
    let mut best = 0;
    for frame in after {
        let scores = session.run(frame)?;
        best = (0..scores.len()).max_by_key(|&i| scores[i]).unwrap_or_default();
    }
    println!("after {} frames it is {}", frames.len(), model.labels().nth(best).unwrap_or("?"));
    Ok(())
}
