//! `cargo xtask`: set-up, cross builds, QEMU, the demo, the tests and deploying, in one program that needs nothing but Rust.
//!
//! Exit codes: 0 done, 1 something failed, 2 bad usage.
//!
//! The rooms, from the top floor down; each imports from lower rows only, and not from its own:
//!
//! | room | what stands there |
//! |---|---|
//! | `test` | all that CI runs |
//! | `bare`, `conformance`, `demo`, `deploy`, `fuzz`, `guide`, `rules`, `setup` | a task each |
//! | `agree` | whether machines agree to the bit |
//! | `build`, `qemu` | programs for the boards: built, and run on this machine |
//! | `board`, `toolchain` | what a board is; which compiler builds for it |
//! | `job` | other programs: run, logged, timed |
//! | `error` | what can go wrong, and the exit code it has |

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

mod agree;
mod bare;
mod board;
mod build;
mod conformance;
mod demo;
mod deploy;
mod error;
mod fuzz;
mod guide;
mod job;
mod qemu;
mod rules;
mod setup;
mod test;
mod toolchain;

use board::Board;
use error::Error;
use job::Jobs;
use toolchain::Choice;

/// Tasks of the escarp workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", version)]
struct Cli {
    /// Which compiler builds for the boards.
    #[arg(long, global = true, value_enum, default_value = "auto")]
    toolchain: Choice,
    /// Install missing system packages through apt (root does so without being asked).
    #[arg(long, global = true)]
    install: bool,
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check that this machine can build for the boards and run QEMU.
    Setup,
    /// Run two trained networks, then train both on built-in data, convert them, run them as both boards' CPUs and compare to
    /// the bit.
    Demo {
        /// Leave out the second board.
        #[arg(long)]
        quick: bool,
    },
    /// List the board profiles.
    Boards,
    /// Build escarp-run for a board: one static program.
    Build {
        /// A profile under cross/boards.
        #[arg(long)]
        board: String,
    },
    /// Run an aarch64 program under QEMU as a board's CPU.
    Qemu {
        /// A profile under cross/boards.
        #[arg(long)]
        board: String,
        /// Another of the board's CPUs than its first (QEMU's name).
        #[arg(long)]
        cpu: Option<String>,
        /// The program and its arguments; `escarp-run` means the one that `build` made.
        #[arg(last = true, required = true)]
        program: Vec<String>,
    },
    /// Link the bare-metal image with a model and one raw int8 input, and run it under QEMU without an operating system.
    Bare {
        /// The file that escarp-convert wrote.
        model: PathBuf,
        /// int8 values as the network takes them.
        input: PathBuf,
    },
    /// All that CI runs.
    Test {
        /// Leave out what takes minutes: clippy, documentation, all CPUs but two.
        #[arg(long)]
        quick: bool,
    },
    /// Run the commands of the guide's pages; `test` does so too.
    Guide {
        /// One of docs/guide without `.md`; without it all.
        page: Option<String>,
    },
    /// Try changed inputs on everything that reads files, on all cores; exit code 1 if one breaks something.
    Fuzz {
        /// One of the targets in tests/src/fuzz.rs; without it all take turns.
        target: Option<String>,
        /// How long, altogether.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_080))]
        minutes: u32,
    },
    /// Run ONNX's own tests of its operators on what the converter makes of them; exit code 1 if one gives other values.
    Conformance {
        /// A folder or a tar of `CASE/model.onnx` and `CASE/test_data_set_0/*.pb`; an index may stand beside it as .tsv.
        cases: PathBuf,
        /// Only cases whose name holds this.
        #[arg(long)]
        only: Option<String>,
        /// A line for each case, as tab-separated values.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// The page of the documents to write.
        #[arg(long, value_name = "FILE", conflicts_with = "only")]
        document: Option<PathBuf>,
    },
    /// Copy escarp-run and a model to a board over ssh and run it there.
    Deploy {
        /// A profile under cross/boards.
        #[arg(long)]
        board: String,
        /// The file that escarp-convert wrote.
        model: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: &Cli) -> Result<(), Error> {
    let root = root();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
    let boards = root.join("cross/boards");
    let prepared = |task: &str| -> Result<_, Error> {
        let mut jobs = Jobs::new(&target, task)?;
        let toolchain = setup::setup(&mut jobs, &target, cli.toolchain, cli.install)?;
        Ok((jobs, toolchain))
    };
    match &cli.task {
        Task::Setup => {
            prepared("setup")?;
            println!("ready: cargo xtask demo");
        }
        Task::Demo { quick } => {
            let (mut jobs, toolchain) = prepared("demo")?;
            demo::demo(&mut jobs, &root, &target, &toolchain, *quick)?;
        }
        Task::Boards => {
            for key in board::list(&boards)? {
                let board = Board::read(&boards, &key)?;
                println!("{key:<16} {:<16} {} ({} MB)", board.name, board.cores(), board.memory_mb);
            }
        }
        Task::Build { board } => {
            let board = Board::read(&boards, board)?;
            let (mut jobs, toolchain) = prepared("build")?;
            let program = build::escarp_run(&mut jobs, &root, &toolchain, &board.target)?;
            println!("{}: {}", board.name, program.display());
        }
        Task::Qemu { board, cpu, program } => {
            let board = Board::read(&boards, board)?;
            let cpu = qemu::cpu_of(&board, cpu.as_deref())?;
            return qemu::exec(&target, cpu, program);
        }
        Task::Bare { model, input } => {
            let (mut jobs, toolchain) = prepared("bare")?;
            let image = build::bare_image(&mut jobs, &root, &toolchain, model, input)?;
            print!("{}", jobs.run("run it under QEMU on virt, cortex-a53", &mut qemu::machine(&image))?);
        }
        Task::Test { quick } => {
            let (mut jobs, toolchain) = prepared("test")?;
            // 300 MB: only where the machine may be changed. Not every Debian-like system has it as a package.
            if cli.install
                && let Err(error) = setup::packages(&mut jobs, &setup::BROWSER, true)
            {
                println!("  {error}");
            }
            test::test(&mut jobs, &root, &target, &toolchain, *quick)?;
            println!("all tests passed in {}", jobs.elapsed());
        }
        Task::Guide { page } => {
            let pages = guide::pages(&root, page.as_deref())?;
            let (mut jobs, _) = prepared("guide")?;
            let programs = demo::programs(&mut jobs, &root, &target, &["--bins"])?;
            let [ran, skipped] = guide::check(&mut jobs, &root, &programs, &pages)?;
            println!("{ran} blocks ran as they stand, {skipped} did not");
        }
        Task::Fuzz { target: name, minutes } => {
            let mut jobs = Jobs::new(&target, "fuzz")?;
            setup::packages(&mut jobs, &setup::FUZZING, cli.install)?;
            fuzz::fuzz(&mut jobs, &root, &target, name.as_deref(), *minutes)?;
            println!("nothing found in {}", jobs.elapsed());
        }
        Task::Conformance { cases, only, output, document } => {
            let mut jobs = Jobs::new(&target, "conformance")?;
            let program = conformance::build(&mut jobs, &root, &target)?;
            let files = [("--output", output), ("--document", document)];
            conformance::run(&mut jobs, &program, cases, only.as_deref(), files)?;
        }
        Task::Deploy { board, model } => {
            let board = Board::read(&boards, board)?;
            let (mut jobs, toolchain) = prepared("deploy")?;
            deploy::deploy(&mut jobs, &root, &toolchain, &board, model)?;
        }
    }
    Ok(())
}

/// The workspace's folder: this package stands two levels below it.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().and_then(Path::parent).unwrap_or(here).into()
}
