//! What is fuzzed: one function for each kind of hostile input, in one table.
//!
//! A target takes any bytes and returns: what a reader refuses is fine, what it accepts is used as a program would, and
//! whatever must hold then is asserted. A panic, an allocation beyond 2 GB or more than 10 seconds is a find. `fuzz/` runs
//! the targets under libFuzzer (`cargo xtask fuzz`); the tests replay seeds, committed corpus and finds with the same
//! functions.

mod front_end;
mod media;
mod model;
pub mod mutate;
mod net;
mod onnx;
mod run;
mod scratch;
pub mod seeds;

/// Changes an input; the same for the same seed.
type Mutator = fn(&[u8], u64) -> Option<Vec<u8>>;

/// One kind of hostile input.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line and the name of its folders.
    pub name: &'static str,
    /// Takes any bytes; panics on a find.
    pub run: fn(&[u8]),
    /// Inputs longer than this are not tried.
    pub longest: usize,
    /// Changes an input as its form suggests, reproducibly by the seed; `None` for bytes without a form.
    pub mutate: Option<Mutator>,
}

const fn target(name: &'static str, longest: usize, run: fn(&[u8])) -> Target {
    Target { name, run, longest, mutate: None }
}

/// Every target.
pub const TARGETS: [Target; 10] = [
    target("model", 12_288, model::run),
    target("front-end", 2048, front_end::run),
    target("image", 8192, media::image),
    target("data", 4096, media::data),
    target("tar", 16_384, media::tar),
    Target { mutate: Some(mutate::onnx), ..target("onnx", 4096, onnx::run) },
    target("net", 2048, net::run),
    target("health", 4096, run::health),
    target("checkpoint", 8192, run::checkpoint),
    target("config", 4096, run::config),
];

/// The target of that name.
pub fn find(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
