//! int8 neural networks on Arm boards: no std, no alloc, the same bits everywhere.
#![no_std]

mod cpu;
mod error;
pub mod frontend;
pub mod kernels;
pub mod quant;

pub use cpu::{Cpu, Isa};
pub use error::Error;
