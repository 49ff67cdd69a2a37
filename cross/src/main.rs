//! `escarp-run`: runs, shows and times a model on an Arm board (or on the host, with the same result to the bit).
//!
//! Exit codes: 0 all inputs were decided, 1 a model, an input or the output failed, 2 bad usage.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use escarp_media::{Unit, visible, visible_json, visible_lines};
use escarp_run::{Decision, Error, Given, Limits, Runner, bench, info, inputs, limits, read_input, read_model};
use escarp_runtime::{Cpu, Meaning, Model};
use serde_json::json;

/// Run an escarp model on files: `escarp-run model.escarp FILE...`
#[derive(Parser)]
#[command(version, after_help = "`run` may be left out: escarp-run model.escarp picture.jpg")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Decide on files: labels with scores.
    Run {
        #[command(flatten)]
        common: Common,
        /// JPEG, PNG, WAV, CSV, NPY, or raw bytes; `-` reads the standard input. A recording longer than the model's input is
        /// decided on in windows along its whole length, each half a window after the last, the last one at the end. A model of
        /// several inputs takes a file for each, `INPUT=FILE INPUT=FILE`, and as many again for the next decision.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<String>,
        /// How many labels to print.
        #[arg(long, default_value_t = 3)]
        top: usize,
    },
    /// Show what is in a model file.
    Info {
        #[command(flatten)]
        common: Common,
    },
    /// Time the model: percentiles for each kind of step and in all.
    Bench {
        #[command(flatten)]
        common: Common,
        /// How many decisions.
        #[arg(short = 'n', long = "decisions", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        decisions: u32,
    },
}

#[derive(Args)]
struct Common {
    /// The file that escarp-convert wrote.
    model: PathBuf,
    /// JSON for machines: one object a line.
    #[arg(long)]
    json: bool,
    /// Instruction set: portable, neon or avx2; the best there is if left out.
    #[arg(long)]
    isa: Option<String>,
    /// Most bytes that the model may need.
    #[arg(long, value_name = "BYTES", default_value_t = limits::MEMORY)]
    max_memory: u64,
    /// Most work that a decision may take, as `info` states it.
    #[arg(long, value_name = "VALUES", default_value_t = limits::WORK)]
    max_work: u64,
}

fn main() -> ExitCode {
    let mut arguments: Vec<_> = std::env::args_os().collect();
    let tasks = ["run", "info", "bench", "help", "-h", "--help", "-V", "--version"];
    if arguments.get(1).is_some_and(|first| !tasks.iter().any(|t| first == t)) {
        arguments.insert(1, "run".into());
    }
    match start(&Cli::parse_from(arguments)) {
        Ok(code) => code,
        // Whoever reads our output has had enough (`| head`): no failure.
        Err(Error::Output(e)) if e.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", visible(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

fn start(cli: &Cli) -> Result<ExitCode, Error> {
    let (Task::Run { common, .. } | Task::Info { common } | Task::Bench { common, .. }) = &cli.task;
    let cpu = common.isa.as_deref().map_or_else(|| Ok(escarp_detect::detect()), escarp_detect::named)?;
    let file = read_model(&common.model)?;
    let model = parse(&common.model, &file)?;
    if !matches!(cli.task, Task::Info { .. }) {
        let limits = Limits { memory: common.max_memory, work: common.max_work };
        limits.check(&common.model.display().to_string(), &model)?;
    }
    match &cli.task {
        Task::Run { files, top, .. } => run(&model, cpu, files, *top, common.json),
        Task::Info { .. } => {
            let text = if common.json { info::json(&model)?.to_string() } else { info::text(&model)? };
            match common.json {
                true => writeln!(std::io::stdout(), "{}", visible_json(&text))?,
                false => writeln!(std::io::stdout(), "{}", visible_lines(&text))?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Task::Bench { decisions, .. } => time(&model, cpu, *decisions as usize, common.json),
    }
}

fn parse<'m>(path: &Path, file: &'m [u8]) -> Result<Model<'m>, Error> {
    Model::parse(file).map_err(|source| Error::Model { file: path.display().to_string(), source })
}

/// A file that fails is reported and the others go on; the exit code then is 1.
fn run(model: &Model, cpu: Cpu, files: &[String], top: usize, json: bool) -> Result<ExitCode, Error> {
    let mut arena = arena(model)?;
    let mut runner = Runner::new(model, &mut arena, cpu)?;
    let labels: Vec<&str> = model.labels().collect();
    let mut code = ExitCode::SUCCESS;
    let mut out = std::io::stdout().lock();
    for group in &inputs::groups(model, files)? {
        let file = &group.join(" ");
        let mut show = |decision: Decision| -> Result<(), Error> {
            let line = if json {
                machine(file, &decision, &labels, model, cpu)
            } else {
                person(file, &decision, &labels, model, top)
            };
            Ok(writeln!(out, "{line}")?)
        };
        let read = |&file| Ok((file, read_input(file)?));
        let contents: Result<Vec<(&str, Vec<u8>)>, Error> = group.iter().map(read).collect();
        let decided = contents.and_then(|contents| {
            let files: Vec<(&str, &[u8])> = contents.iter().map(|(file, bytes)| (*file, &bytes[..])).collect();
            runner.decide(&files, &mut show)
        });
        match decided {
            Ok(()) => {}
            Err(error @ Error::Output(_)) => return Err(error),
            Err(error) => {
                eprintln!("error: {}", visible(&error));
                code = ExitCode::from(error.exit_code());
            }
        }
    }
    Ok(code)
}

/// Memory for a session.
fn arena(model: &Model) -> Result<Vec<i8>, Error> {
    let needed = model.buffer_len();
    let mut arena = Vec::new();
    arena.try_reserve_exact(needed).map_err(|_| Error::Memory { needed })?;
    arena.resize(needed, 0);
    Ok(arena)
}

fn label<'l>(labels: &[&'l str], index: usize) -> std::borrow::Cow<'l, str> {
    labels.get(index).map_or_else(|| format!("output {index}").into(), |l| (*l).into())
}

/// A line for each decision; before the first of a recording's several, one that says how its windows lie.
fn person(file: &str, decision: &Decision, labels: &[&str], model: &Model, top: usize) -> String {
    let plain = matches!(model.meaning(), Meaning::Plain | Meaning::State);
    let score = |s: f32| if plain { format!("{s:.3} (raw)") } else { format!("{:.1} %", s * 100.0) };
    let words: Vec<String> = match decision.scores() {
        Some(scores) => {
            let best = decision.ranking().into_iter().take(top);
            best.map(|i| format!("{} {}", visible(label(labels, i)), score(scores[i]))).collect()
        }
        None => decision.outputs.iter().map(reach).collect(),
    };
    let (file, words) = (visible(file), words.join(", "));
    match (decision.count, decision.index, decision.windows) {
        (1, ..) => format!("{file}: {words}"),
        (_, 0, Some(windows)) => format!("{file}: {windows}\n{file} {}: {words}", windows.place(0)),
        (_, index, Some(windows)) => format!("{file} {}: {words}", windows.place(index)),
        (_, index, None) => format!("{file}[{index}]: {words}"),
    }
}

/// An output that decides between no classes, in words: what its values are between.
fn reach(output: &Given) -> String {
    let low = output.scores.iter().copied().fold(f32::INFINITY, f32::min);
    let high = output.scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let [h, w, c] = output.shape;
    format!("{} {h}x{w}x{c} {low:.3} to {high:.3}", visible(&output.name))
}

fn machine(file: &str, decision: &Decision, labels: &[&str], model: &Model, cpu: Cpu) -> String {
    let scores = decision.scores();
    let best = scores.and_then(|_| decision.ranking().first().copied());
    // What decides has one output, whose numbers stand where they always stood; others have a list.
    let numbers = scores.and(decision.outputs.first()).map(|output| &output.numbers);
    let output = |o: &Given| json!({ "name": o.name, "shape": o.shape, "numbers": o.numbers, "values": o.scores });
    let outputs: Option<Vec<_>> = scores.is_none().then(|| decision.outputs.iter().map(output).collect());
    let Decision { index, count, .. } = *decision;
    let several = count > 1 && decision.windows.is_none();
    let window = decision.windows.map(|windows| {
        let (range, (from, to)) = (windows.range(index), windows.seconds(index));
        let unit = match windows.unit() {
            Unit::Samples => "samples",
            Unit::Rows => "rows",
        };
        json!({
            "index": index, "count": count, "from": range.start, "to": range.end, "unit": unit,
            "from_s": from, "to_s": to,
        })
    });
    let line = json!({
        "file": if several { format!("{file}[{index}]") } else { file.into() },
        "window": window,
        "index": best,
        "label": best.map(|i| label(labels, i)),
        "score": best.zip(scores).map(|(i, scores)| scores[i]),
        "scores": scores,
        "output": numbers,
        "outputs": outputs,
        "model": format!("{:08x}", model.id()),
        "isa": cpu.isa().name(),
        "arch": std::env::consts::ARCH,
    })
    .to_string();
    visible_json(&line)
}

fn time(model: &Model, cpu: Cpu, decisions: usize, json: bool) -> Result<ExitCode, Error> {
    let mut arena = arena(model)?;
    let rows = bench::bench(model, &mut arena, cpu, decisions)?;
    let mut out = std::io::stdout().lock();
    let (isa, arch) = (cpu.isa().name(), std::env::consts::ARCH);
    if json {
        let row = |r: &bench::Row| json!({ "name": r.name, "macs": r.macs, "p50_us": r.p50, "p90_us": r.p90, "p99_us": r.p99, "max_us": r.max });
        let rows: Vec<_> = rows.iter().map(row).collect();
        let id = format!("{:08x}", model.id());
        writeln!(out, "{}", json!({ "model": id, "isa": isa, "arch": arch, "decisions": decisions, "rows": rows }))?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{decisions} decisions on {arch} with {isa} kernels, one core; microseconds a decision")?;
    writeln!(out, "{:<18} {:>12} {:>10} {:>10} {:>10} {:>10}", "", "macs", "p50", "p90", "p99", "max")?;
    for r in &rows {
        writeln!(out, "{:<18} {:>12} {:>10.1} {:>10.1} {:>10.1} {:>10.1}", r.name, r.macs, r.p50, r.p90, r.p99, r.max)?;
    }
    Ok(ExitCode::SUCCESS)
}
