//! What is built for the boards: the static board program and the bare-metal image.

use std::path::{Path, PathBuf};

use crate::{
    error::{Error, file},
    job::Jobs,
    toolchain::{BARE, LINUX, Toolchain},
};

/// Builds `escarp-run` for release: the file that `deploy` copies and that every test under QEMU runs.
pub fn escarp_run(jobs: &mut Jobs, root: &Path, toolchain: &Toolchain, target: &str) -> Result<PathBuf, Error> {
    let mut cargo = toolchain.cargo();
    cargo.current_dir(root).args(["build", "--release", "--package", "escarp-run", "--target", target]);
    jobs.show(&format!("build escarp-run for {target}"), "a minute", &mut cargo)?;
    Ok(toolchain.artifact(target, "release", "escarp-run"))
}

/// Links the image with `model` and the raw int8 `input` inside; neither an operating system nor `std` is in it.
///
/// Debian's packages have no `aarch64-unknown-none`. A `no_std` program asks nothing of an operating system, so there
/// the Linux target without its C start-up files serves.
pub fn bare_image(
    jobs: &mut Jobs,
    root: &Path,
    toolchain: &Toolchain,
    model: &Path,
    input: &Path,
) -> Result<PathBuf, Error> {
    let script = root.join("cross/bare/link.ld");
    let script = script.display();
    let (target, flags) = if toolchain.has(BARE) {
        (BARE, format!("-C link-arg=-T{script}"))
    } else {
        let bare = "-C link-arg=-nostartfiles -C link-arg=-nostdlib -C link-arg=-static -C relocation-model=static";
        (LINUX, format!("{bare} -C link-arg=-T{script} -C link-arg=-Wl,--build-id=none"))
    };
    let mut cargo = toolchain.cargo();
    cargo.current_dir(root).args([
        "build",
        "--profile",
        "bare",
        "--package",
        "escarp-bare",
        "--features",
        "image",
        "--target",
        target,
    ]);
    let absolute = |path: &Path| path.canonicalize().map_err(file(path));
    // Replaces the flags in .cargo/config.toml, which are for programs with a C library.
    cargo.env("RUSTFLAGS", flags).env("ESCARP_MODEL", absolute(model)?).env("ESCARP_INPUT", absolute(input)?);
    jobs.run(&format!("link the bare-metal image for {target}"), &mut cargo)?;
    Ok(toolchain.artifact(target, "bare", "escarp-bare"))
}
