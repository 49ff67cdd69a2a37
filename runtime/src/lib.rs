//! int8 neural networks on Arm boards: no std, no alloc, the same bits everywhere.
//!
//! ```text
//! file: &[u8] --Model::parse--> Model --Session::new--> Session --run(&[i8])--> &[i8]
//!                     |                       |                      |
//!          checks everything, once   + arena: &mut [i8]     one inference, or one time
//!          or says what is wrong     + Cpu, told not guessed   step of a recurrent net
//! ```
//!
//! The host decides everything (shapes, scales, packing, arena offsets, the order of steps) and the file says it; the runtime
//! obeys. After loading, `run` can fail on the input's length alone. Every kernel of every CPU gives the bits of the portable
//! one, so what the host measures is what the board does. `format.md` beside this crate specifies the file byte by byte.
//!
//! ```no_run
//! use escarp_runtime::{Cpu, Error, Model, Session};
//!
//! fn classify(file: &[u8], arena: &mut [i8], frames: &[Vec<i8>]) -> Result<(), Error> {
//!     let model = Model::parse(file)?;
//!     let mut session = Session::new(&model, arena, Cpu::compiled())?;
//!     for frame in frames {
//!         let scores: &[i8] = session.run(frame)?;
//!         println!("{scores:?}");
//!     }
//!     Ok(())
//! }
//! ```
//!
//! In firmware the file and the arena are statics: `include_model!("kws.escarp")` embeds the one, and
//! `Arena<{ arena_len(MODEL) }>` has the size that the other asks for.
#![no_std]
#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::cast_sign_loss))]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]

mod arena;
mod bytes;
mod cpu;
mod error;
pub mod format;
pub mod frontend;
pub mod kernels;
pub mod meta;
mod model;
pub mod ops;
pub mod quant;
mod session;
pub mod tables;
mod written;

pub use arena::{Aligned, Arena};
pub use cpu::{Core, Cpu, Isa};
pub use error::{Error, Field, MetaError, StepError, TensorError};
pub use format::{Dtype, Tensor, arena_len};
pub use model::{Model, State};
pub use session::Session;

/// Embeds a model file, aligned to cache lines: `static MODEL: &[u8] = include_model!("kws.escarp");`, the path as for
/// [`include_bytes!`]. Any alignment gives the same results; this one is fastest.
#[macro_export]
macro_rules! include_model {
    ($path:expr $(,)?) => {{
        const FILE: &$crate::Aligned<[u8]> = &$crate::Aligned(*include_bytes!($path));
        &FILE.0
    }};
}
