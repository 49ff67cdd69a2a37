//! Inputs that once broke something, or take the place of ones that did, made here: `../shared/finds` describes them.
//!
//! Each goes through its target (`crate::fuzz`): no panic, nothing asserted there broken, under 10 s and 2 GB.

mod files;
mod models;
mod onnx;

/// One such input.
#[derive(Clone, Debug)]
pub struct Find {
    /// As the file in `../shared/finds` is called, where there is one.
    pub name: &'static str,
    /// The target that takes it.
    pub target: &'static str,
    /// The input.
    pub bytes: Vec<u8>,
}

fn of(target: &'static str, all: Vec<(&'static str, Vec<u8>)>) -> impl Iterator<Item = Find> {
    all.into_iter().map(move |(name, bytes)| Find { name, target, bytes })
}

/// All of them.
pub fn all() -> Vec<Find> {
    let files = files::all().into_iter().flat_map(|(target, all)| of(target, all));
    of("model", models::all()).chain(of("onnx", onnx::all())).chain(files).collect()
}

/// The target for a file of that name; `None` for what is no input (a README).
pub fn target_of(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension {
        "escarp" => "model",
        "onnx" => "onnx",
        "png" | "jpg" => "image",
        "jsonl" => "health",
        "tar" => "tar",
        "toml" => "net",
        "csv" | "wav" | "npy" => "data",
        "ckpt" => "checkpoint",
        "json" => "config",
        _ => return None,
    })
}
