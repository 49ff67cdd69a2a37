//! x
#![no_std]
#![no_main]
use core::fmt::Write;
mod machine;
use machine::Serial;
static INPUT: &[u8] = include_bytes!(env!("ESCARP_INPUT"));
fn run() -> u64 {
    let mut big = [0u8; 100000];
    for (a, b) in big[3..].iter_mut().zip(INPUT) { *a = *b; }
    writeln!(Serial, "hello {} {:?} {}", INPUT.len(), &big[..8], 1.5f32 * big[4] as f32).ok();
    7
}
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    writeln!(Serial, "{info}").ok();
    machine::exit(101)
}
