//! `escarp-train`: see [`escarp_trainer::cli`] for its command line.

use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use escarp_media::{visible, visible_lines};
use escarp_trainer::{
    app,
    cli::{self, Generated, Request},
    data::generate::{Counts, gestures, images, recordings, reviews},
    engine::interrupt,
    error::TrainError,
    study::command::Order,
};

/// Whether somebody asks [`interrupted`]: a run that has begun to train has something to save.
static TRAINING: AtomicBool = AtomicBool::new(false);

fn interrupted() -> bool {
    TRAINING.store(true, Ordering::Relaxed);
    interrupt::asked()
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match &error {
                // Their cures stand on lines of their own; what a file says is in none of them.
                TrainError::Diverged { .. } | TrainError::Incurable { .. } => {
                    eprintln!("escarp-train: {}", visible_lines(&error));
                }
                _ => eprintln!("escarp-train: {}", visible(&error)),
            }
            ExitCode::from(error.exit_code())
        }
    }
}

fn run() -> Result<(), TrainError> {
    let stop = |_| interrupted();
    match cli::parse()? {
        Request::Print(text) => {
            print!("{}", visible_lines(text));
            Ok(())
        }
        Request::Generate { what, out, train, test, seed } => {
            let counts = |all: Counts| Counts { train: train.unwrap_or(all.train), test: test.unwrap_or(all.test) };
            match what {
                Generated::Images => images::write(&out, seed, counts(images::COUNTS)),
                Generated::Motion => gestures::write(&out, seed, counts(gestures::COUNTS)),
                Generated::Text => reviews::write(&out, seed, counts(reviews::COUNTS)),
                Generated::TaggedMotion => recordings::write(&out, seed, counts(recordings::COUNTS)),
            }
        }
        Request::Doctor(order) => order.run(),
        Request::Study { study, full, data, out, seed, threads } => {
            prepare(threads)?;
            Order { study, full, folder: &out, seed, data: data.as_deref() }.run(&interrupted).map(drop)
        }
        Request::Train { config, out, threads } => {
            prepare(threads)?;
            app::train(&config, &out, &stop).map(drop)
        }
        Request::Resume { run, task, threads } => {
            prepare(threads)?;
            app::resume(&run, task, &stop).map(drop)
        }
    }
}

/// Threads, and Ctrl-C: before the first step it ends the program, then the first asks the run to save and end, the second
/// ends the program.
fn prepare(threads: Option<usize>) -> Result<(), TrainError> {
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = threads {
        pool = pool.num_threads(threads);
    }
    let start = |reason: String| TrainError::Start { reason };
    pool.build_global().map_err(|e| start(e.to_string()))?;
    let handler = || {
        if interrupt::ask() {
            std::process::exit(1);
        }
        if !TRAINING.load(Ordering::Relaxed) {
            eprintln!("\ninterrupted before the first step; there is nothing to save");
            std::process::exit(1);
        }
        eprintln!("\nsaving; press Ctrl-C again to end at once without");
    };
    ctrlc::set_handler(handler).map_err(|e| start(e.to_string()))
}
