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
//! obeys. After loading, a run cannot fail: only values of the wrong number or type, or none, are refused. Every kernel of every CPU gives the bits of the portable
//! one, so what the host measures is what the board does. `format.md` beside this crate specifies the file byte by byte.
//!
//! ```
//! use escarp_runtime::{Cpu, Error, Model, Session};
//!
//! fn classify(file: &[u8], memory: &mut [i8], frames: &[Vec<i8>]) -> Result<(), Error> {
//!     let model = Model::parse(file)?;
//!     let mut session = Session::new(&model, memory, Cpu::compiled())?;
//!     for frame in frames {
//!         let scores: &[i8] = session.run(frame)?;
//!         println!("{scores:?}");
//!     }
//!     Ok(())
//! }
//! # let file = include_bytes!("../tests/data/residual.escarp");
//! # classify(file, &mut vec![0; Model::parse(file)?.buffer_len()], &[vec![0; 5 * 6 * 3]])?;
//! # Ok::<(), Error>(())
//! ```
//!
//! In firmware the file and the memory are statics, the one as large as the other asks for:
//!
//! ```
//! use escarp_runtime::{Cpu, Model, Session, StaticArena, arena_len, include_model};
//!
//! static MODEL: &[u8] = include_model!("../tests/data/gru.escarp");
//! static ARENA: StaticArena<{ arena_len(MODEL) }> = StaticArena::new();
//!
//! let arena = ARENA.take().expect("nobody else has it");
//! let model = Model::parse(MODEL)?;
//! let mut session = Session::new(&model, arena, Cpu::compiled())?;
//! for frame in [[3; 5], [-7; 5]] {
//!     let scores: &[i8] = session.run(&frame)?; // one time step: the state stays in the arena
//!     assert_eq!(scores.len(), 3);
//! }
//! let saved = session.state(); //  to flash, say; `restore` goes on from it
//! assert_eq!((saved.model, saved.bytes.len()), (model.id(), model.state_len()));
//! # Ok::<(), escarp_runtime::Error>(())
//! ```
//!
//! A model of several inputs and outputs is set, run and read by their names: see [`Session`].
//!
//! The floors, from the top; a module uses those below it only.
//!
//! | room | what stands there |
//! |---|---|
//! | `session` | a model at work: inputs in, a run, outputs out; the state |
//! | `model` | a file of which everything has been checked |
//! | `written` | the check that whatever is read was written before |
//! | `ops` | the operators: their records, costs, checks and runs |
//! | `meta` | labels, names, front ends: what a file says besides |
//! | `frontend` | from pixels, sound and sensors to int8 |
//! | `arena` | memory |
//! | `format` | the file's sections, header, tensors and ports |
//! | `kernels` | the hot loops, for each instruction set |
//! | `error` | what can be wrong, and where |
//! | `tables`, `quant`, `cpu`, `element`, `id` | sigmoid and tanh; requantization; what the CPU can do; types; numbers |
//! | `bytes` | little-endian fields, and bytes as integers |
#![no_std]
#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::cast_sign_loss))]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]

mod arena;
mod bytes;
mod cpu;
mod element;
mod error;
pub mod format;
pub mod frontend;
mod id;
pub mod kernels;
pub mod meta;
mod model;
pub mod ops;
pub mod quant;
mod session;
pub mod tables;
mod written;

pub use arena::{Aligned, Arena, StaticArena};
pub use cpu::{Core, Cpu, Isa};
pub use element::{Dtype, Element, Value};
pub use error::{Error, Field, MetaError, PortError, StepError, TensorError};
pub use format::{Meaning, Tensor, arena_len};
pub use id::{ConstOffset, TensorId};
pub use model::{Model, Port, Ports, State};
pub use session::{AccessError, Key, Session};
pub use written::LOOKS_MAX;

/// Embeds a model file, aligned to cache lines: `static MODEL: &[u8] = include_model!("kws.escarp");`, the path as for
/// [`include_bytes!`]. Any alignment gives the same results; this one is fastest.
#[macro_export]
macro_rules! include_model {
    ($path:expr $(,)?) => {{
        const FILE: &$crate::Aligned<[u8]> = &$crate::Aligned(*include_bytes!($path));
        &FILE.0
    }};
}
