//! All that CI runs, in the order in which a mistake shows soonest.

use std::path::Path;

use crate::{
    bare, build, demo,
    error::Error,
    guide,
    job::{self, Jobs, is_summary},
    qemu, rules, setup,
    toolchain::{LINUX, Toolchain, cargo},
};

/// The CPUs that everything must agree on, to the bit: both boards' cores, a newer one, and QEMU's everything.
pub const CPUS: [&str; 5] = ["cortex-a57", "cortex-a72", "cortex-a53", "cortex-a76", "max"];

/// What the runtime's tests run on every CPU: all but those on hostile bytes, which test the parser and take minutes under
/// QEMU for each CPU.
const RUNTIME_TESTS: [&str; 23] = [
    "--lib",
    "--test",
    "kernels",
    "--test",
    "session",
    "--test",
    "steps",
    "--test",
    "no_alloc",
    "--test",
    "refused",
    "--test",
    "written",
    "--test",
    "ports",
    "--test",
    "elementwise",
    "--test",
    "copy",
    "--test",
    "pool",
    "--test",
    "channels",
];

/// Runs the checks; `quick` leaves out clippy, the documentation and three of the five CPUs.
pub fn test(jobs: &mut Jobs, root: &Path, target: &Path, toolchain: &Toolchain, quick: bool) -> Result<(), Error> {
    components()?;
    jobs.run("format", cargo().current_dir(root).args(["fmt", "--all", "--", "--check"]))?;
    let files = rules::check(root)?;
    println!("  {files} Rust files: none too long, unsafe only where it is allowed");
    if !quick {
        let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        jobs.run("clippy, warnings are errors", cargo().current_dir(root).args(clippy))?;
    }
    // With the tests, so that both are compiled with the same features of tract, once.
    let programs = demo::programs(jobs, root, target, &["--bins", "--tests"])?;
    let program = build::escarp_run(jobs, root, toolchain, LINUX)?;
    let cpus = if quick { &CPUS[..2] } else { &CPUS[..] };

    let runner = qemu::user()?;
    let mut tests = cargo();
    tests.current_dir(root).args(["test", "--workspace", "--no-fail-fast"]).env("ESCARP_QEMU", &runner);
    tests.env("ESCARP_RUN_AARCH64", &program).env("ESCARP_QEMU_CPUS", cpus.join(","));
    if setup::has(&setup::BROWSER) {
        tests.env("ESCARP_BROWSER", "required");
    } else {
        println!("  NOT TESTED: how pages look, without chromium (--install installs it)");
    }
    let log = jobs.run("cargo test, whole workspace", &mut tests)?;
    show(&log);

    let [ran, skipped] = guide::check(jobs, root, &programs, &guide::pages(root, None)?)?;
    println!("  docs/guide: {ran} blocks ran as they stand, {skipped} did not");

    for name in ["residual", "gru"] {
        let model = root.join(format!("runtime/tests/data/{name}.escarp"));
        bare::check(jobs, root, toolchain, &programs.join("escarp-run"), &model, target)?;
    }
    println!("  the image without a system gives the host's bytes, for both models");

    for cpu in cpus {
        let mut tests = toolchain.cargo();
        tests.current_dir(root).args(["test", "--package", "escarp-runtime", "--target", LINUX]);
        tests.args(RUNTIME_TESTS).env("ESCARP_ISA", "neon");
        tests.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", format!("{} -cpu {cpu}", runner.display()));
        let log = jobs.run(&format!("runtime's tests on {cpu} under QEMU"), &mut tests)?;
        show(&log);
    }
    if !quick {
        let mut doc = cargo();
        doc.current_dir(root).args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
        jobs.run("documentation, warnings are errors", &mut doc)?;
    }
    Ok(())
}

/// rustup's minimal profile lacks both.
fn components() -> Result<(), Error> {
    for (command, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        if job::answer(program, &[command, "--version"]).is_none() {
            return Err(Error::Missing {
                what: format!("cargo {command}"),
                remedy: format!("rustup component add {component}"),
            });
        }
    }
    Ok(())
}

fn show(log: &str) {
    for line in log.lines().filter(|l| is_summary(l)) {
        println!("    {line}");
    }
}
