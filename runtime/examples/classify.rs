//! One inference: a picture that is drawn here, through the front end that the model file names, to a label.
//!
//! `cargo run --package escarp-runtime --example classify`

use std::error::Error;

use escarp_runtime::{
    Arena, Cpu, Model, Session, arena_len,
    frontend::{FrontEnd, Pixels},
    include_model,
};

static MODEL: &[u8] = include_model!("../../tests/models/images.escarp");

fn main() -> Result<(), Box<dyn Error>> {
    let mut arena = Arena::<{ arena_len(MODEL) }>::new();
    let model = Model::parse(MODEL)?;
    let mut session = Session::new(&model, &mut arena, Cpu::compiled())?;

    // 32 x 32 pixels of three bytes: a light disc on a dark ground.
    let inside = |i: usize| (i / 32).abs_diff(16).pow(2) + (i % 32).abs_diff(16).pow(2) < 100;
    let picture: Vec<u8> = (0..32 * 32).flat_map(|i| if inside(i) { [220, 200, 60] } else { [40, 60, 90] }).collect();

    let FrontEnd::Pixels(settings) = model.front_end() else { return Err("the model takes no pictures".into()) };
    let mut input = vec![0; picture.len()];
    Pixels::new(&settings, model.input().scale, model.input().zero_point)?.quantize(&picture, &mut input)?;
    let scores = session.run(&input)?;

    let best = (0..scores.len()).max_by_key(|&i| scores[i]).ok_or("no outputs")?;
    println!("{} of {:?}", model.labels().nth(best).unwrap_or("?"), model.labels().collect::<Vec<_>>());
    Ok(())
}
