//! Which compiler builds for the boards: the one cargo uses anyway, when rustup could give it the target, or Debian's
//! (`rustc-web` with `libstd-rust-web-dev:arm64`) where rustup cannot.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use clap::ValueEnum;

use crate::{error::Error, job};

/// Any 64-bit Arm Linux.
pub const LINUX: &str = "aarch64-unknown-linux-gnu";
/// No operating system at all.
pub const BARE: &str = "aarch64-unknown-none";
/// Where Debian puts its compiler.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// `--toolchain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// rustup's if it has the target, else Debian's.
    Auto,
    /// The compiler that cargo uses, with a target that `rustup target add` brought.
    Rustup,
    /// /usr/bin/rustc with the arm64 standard library of Debian's packages.
    Debian,
}

/// A compiler that can build for [`LINUX`].
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// `None`: cargo's own.
    rustc: Option<PathBuf>,
    /// Its build folder: two compilers in one folder would rebuild everything at each change.
    target_dir: PathBuf,
}

impl Toolchain {
    /// The first that can build for Linux on aarch64, in the order that `choice` gives.
    pub fn find(choice: Choice, target_dir: &Path) -> Result<Toolchain, Error> {
        let rustup = Toolchain { rustc: None, target_dir: target_dir.into() };
        let debian = Toolchain { rustc: Some(DEBIAN_RUSTC.into()), target_dir: target_dir.join("debian") };
        let candidates = match choice {
            Choice::Auto => vec![rustup, debian],
            Choice::Rustup => vec![rustup],
            Choice::Debian => vec![debian],
        };
        candidates.into_iter().find(|t| t.has(LINUX)).ok_or_else(|| Error::Missing {
            what: format!("Rust's standard library for {LINUX}"),
            remedy: match choice {
                Choice::Debian => debian_commands(),
                Choice::Rustup => format!("rustup target add {LINUX} {BARE}"),
                Choice::Auto => format!("rustup target add {LINUX} {BARE}   or, on Debian: {}", debian_commands()),
            },
        })
    }

    /// Whether the target's `core` is installed.
    pub fn has(&self, target: &str) -> bool {
        let rustc = self.rustc.clone().unwrap_or_else(active_rustc);
        let libraries = job::answer(rustc, &["--print", "target-libdir", "--target", target]);
        libraries
            .and_then(|l| std::fs::read_dir(l).ok())
            .is_some_and(|entries| entries.flatten().any(|e| e.file_name().to_string_lossy().starts_with("libcore-")))
    }

    /// cargo with this compiler and its folder.
    pub fn cargo(&self) -> Command {
        let mut cargo = cargo();
        cargo.env("CARGO_TARGET_DIR", &self.target_dir);
        if let Some(rustc) = &self.rustc {
            cargo.env("RUSTC", rustc);
        }
        cargo
    }

    /// Where a program built with `profile` for `target` lies.
    pub fn artifact(&self, target: &str, profile: &str, program: &str) -> PathBuf {
        self.target_dir.join(target).join(profile).join(program)
    }

    /// For the progress lines.
    pub fn describe(&self) -> String {
        let rustc = self.rustc.clone().unwrap_or_else(active_rustc);
        let version = job::answer(&rustc, &["--version"]).unwrap_or_default();
        match &self.rustc {
            None => version,
            Some(path) => format!("{version} ({})", path.display()),
        }
    }
}

/// The cargo that started us.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// What brings Debian's cross compiler.
pub fn debian_commands() -> String {
    "dpkg --add-architecture arm64 && apt-get update && apt-get install rustc-web libstd-rust-web-dev:arm64".into()
}

fn active_rustc() -> PathBuf {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()).into()
}
