//! All that a run is told: its settings as `config.json` keeps them, and what they may be.

pub mod bounds;
pub mod freeze;
pub(crate) mod known;
mod settings;

pub use settings::{BUILTIN, Config, Repair, Settings, Task};
