//! `escarp-conformance`: ONNX's own tests of its operators on what the converter makes of them. `cargo xtask conformance` builds
//! and runs it. Exit codes: 0 nothing failed, 1 a case failed or could not be read, 2 bad usage.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use escarp_media::visible_lines;
use escarp_tests::conformance::{Outcome, cases, check, document, terminal, tsv};

/// Runs ONNX's tests of its operators.
#[derive(Parser)]
#[command(name = "escarp-conformance", version)]
struct Args {
    /// A folder or a tar of `CASE/model.onnx` and `CASE/test_data_set_0/*.pb`.
    cases: PathBuf,
    /// Only cases whose name holds this.
    #[arg(long)]
    only: Option<String>,
    /// A line for each case, as tab-separated values.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The page of the documents to write.
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(outcomes) => ExitCode::from(u8::from(outcomes.iter().any(Outcome::failed))),
        Err(error) => {
            eprintln!("escarp-conformance: {}", visible_lines(error));
            ExitCode::from(1)
        }
    }
}

fn run(args: &Args) -> Result<Vec<Outcome>, String> {
    let mut all = cases(&args.cases)?;
    if let Some(only) = &args.only {
        all.retain(|case| case.name.contains(only));
    }
    let outcomes: Vec<Outcome> = all.iter().map(check).collect();
    print!("{}", visible_lines(terminal(&outcomes)));
    let write = |path: &Option<PathBuf>, text: String| match path.as_deref() {
        Some(path) => std::fs::write(path, text).map_err(|e| format!("{}: {e}", Path::display(path))),
        None => Ok(()),
    };
    write(&args.output, tsv(&outcomes))?;
    write(&args.document, document(&outcomes))?;
    Ok(outcomes)
}
