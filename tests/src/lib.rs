//! What the end-to-end tests share: where the programs are, QEMU, and the shared data.
//!
//! Nothing is skipped in silence: what is missing is written to the terminal past the test harness's capture, and where it
//! was promised (`CI=true` for QEMU, `ESCARP_SHARED=required` for the data) it is a failure.
//!
//! The rooms, from the top floor down; each imports from lower rows only, and not from its own:
//!
//! | room | what stands there |
//! |---|---|
//! | [`conformance`] | ONNX's own tests of operators |
//! | [`finds`] | inputs that once broke something |
//! | [`fuzz`] | hostile inputs: one function for each kind, and seeds to begin with |
//! | `programs` | the three programs, here and under QEMU |
//! | `places`, [`rooms`] | where things are, and what is said if not; the reader of tables like this one |
#![warn(missing_docs)]

pub mod conformance;
pub mod finds;
pub mod fuzz;
mod places;
mod programs;
pub mod rooms;

pub use places::{root, shared};
pub use programs::{Board, boards, outputs, program, run, succeed};
