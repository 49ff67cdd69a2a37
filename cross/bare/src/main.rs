//! The runtime without an operating system, a heap or `std`: an image for QEMU's `virt` machine that runs the model
//! which was linked in on the input that was linked in, and prints the output's bytes. `cargo xtask bare` builds and runs
//! it; a test compares the bytes with the host's.
//!
//! Exit status: 0 done, 1 the model or the input was refused, 3 a CPU exception, 101 a panic.
//!
//! | room | what stands there |
//! |---|---|
//! | `machine` | start-up, serial port, end; start-up calls the program |
//! | `program` | the model at work, on whatever machine |
#![no_std]
#![no_main]

use core::fmt::Write;

mod machine;
mod program;

use machine::Serial;

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    writeln!(Serial, "{info}").ok();
    machine::exit(101)
}
