//! What a fresh machine lacks: named, and installed when root or asked.

use std::{path::Path, process::Command};

use crate::{
    error::Error,
    job::{self, Jobs},
    toolchain::{BARE, Choice, LINUX, Toolchain, debian_commands},
};

/// A file or one of several programs, and the Debian package it comes from.
type Package = (&'static [&'static str], &'static str);

/// What boards need.
const PACKAGES: [Package; 4] = [
    (&["aarch64-linux-gnu-gcc"], "gcc-aarch64-linux-gnu"),
    (&["/usr/aarch64-linux-gnu/lib/libc.a"], "libc6-dev-arm64-cross"),
    (&["qemu-aarch64", "qemu-aarch64-static"], "qemu-user"),
    (&["qemu-system-aarch64"], "qemu-system-arm"),
];

/// What fuzzing needs: libFuzzer is C++.
pub const FUZZING: [Package; 1] = [(&["c++", "g++", "clang++"], "g++")];

/// What looks at pages.
pub const BROWSER: [Package; 1] = [(&["chromium", "chromium-browser", "google-chrome"], "chromium")];

/// Is all of this there?
pub fn has(packages: &[Package]) -> bool {
    packages.iter().all(|(any, _)| any.iter().any(|p| present(p)))
}

/// Checks for packages and installs what is missing if allowed.
///
/// # Errors
/// Names every missing package with the command that installs it, or the installer's failure.
pub fn packages(jobs: &mut Jobs, packages: &[Package], install: bool) -> Result<(), Error> {
    let root = is_root();
    let missing: Vec<&str> =
        packages.iter().filter(|(any, _)| !any.iter().any(|p| present(p))).map(|(_, p)| *p).collect();
    if !missing.is_empty() {
        let remedy = format!("apt-get install {}", missing.join(" "));
        if !(root || install) || job::which("apt-get").is_none() {
            return Err(Error::Missing {
                what: missing.join(", "),
                remedy: format!("{remedy}   (or: the same task with --install)"),
            });
        }
        jobs.run("package lists", administrator(root, "apt-get").arg("update"))?;
        let title = format!("install {}", missing.join(" "));
        jobs.run(
            &title,
            administrator(root, "apt-get").args(["install", "-y", "--no-install-recommends"]).args(&missing),
        )?;
    }
    Ok(())
}

fn is_root() -> bool {
    job::answer("id", &["-u"]).as_deref() == Some("0")
}

/// Checks the machine and completes it if allowed; returns the compiler for the boards.
///
/// # Errors
/// As [`packages`], and if no compiler for the boards is to be had.
pub fn setup(jobs: &mut Jobs, target: &Path, choice: Choice, install: bool) -> Result<Toolchain, Error> {
    packages(jobs, &PACKAGES, install)?;
    let root = is_root();
    let toolchain = match Toolchain::find(choice, target) {
        Err(_) if root || install => {
            install_target(jobs, choice, root)?;
            Toolchain::find(choice, target)?
        }
        found => found?,
    };
    println!("  boards are built with {}", toolchain.describe());
    Ok(toolchain)
}

/// rustup first; Debian's packages where there is no rustup or it cannot download.
fn install_target(jobs: &mut Jobs, choice: Choice, root: bool) -> Result<(), Error> {
    if choice != Choice::Debian && job::which("rustup").is_some() {
        let added = jobs.run("rustup target add", Command::new("rustup").args(["target", "add", LINUX, BARE]));
        match added {
            Ok(_) => return Ok(()),
            Err(e) if choice == Choice::Rustup => return Err(e),
            Err(_) => println!("  rustup cannot add the target; Debian's packages instead"),
        }
    }
    if job::which("apt-get").is_none() {
        return Err(Error::Missing { what: "a compiler for aarch64".into(), remedy: debian_commands() });
    }
    jobs.run("foreign architecture arm64", administrator(root, "dpkg").args(["--add-architecture", "arm64"]))?;
    jobs.run("package lists", administrator(root, "apt-get").arg("update"))?;
    let packages = ["install", "-y", "--no-install-recommends", "rustc-web", "libstd-rust-web-dev:arm64"];
    jobs.run("install rustc-web libstd-rust-web-dev:arm64", administrator(root, "apt-get").args(packages))?;
    Ok(())
}

fn present(wanted: &str) -> bool {
    if wanted.starts_with('/') { Path::new(wanted).exists() } else { job::which(wanted).is_some() }
}

fn administrator(root: bool, program: &str) -> Command {
    let mut command = Command::new(if root { program } else { "sudo" });
    if !root {
        command.arg(program);
    }
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}
