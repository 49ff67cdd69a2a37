//! The whole way once. First what is compiled soonest: networks that stand trained in the repository, run here and as a
//! board's CPU. Then train on built-in data, convert, run as the boards' CPUs, compare to the bit.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    agree::{self, Outputs},
    board::Board,
    build,
    error::{Error, file},
    job::Jobs,
    toolchain::{LINUX, Toolchain, cargo},
};

/// The boards that the demo plays; a quick one plays the first.
const BOARDS: [&str; 2] = ["rk3399pro", "jetson-nano"];
/// Test files of each class that all machines decide on.
const EACH: usize = 3;

/// One of the two networks.
struct Task {
    /// For the progress lines.
    title: &'static str,
    /// `escarp-train`'s word for the network.
    train: &'static str,
    /// Its word for the data, and the name of the trained network in `tests/models`.
    data: &'static str,
    /// Samples of each class: training, test.
    samples: [&'static str; 2],
    /// Passes over the data; with these every machine trains the same network.
    epochs: &'static str,
    /// How long that takes.
    minutes: &'static str,
    /// Of 1: a network that did not learn fails the demo. Chance is 0.125 and a linear model stays below 0.4.
    least: f64,
}

const TASKS: [Task; 2] = [
    Task {
        title: "ResNet-8 on images",
        train: "image",
        data: "images",
        samples: ["200", "40"],
        epochs: "24",
        minutes: "1.5 minutes",
        least: 0.6,
    },
    Task {
        title: "GRU on motion",
        train: "motion",
        data: "motion",
        samples: ["150", "40"],
        epochs: "80",
        minutes: "a quarter of a minute",
        least: 0.6,
    },
];

/// What everything goes through.
struct Place<'a> {
    root: &'a Path,
    /// Where all that is written lies.
    folder: PathBuf,
    /// Of the host's programs.
    programs: PathBuf,
    /// `escarp-run` for the boards.
    board_program: PathBuf,
    boards: Vec<Board>,
}

/// Runs it; everything it writes lies in `<target>/demo`. `quick` leaves out a board.
///
/// # Errors
/// Any step that fails, a network that did not learn, machines that differ.
pub fn demo(jobs: &mut Jobs, root: &Path, target: &Path, toolchain: &Toolchain, quick: bool) -> Result<(), Error> {
    let folder = target.join("demo");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(file(&folder))?;
    }
    std::fs::create_dir_all(&folder).map_err(file(&folder))?;
    println!("\n1 of 4: networks that stand trained in the repository, on this machine and as a board's CPU");
    println!("  (times in this demo: first run, a machine of two cores that does nothing else)");
    let board_program = build::escarp_run(jobs, root, toolchain, LINUX)?;
    let mut run = cargo();
    run.current_dir(root).args(["build", "--package", "escarp-run"]);
    jobs.show("build escarp-run for this machine", "half a minute", &mut run)?;
    let boards = if quick { &BOARDS[..1] } else { &BOARDS[..] };
    let boards = boards.iter().map(|key| Board::read(&root.join("cross/boards"), key)).collect::<Result<_, _>>()?;
    let mut place = Place { root, folder, programs: target.join("debug"), board_program, boards };
    for task in &TASKS {
        stored(jobs, &place, task)?;
    }
    let first = jobs.elapsed();

    println!("\n2 of 4: compile the trainer and the converter");
    place.programs = programs(jobs, root, target, &["--bins"])?;
    let compiled = jobs.elapsed();
    let mut lines = Vec::new();
    for (number, task) in (3..).zip(&TASKS) {
        println!("\n{number} of 4: {}: train, convert, compare", task.title);
        lines.extend(chain(jobs, &place, task)?);
    }
    println!(
        "\nall machines agree to the bit; first result after {first}, compiled after {compiled}, {} in all",
        jobs.elapsed()
    );
    for line in lines {
        println!("{line}");
    }
    println!("next: docs/guide, from your own data or your own network to a board");
    Ok(())
}

/// The folder of the host's programs, in the profile that `cargo test` uses too, so that they are compiled once.
/// `what` says which of cargo's targets to build.
pub fn programs(jobs: &mut Jobs, root: &Path, target: &Path, what: &[&str]) -> Result<PathBuf, Error> {
    let mut cargo = cargo();
    cargo.current_dir(root).args(["build", "--workspace"]).args(what);
    jobs.show("build the host's programs", "6 minutes, half of it for reading ONNX", &mut cargo)?;
    Ok(target.join("debug"))
}

/// A trained network of the repository decides on a file of each class, here and on the first board's CPUs.
fn stored(jobs: &mut Jobs, place: &Place, task: &Task) -> Result<(), Error> {
    let models = place.root.join("tests/models");
    let model = models.join(format!("{}.escarp", task.data));
    let (files, classes) = some_of_each(&models.join(task.data), 1)?;
    let board = place.boards.first().into_iter();
    let (host, cpus) = everywhere(jobs, place, board, &model, &files)?;
    for ((class, label), (score, values)) in classes.iter().zip(&host.labels).zip(host.scores.iter().zip(&host.values))
    {
        println!("    {class:<14} taken for {label:<14} {:5.1} %   {values:?}", 100.0 * score);
    }
    println!("    the same bits on this machine ({}) and as {cpus}", host.isa);
    Ok(())
}

/// Runs `files` on the host and on every CPU of `boards`; returns what the host said, and the CPUs that said the same.
fn everywhere<'b>(
    jobs: &mut Jobs,
    place: &Place,
    boards: impl Iterator<Item = &'b Board>,
    model: &Path,
    files: &[String],
) -> Result<(Outputs, String), Error> {
    let host = agree::host(jobs, &place.programs.join("escarp-run"), model, files)?;
    let mut cpus = Vec::new();
    for cluster in boards.flat_map(|board| &board.clusters) {
        let cpu = agree::board(jobs, &place.board_program, &cluster.qemu_cpu, model, files)?;
        agree::same(&host, &cpu, files)?;
        cpus.push(cpu.machine);
    }
    Ok((host, cpus.join(", ")))
}

fn chain(jobs: &mut Jobs, place: &Place, task: &Task) -> Result<Vec<String>, Error> {
    let folder = &place.folder;
    let (data, run) = (folder.join(task.data), folder.join(format!("{}-run", task.train)));
    let (train, test) = (data.join("train"), data.join("test"));
    let [of_train, of_test] = task.samples;
    let mut generate = Command::new(place.programs.join("escarp-train"));
    generate.args(["generate", task.data, "--train", of_train, "--test", of_test, "--out"]).arg(&data);
    jobs.run("draw the data", &mut generate)?;

    let mut learn = Command::new(place.programs.join("escarp-train"));
    learn.args([task.train, "--epochs", task.epochs, "--data"]).arg(&train).arg("--test").arg(&test);
    jobs.show("train", task.minutes, learn.arg("--out").arg(&run))?;

    let model = folder.join(format!("{}.escarp", task.train));
    let (report, figures) = (model.with_extension("html"), model.with_extension("json"));
    let mut convert = Command::new(place.programs.join("escarp-convert"));
    convert.arg(run.join("model.onnx")).arg("--samples").arg(&train).arg("--test").arg(&test);
    convert.arg("-o").arg(&model).arg("--report").arg(&report).arg("--json").arg(&figures);
    jobs.run("convert to int8, report", &mut convert)?;

    let (files, classes) = some_of_each(&test, EACH)?;
    let (host, _) = everywhere(jobs, place, place.boards.iter(), &model, &files)?;
    let right = host.labels.iter().zip(&classes).filter(|(a, b)| a == b).count();
    let text = std::fs::read_to_string(&figures).map_err(file(&figures))?;
    let figures: Value = serde_json::from_str(&text).map_err(|e| Error::Rule(format!("{}: {e}", figures.display())))?;
    summary(task, &figures, right, files.len(), &report)
}

/// The closing lines of one network; an error if it did not learn.
fn summary(task: &Task, figures: &Value, right: usize, files: usize, report: &Path) -> Result<Vec<String>, Error> {
    let number =
        |key: &str| figures[key].as_u64().ok_or_else(|| Error::Rule(format!("the converter's figures lack `{key}`")));
    let (float, int8) = (number("float_correct")?, number("int8_correct")?);
    let (agree, total) = (number("agree")?, number("total")?);
    let accuracy = int8 as f64 / total.max(1) as f64;
    if accuracy < task.least {
        return Err(Error::Rule(format!("{}: {int8} of {total} right; it did not learn", task.title)));
    }
    let percent = |n: u64| format!("{:.1} %", 100.0 * n as f64 / total.max(1) as f64);
    Ok(vec![
        format!("{}:", task.title),
        format!(
            "  accuracy   float {} ({float} of {total}), int8 {} ({int8}); the same answer {agree}",
            percent(float),
            percent(int8)
        ),
        format!("  boards     {right} of {files} files right, on every machine the same bits"),
        format!(
            "  size       file {} bytes, arena {} bytes, {} multiply-accumulates a run",
            number("file_bytes")?,
            number("arena_bytes")?,
            number("macs")?
        ),
        format!("  report     {}", report.display()),
    ])
}

/// The first `each` files of every class folder, and their classes.
fn some_of_each(folder: &Path, each: usize) -> Result<(Vec<String>, Vec<String>), Error> {
    let (mut files, mut classes) = (Vec::new(), Vec::new());
    for class in listing(folder)? {
        for path in listing(&class)?.into_iter().take(each) {
            files.push(path.to_string_lossy().into_owned());
            classes.push(class.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    Ok((files, classes))
}

fn listing(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = std::fs::read_dir(folder).map_err(file(folder))?;
    let mut paths = entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>().map_err(file(folder))?;
    paths.sort();
    Ok(paths)
}
