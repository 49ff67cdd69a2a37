//! What a run leaves behind and shows: its folder, checkpoints, events, progress.

pub mod average;
pub mod checkpoint;
pub(crate) mod events;
pub(crate) mod files;
pub mod folder;
pub mod progress;
pub mod transfer;
