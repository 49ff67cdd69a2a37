//! The model that was linked in, run on the input that was linked in.

use core::fmt::Write;

use escarp_runtime::{Cpu, Error, Model, Session, StaticArena, arena_len, include_model};

static MODEL: &[u8] = include_model!(env!("ESCARP_MODEL"));
static ARENA: StaticArena<{ arena_len(MODEL) }> = StaticArena::new();
static INPUT: &[u8] = include_bytes!(env!("ESCARP_INPUT"));

/// Longest input of one run.
const STEP_MAX: usize = 1 << 16;

/// Runs every step of the input and writes each step's output to `port`.
fn infer(port: &mut impl Write) -> Result<(), Error> {
    let model = Model::parse(MODEL)?;
    // Nobody else asks for it; without, the model's own error says how much is missing.
    let mut session = Session::new(&model, ARENA.take().unwrap_or_default(), Cpu::compiled())?;
    let mut step = [0i8; STEP_MAX];
    let elements = model.input().elements() as usize;
    for bytes in INPUT.chunks(elements) {
        let step = step.get_mut(..bytes.len()).ok_or(Error::Input {
            index: 0,
            needed: STEP_MAX as u32,
            got: elements as u32,
        })?;
        step.iter_mut().zip(bytes).for_each(|(value, byte)| *value = byte.cast_signed());
        let output = session.run(step)?;
        write!(port, "output").ok();
        for value in output {
            write!(port, " {value}").ok();
        }
        writeln!(port).ok();
    }
    Ok(())
}

/// Does it; returns the exit status.
pub fn run(port: &mut impl Write) -> u64 {
    match infer(port) {
        Ok(()) => 0,
        Err(error) => {
            writeln!(port, "error: {error}").ok();
            1
        }
    }
}
