//! Files into pixels, samples and arrays: the one home of decoding for the trainer, the converter and `escarp-run`.
//!
//! The same file must give the same numbers in training, in calibration and on the board. So everything here is integer
//! arithmetic, or floating point whose every operation is written out (no vector code chosen at run time, no fused
//! multiply-add), and whoever reads a file reads it through this crate.
//!
//! ```text
//! Folder (directory, tar) -> Sample { name, label, bytes } -> Image | Pcm | Csv | Npy | Text -> Content -> network inputs
//! ```
//!
//! Input is hostile: sizes are capped before memory is taken, and every error says which file, and inside it where.
//!
//! The rooms, from the top floor down; each imports from lower rows only, and not from its own:
//!
//! | room | what stands there |
//! |---|---|
//! | `input` | from a file of any kind to a network's input |
//! | `csv`, `folder`, `image`, `npy`, `text`, `wav` | one kind of file each; labelled samples in a directory or a tar |
//! | `fence`, `listing`, `resample`, `windows` | panics of other people's code; from paths to labels; sample rates; long recordings |
//! | `error` | what can be wrong with a file, and where |
//! | `visible` | text from files, for people's eyes |
#![warn(missing_docs)]

mod csv;
mod error;
mod fence;
mod folder;
mod image;
mod input;
mod listing;
mod npy;
mod resample;
mod text;
mod visible;
mod wav;
mod windows;

pub use csv::{Csv, RowLabel, RowLabels};
pub use error::{Error, read_file};
pub use fence::fence;
pub use folder::{Entry, Folder, Sample};
pub use image::{Image, MAX_PIXELS};
pub use input::{Content, InputReader, InputShape};
pub use listing::Kind;
pub use npy::{Npy, NpyData};
pub use resample::resample;
pub use text::Text;
pub use visible::{Visible, visible, visible_json, visible_lines};
pub use wav::{MAX_RATE, Pcm};
pub use windows::{Unit, Windows};
