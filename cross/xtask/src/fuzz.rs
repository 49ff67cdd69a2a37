//! `cargo xtask fuzz`: builds `fuzz/` with coverage feedback and runs its targets on all cores for as long as is asked.
//!
//! libFuzzer is part of the program, so stable Rust does: what `cargo fuzz -s none` passes to the compiler is in [`FLAGS`].

mod run;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use crate::{
    error::{Error, file},
    job::{self, Jobs},
    toolchain::cargo,
};
use run::{Done, Run};

/// Counters at every edge, which libFuzzer reads, and a look at every comparison, from which it learns constants.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Set by Ctrl-C: the targets are ended and the table is printed.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// What the program says of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    name: String,
    /// Bytes of the longest inputs to try.
    longest: String,
}

/// Where everything lies.
struct Places {
    program: PathBuf,
    /// Of the repository: `fuzz/`.
    fuzz: PathBuf,
    /// What running leaves behind: corpora, logs, finds.
    work: PathBuf,
}

/// Fuzzes one target, or all of them one after the other, for so many minutes altogether.
///
/// # Errors
/// [`Error::Finds`] if anything was found; what does not build or start; a target nobody knows.
pub fn fuzz(jobs: &mut Jobs, root: &Path, target: &Path, name: Option<&str>, minutes: u32) -> Result<(), Error> {
    let places = build(jobs, root, target)?;
    let mut targets = list(&places.program)?;
    if let Some(name) = name {
        let allowed = targets.iter().map(|t| t.name.as_str()).collect::<Vec<_>>().join(", ");
        targets.retain(|t| t.name == name);
        if targets.is_empty() {
            return Err(Error::Unknown { what: "target", given: name.into(), allowed });
        }
    }
    let handler = || INTERRUPTED.store(true, Ordering::Relaxed);
    ctrlc::set_handler(handler).map_err(|e| Error::Rule(format!("Ctrl-C cannot be watched: {e}")))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // A single target runs on every core: the processes share a corpus.
    let queue: Vec<&Target> = match &targets[..] {
        [one] => vec![one; cores],
        all => all.iter().collect(),
    };
    let rounds = queue.len().div_ceil(cores);
    let each = Duration::from_secs(60 * u64::from(minutes)) / u32::try_from(rounds).unwrap_or(u32::MAX);
    println!("  {} targets on {cores} cores, {} s each; Ctrl-C ends it", targets.len(), each.as_secs());
    println!("  {:<12} {:>12} {:>9} {:>8}  found", "target", "executions", "a second", "corpus");
    let done = work(&places, &queue, cores, each)?;
    summary(&places, &done)
}

/// Builds the program; the first time takes many minutes, because every dependency is built with the flags.
fn build(jobs: &mut Jobs, root: &Path, target: &Path) -> Result<Places, Error> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let host = job::answer(rustc, &["-vV"])
        .and_then(|text| text.lines().find_map(|l| l.strip_prefix("host: ")).map(str::to_owned))
        .ok_or_else(|| Error::Missing { what: "rustc".into(), remedy: "install Rust: https://rustup.rs".into() })?;
    let fuzz = root.join("fuzz");
    let mut cargo = cargo();
    // --target, so that build scripts and procedural macros are built without the flags.
    cargo.current_dir(&fuzz).args(["build", "--release", "--target", &host, "--target-dir", "target"]);
    cargo.env("RUSTFLAGS", FLAGS).env_remove("CARGO_ENCODED_RUSTFLAGS");
    jobs.run("build fuzz/ with coverage feedback", &mut cargo)?;
    let program = fuzz.join("target").join(host).join("release/escarp-fuzz");
    Ok(Places { program, fuzz, work: target.join("fuzz") })
}

/// The program's own list: a line `NAME LONGEST` for each target.
fn list(program: &Path) -> Result<Vec<Target>, Error> {
    let output = Command::new(program).env(run::TARGET, "list").output();
    let output = output.map_err(|source| Error::Start { program: program.display().to_string(), source })?;
    let found = targets(&String::from_utf8_lossy(&output.stdout));
    if !output.status.success() || found.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let (program, status) = (program.display(), output.status);
        return Err(Error::Rule(format!("{program} does not list its targets ({status}) {said}")));
    }
    Ok(found)
}

fn targets(text: &str) -> Vec<Target> {
    let target = |line: &str| {
        let (name, longest) = line.split_once(' ').filter(|(_, longest)| longest.parse::<u32>().is_ok())?;
        Some(Target { name: name.into(), longest: longest.into() })
    };
    text.lines().filter_map(target).collect()
}

/// Keeps every core busy until the queue is done. After an error no process is left running.
fn work(places: &Places, queue: &[&Target], cores: usize, each: Duration) -> Result<Vec<Done>, Error> {
    let (mut running, mut done): (Vec<Run>, Vec<Done>) = (Vec::new(), Vec::new());
    let mut next = queue.iter().enumerate();
    loop {
        let interrupted = INTERRUPTED.load(Ordering::Relaxed);
        while running.len() < cores && !interrupted {
            let Some((number, target)) = next.next() else { break };
            running.push(Run::start(places, target, number, each)?);
        }
        if running.is_empty() {
            return Ok(done);
        }
        if interrupted {
            running.iter().for_each(Run::interrupt);
        }
        std::thread::sleep(Duration::from_millis(200));
        let mut still = Vec::new();
        for mut run in running {
            match run.ended(places)? {
                None => still.push(run),
                Some(end) => {
                    println!("  {end}");
                    done.push(end);
                }
            }
        }
        running = still;
    }
}

fn summary(places: &Places, done: &[Done]) -> Result<(), Error> {
    let executions: u64 = done.iter().map(|d| d.executions).sum();
    println!("  {:<12} {executions:>12}", "together");
    if INTERRUPTED.load(Ordering::Relaxed) {
        println!("  interrupted; a later run goes on from {}", places.work.display());
    }
    let finds: Vec<String> = done.iter().filter_map(|d| Some(reproduction(places, d, d.find.as_ref()?))).collect();
    match finds.is_empty() {
        true => Ok(()),
        false => Err(Error::Finds(finds.join("\n"))),
    }
}

/// Where the input lies, what the target says of it, and how to see that again.
fn reproduction(places: &Places, done: &Done, input: &Path) -> String {
    let (name, program) = (&done.name, places.program.display());
    let began = Instant::now();
    // Most finds show within a second; one that hangs is ended by libFuzzer's own time limit.
    let output = Command::new(&places.program).env(run::TARGET, name).args(run::LIMITS).arg(input).output();
    let said = output.map_or_else(|e| e.to_string(), |o| String::from_utf8_lossy(&o.stderr).into_owned());
    let telling =
        |l: &&str| l.contains("panicked at") || l.contains("ERROR: libFuzzer") || l.contains("memory allocation of");
    let lines: Vec<&str> = said.lines().collect();
    let at = lines.iter().position(telling).map_or(0..0, |at| at..(at + 2).min(lines.len()));
    let why = if at.is_empty() { "not again: it depends on what ran before, or on time" } else { &lines[at].join(" ") };
    format!(
        "{name}: {why} ({:.1} s)\n  again: {}={name} {program} {} {}",
        began.elapsed().as_secs_f32(),
        run::TARGET,
        run::LIMITS.join(" "),
        input.display()
    )
}

/// Makes a folder and those above it.
fn folder(path: PathBuf) -> Result<PathBuf, Error> {
    std::fs::create_dir_all(&path).map_err(file(&path))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_lists_its_targets() {
        let target = |name: &str, longest: &str| Target { name: name.into(), longest: longest.into() };
        assert!(targets("thread panicked\n\n").is_empty());
        for silent in ["true", "false"] {
            let error = list(Path::new(silent)).unwrap_err().to_string();
            assert!(error.contains("does not list its targets"), "{error}");
        }
        assert_eq!(targets("model 4096\ntar 16384\n\n"), [target("model", "4096"), target("tar", "16384")]);
    }
}
