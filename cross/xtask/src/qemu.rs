//! Running aarch64 programs on this machine, as a board's CPU.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    board::Board,
    error::Error,
    job,
    toolchain::{LINUX, Toolchain},
};

/// QEMU's user-mode program, under either of the names Debian gives it.
pub fn user() -> Result<PathBuf, Error> {
    let found = ["qemu-aarch64", "qemu-aarch64-static"].iter().find_map(|p| job::which(p));
    found.ok_or_else(|| Error::Missing { what: "qemu-aarch64".into(), remedy: "apt-get install qemu-user".into() })
}

/// The CPU asked for, if the board has it; else its first.
pub fn cpu_of<'a>(board: &'a Board, asked: Option<&str>) -> Result<&'a str, Error> {
    let mut cpus = board.clusters.iter().map(|c| c.qemu_cpu.as_str());
    let found = match asked {
        None => cpus.clone().next(),
        Some(name) => cpus.clone().find(|c| *c == name),
    };
    found.ok_or_else(|| Error::Unknown {
        what: "CPU of this board",
        given: asked.unwrap_or("").into(),
        allowed: cpus.by_ref().collect::<Vec<_>>().join(", "),
    })
}

/// QEMU's `virt` machine with a bare-metal image on an RK3399Pro's small core; given up after a minute, because an image
/// that hangs says nothing.
pub fn machine(image: &Path) -> Command {
    let mut qemu = Command::new("timeout");
    qemu.args(["60", "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-m", "128", "-nic", "none"]);
    qemu.args(["-display", "none", "-monitor", "none", "-serial", "stdio"]);
    qemu.args(["-semihosting-config", "enable=on,target=native", "-kernel"]).arg(image);
    qemu
}

/// Runs `program` (its name, then its arguments) as `cpu`, with our terminal; an exit code other than 0 is passed on.
pub fn exec(target: &Path, cpu: &str, program: &[String]) -> Result<(), Error> {
    let (name, arguments) = program.split_first().ok_or_else(|| Error::Rule("no program given".into()))?;
    let path = match name.as_str() {
        "escarp-run" => Toolchain::find(crate::Choice::Auto, target)?.artifact(LINUX, "release", name),
        other => PathBuf::from(other),
    };
    if !path.is_file() {
        return Err(Error::Missing {
            what: path.display().to_string(),
            remedy: "cargo xtask build --board BOARD".into(),
        });
    }
    let qemu = user()?;
    let started = Command::new(&qemu).args(["-cpu", cpu]).arg(path).args(arguments).status();
    let status = started.map_err(|source| Error::Start { program: qemu.display().to_string(), source })?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => std::process::exit(code),
        None => Err(Error::Rule(format!("{name} was killed ({status})"))),
    }
}
