//! The command lines: what was ordered, progress, exit codes.

use std::{
    fmt,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use escarp_media::{visible, visible_lines};
use escarp_runtime::Model;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    error::Error,
    output::{self, folder},
};

mod check;
mod compare;
mod convert;

/// Longest model, bytes: what protobuf allows.
const LONGEST_MODEL: u64 = 1 << 31;

/// Converts an ONNX network to an int8 model file and measures what that costs.
#[derive(Parser)]
#[command(name = "escarp-convert", version, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Program {
    #[command(subcommand)]
    question: Option<Question>,
    #[command(flatten)]
    order: Option<convert::Order>,
}

#[derive(Subcommand)]
enum Question {
    /// Runs a model file beside the network that it was made of and finds the first layer where they part.
    Check(check::Order),
    /// Shows two model files side by side: what they take, what differs, and on samples what they answer.
    Compare(compare::Order),
}

/// Why it was not done.
pub enum Failure {
    /// The order makes no sense: exit code 2.
    Usage(String),
    /// It went wrong.
    Run(Error),
    /// It went wrong with that file.
    Of(PathBuf, Box<Error>),
    /// All was done, and said; the answer is no.
    Answer,
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Failure::Run(e)
    }
}

/// The program.
pub fn main() -> ExitCode {
    let Program { question, order } = Program::parse();
    let done = match (question, order) {
        (Some(Question::Check(order)), _) => check::run(&order),
        (Some(Question::Compare(order)), _) => compare::run(&order),
        (None, Some(order)) => convert::run(&order).map_err(|failure| match failure {
            Failure::Run(error) => Failure::Of(order.model, error.into()),
            other => other,
        }),
        (None, None) => Err(Failure::Usage("nothing to do: give a network and --samples, or --help".into())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Answer) => ExitCode::from(1),
        Err(Failure::Usage(message)) => {
            eprintln!("escarp-convert: {}", visible(message));
            ExitCode::from(2)
        }
        Err(Failure::Run(error)) => failed(&visible(error)),
        Err(Failure::Of(path, error)) => match &*error {
            // These name their own file.
            Error::Io { .. } | Error::Samples(_) | Error::Labels(_) => failed(&visible(error)),
            // Several lines, of which each is fit for a terminal.
            Error::Several(all) => failed(&format_args!("{}: {}", visible(path.display()), visible_lines(all))),
            error => failed(&format_args!("{}: {}", visible(path.display()), visible(error))),
        },
    }
}

fn failed(why: &dyn fmt::Display) -> ExitCode {
    eprintln!("escarp-convert: {why}");
    ExitCode::from(1)
}

/// Prints a text of several lines. Whoever has read enough of it (`| head`) still gets the files.
pub fn say(text: impl fmt::Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let said = write!(out, "{}", visible_lines(text)).and_then(|()| out.flush());
    match said {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::Io { path: "standard output".into(), source }.into())
        }
        _ => Ok(()),
    }
}

/// A file of at most `longest` bytes.
pub fn read_whole(path: &Path, longest: u64) -> Result<Vec<u8>, Error> {
    escarp_media::read_file(path, longest).map_err(|e| {
        let source = match e {
            // [`Error::Io`] names the file itself.
            escarp_media::Error::File { source, .. } => *source,
            e => e,
        };
        Error::Io { path: path.to_owned(), source: io::Error::other(source) }
    })
}

/// A model file, which the runtime takes.
///
/// # Errors
/// What is wrong with it, and whether it is a network as ONNX.
pub fn read_model(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = read_whole(path, LONGEST_MODEL)?;
    match Model::parse(&bytes) {
        Ok(_) => Ok(bytes),
        Err(_) if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx")) => Err(Failure::Usage(format!(
            "{} is a network as ONNX; needed here: a model file, as -o writes it",
            path.display()
        ))),
        Err(e) => Err(Failure::Of(path.to_owned(), Error::Pack(format!("the runtime refuses the file: {e}")).into())),
    }
}

/// Nothing worse than running for minutes and then having nowhere to write, except writing over what was read.
///
/// # Errors
/// An output that is an input or another output, by flag, or cannot be written.
pub fn apart<'f>(
    inputs: impl Iterator<Item = (&'f str, PathBuf)>,
    outputs: impl Iterator<Item = (&'f str, PathBuf)>,
) -> Result<(), Failure> {
    let mut taken: Vec<(&str, PathBuf)> = inputs.map(|(flag, path)| (flag, place(&path))).collect();
    for (flag, path) in outputs {
        let place = place(&path);
        if let Some((other, _)) = taken.iter().find(|(_, p)| *p == place) {
            return Err(Failure::Usage(format!("{flag} {} is the same file as {other}", path.display())));
        }
        taken.push((flag, place));
        let failed = |source: io::Error| Error::Io { path: path.clone(), source };
        if path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(failed(io::ErrorKind::IsADirectory.into()).into());
        }
        if !std::fs::metadata(folder(&path)).map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()).into());
        }
    }
    Ok(())
}

/// The same for every way to write a path; of a file that is yet to be made, the folder decides.
fn place(path: &Path) -> PathBuf {
    let made = || Some(folder(path).canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(made).unwrap_or_else(|| path.to_owned())
}

/// Whether it is called an array.
pub fn is_npy(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy"))
}

/// A bar for so many samples.
pub fn progress(what: &str, samples: usize) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!("{what} {{bar:32}} {{pos}}/{{len}} {{per_sec}} {{eta}}"));
    let bar = ProgressBar::new(samples as u64);
    // The template is ours and valid; the default style would do as well.
    if let Ok(style) = style { bar.with_style(style) } else { bar }
}

/// Writes all files or none.
pub fn write_all(files: &[(&PathBuf, Vec<u8>)]) -> Result<(), Error> {
    let files: Vec<(&Path, &[u8])> = files.iter().map(|(path, bytes)| (path.as_path(), &bytes[..])).collect();
    output::write(&files).map_err(|(path, source)| Error::Io { path, source })
}
