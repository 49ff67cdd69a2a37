//! The runtime without an operating system, a heap or `std`: an image for QEMU's `virt` machine that runs the model
//! which was linked in on the input that was linked in, and prints the output's bytes. `cargo xtask bare` builds and runs
//! it; a test compares the bytes with the host's.
//!
//! Exit status: 0 done, 1 the model or the input was refused, 3 a CPU exception, 101 a panic.
#![no_std]
#![no_main]

use core::fmt::Write;

use escarp_runtime::{Cpu, Error, Model, Session, StaticArena, arena_len, include_model};

mod machine;

use machine::Serial;

static MODEL: &[u8] = include_model!(env!("ESCARP_MODEL"));
static ARENA: StaticArena<{ arena_len(MODEL) }> = StaticArena::new();
static INPUT: &[u8] = include_bytes!(env!("ESCARP_INPUT"));

/// Longest input of one run.
const STEP_MAX: usize = 1 << 16;

/// Runs every step of the input and prints each step's output.
fn infer() -> Result<(), Error> {
    let model = Model::parse(MODEL)?;
    // Nobody else asks for it; without, the model's own error says how much is missing.
    let mut session = Session::new(&model, ARENA.take().unwrap_or_default(), Cpu::compiled())?;
    let mut step = [0i8; STEP_MAX];
    let elements = model.input().elements() as usize;
    for bytes in INPUT.chunks(elements) {
        let step = step.get_mut(..bytes.len()).ok_or(Error::Input { needed: STEP_MAX as u32, got: elements as u32 })?;
        step.iter_mut().zip(bytes).for_each(|(value, byte)| *value = byte.cast_signed());
        let output = session.run(step)?;
        write!(Serial, "output").ok();
        for value in output {
            write!(Serial, " {value}").ok();
        }
        writeln!(Serial).ok();
    }
    Ok(())
}

fn run() -> u64 {
    match infer() {
        Ok(()) => 0,
        Err(error) => {
            writeln!(Serial, "error: {error}").ok();
            1
        }
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    writeln!(Serial, "{info}").ok();
    machine::exit(101)
}
