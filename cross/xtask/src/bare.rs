//! The bare-metal image against the host: the same model, the same input, the same bytes.

use std::path::Path;

use serde_json::Value;

use crate::{
    agree, build,
    error::{Error, file},
    job::{self, Jobs},
    qemu,
    toolchain::Toolchain,
};

/// Links the image with `model` and an input made up here, runs it without an operating system, and compares its last
/// output with that of the host's `escarp-run`.
pub fn check(
    jobs: &mut Jobs,
    root: &Path,
    toolchain: &Toolchain,
    host: &Path,
    model: &Path,
    scratch: &Path,
) -> Result<(), Error> {
    let unreadable = || Error::Rule(format!("{}: escarp-run info says nothing", model.display()));
    let info = job::answer(host, &["info", "--json", &model.to_string_lossy()]).ok_or_else(unreadable)?;
    let info: Value = serde_json::from_str(&info).map_err(|_| unreadable())?;
    let shape = info["inputs"][0]["shape"].as_array().ok_or_else(unreadable)?;
    let elements = shape.iter().chain([&info["sequence"]]).filter_map(Value::as_u64).product::<u64>();
    // Every residue of 256 appears; 37 is coprime to it.
    let input: Vec<u8> = (0..elements).map(|i| (i * 37) as u8).collect();
    let path = scratch.join("input.int8");
    std::fs::write(&path, input).map_err(file(&path))?;
    let files = [path.to_string_lossy().into_owned()];
    let expected = agree::host(jobs, host, model, &files)?;
    let image = build::bare_image(jobs, root, toolchain, model, &path)?;
    let printed = jobs.run("run it on QEMU's virt machine, no system", &mut qemu::machine(&image))?;
    let last = printed.lines().rfind(|l| l.starts_with("output ")).unwrap_or_default();
    let values: Vec<i64> = last.split(' ').skip(1).filter_map(|v| v.trim().parse().ok()).collect();
    let bare = agree::Outputs {
        machine: "bare metal".into(),
        isa: "neon".into(),
        values: vec![values],
        labels: vec![],
        scores: vec![],
    };
    agree::same(&expected, &bare, &files)
}
