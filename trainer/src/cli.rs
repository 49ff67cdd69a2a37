//! The command line of `escarp-train`.

mod net;
mod settings;
#[cfg(test)]
mod tests;
mod tools;
mod transfer;

use std::{ops::RangeInclusive, path::PathBuf};

use clap::{
    ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, builder::PossibleValuesParser,
    parser::ValueSource,
};

use crate::{
    app::doctor::Order,
    config::{BUILTIN, Config, Task},
    data::{generate::gestures, images::Augmentation, source::Source},
    error::TrainError,
    nets::LayerSpec,
    study::{STUDIES, Study},
};
use net::{NetFlag, RecurrentFlags};
use settings::settings;
use tools::Tools;
use transfer::Transfer;

/// Trains small networks for Arm boards: ResNets on images, GRUs on sound and on sensor data; and LSTMs on texts.
///
/// The result is a run folder with model.onnx for escarp-convert, checkpoints, metrics.jsonl and
/// TensorBoard events. Ctrl-C saves the state; --resume RUN continues exactly where it stopped.
/// Exit codes: 0 done (or interrupted and saved), 1 the run failed, 2 wrong usage.
#[derive(Parser)]
#[command(name = "escarp-train", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A ResNet on JPEG or PNG images, one folder for each class.
    Image(ImageArgs),
    /// A GRU on WAV clips, one folder for each class or files named LABEL_anything.wav.
    Sound(SoundArgs),
    /// A GRU on windows of sensor samples: CSV files, one column for each axis; or a net that tells the class of every frame.
    Motion(MotionArgs),
    /// An LSTM on texts in UTF-8, one folder of .txt files for each class.
    Text(TextArgs),
    /// Writes the built-in data as files: OUT/train/CLASS/NNNN and OUT/test/CLASS/NNNN, tagged recordings without CLASS.
    Generate(GenerateArgs),
    /// Says what is wrong with a training run, by its gradients, and what to do; also of runs in PyTorch or Keras.
    Doctor(DoctorArgs),
    /// Repeats an experiment on vanishing and exploding gradients; a table, a picture, results.jsonl.
    Study(StudyArgs),
    /// Lists the built-in networks, or prints one as a TOML file to start from.
    Nets {
        /// A preset.
        name: Option<String>,
    },
}

#[derive(Args)]
struct ImageArgs {
    /// Folder or tar with one folder of images for each class, or `builtin` for the generated images.
    #[arg(long, value_name = "DIR|TAR|builtin", required_unless_present = "resume")]
    data: Option<PathBuf>,
    /// Network: a preset for images; without it resnet8.
    #[arg(long, value_parser = net::image_presets(), hide_possible_values = true)]
    model: Option<String>,
    #[command(flatten)]
    net: NetFlag,
    /// Channels of the preset's first convolution instead of its own (resnet8: 16); the others follow in proportion.
    #[arg(long)]
    width: Option<usize>,
    /// Side of the input in pixels; without it the first image's size, 96 at most. Images of other sizes are scaled.
    #[arg(long)]
    size: Option<usize>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct SoundArgs {
    /// Folder or tar of WAV clips.
    #[arg(long, value_name = "DIR|TAR", required_unless_present = "resume")]
    data: Option<PathBuf>,
    /// Sample rate in Hz that clips are brought to; without it that of most clips, 16000 at most.
    #[arg(long)]
    rate: Option<u32>,
    /// Mel bands.
    #[arg(long, default_value_t = 32)]
    bands: usize,
    /// Frames of 10 ms in a decision; without it what holds 19 of 20 clips, 128 at most.
    #[arg(long)]
    frames: Option<u16>,
    #[command(flatten)]
    recurrent: RecurrentFlags,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct MotionArgs {
    /// Folder or tar of CSV recordings, or `builtin` for the generated gestures. For a net that answers every frame, such as
    /// --net gru-tagger, the files need no classes, but a column with the class of every row.
    #[arg(long, value_name = "DIR|TAR|builtin", default_value = BUILTIN)]
    data: PathBuf,
    /// Samples a second, to be stated in the model; nothing is resampled.
    #[arg(long, default_value_t = gestures::RATE)]
    rate: f32,
    /// Column with the class of every row, by its name in the first line; it is no channel. Without it `label`.
    #[arg(long, value_name = "NAME")]
    label_column: Option<String>,
    /// Columns that are channels, by their names in the first line or by their numbers from 1. Without it all columns but those
    /// that only tell when a row was recorded (a name such as time, numbers that only rise or fall) or never change; all the
    /// others must be numbers.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    columns: Vec<String>,
    /// Samples in a window; longer recordings are cut into overlapping windows, or, for a net that answers every frame,
    /// into pieces one after the other.
    #[arg(long, default_value_t = gestures::FRAMES as u16)]
    frames: u16,
    #[command(flatten)]
    recurrent: RecurrentFlags,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct TextArgs {
    /// Folder or tar with one folder of texts for each class, or `builtin` for the generated reviews.
    #[arg(long, value_name = "DIR|TAR|builtin", required_unless_present = "resume")]
    data: Option<PathBuf>,
    /// Entries of the vocabulary: the most frequent words of the training texts, padding and unknown words.
    #[arg(long, default_value_t = 10_000)]
    words: usize,
    /// Words that are looked at, the last of longer texts; without it what holds 19 of 20 training texts, 256 at most.
    #[arg(long)]
    tokens: Option<u16>,
    #[command(flatten)]
    recurrent: RecurrentFlags,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Common {
    /// A second folder or tar of the same layout to test on when training is over.
    #[arg(long, value_name = "DIR|TAR")]
    test: Option<PathBuf>,
    /// Test on the files of --data whose name matches, e.g. '*_theo_*' or '*_[0-4].wav'; repeatable.
    #[arg(long, value_name = "PATTERN", conflicts_with = "test")]
    test_match: Vec<String>,
    /// Leave out the files whose name matches; repeatable. A pattern with a / is matched against the path.
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Share of each class held out to choose the best epoch by; 0: train on all and keep the last.
    #[arg(long, default_value_t = 0.1)]
    validation: f64,
    /// Passes over the training data; with --minutes the most there may be.
    #[arg(long)]
    epochs: Option<u32>,
    /// Time budget; the learning rate's schedule ends with it.
    #[arg(long)]
    minutes: Option<f64>,
    /// Samples in a step.
    #[arg(long)]
    batch: Option<usize>,
    /// Most steps from one look of the doctor to the next: short runs are looked at 30 times; 0: it never looks.
    #[arg(long, value_name = "STEPS", default_value_t = 20)]
    watch: u64,
    /// Let the doctor repair an ill run: back to the last healthy state, the first cure that applies, and on; at most 5 times.
    #[arg(long)]
    repair: bool,
    /// Train on the samples as they are; texts always are.
    #[arg(long)]
    no_augment: bool,
    /// The same seed, data and flags give the same network, to the bit.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Run folder; without it runs/image, runs/sound, runs/motion or runs/text.
    #[arg(long, value_name = "RUN")]
    out: Option<PathBuf>,
    /// Continue an interrupted run; its settings are read from the folder, other flags than --threads are refused.
    #[arg(long, value_name = "RUN")]
    resume: Option<PathBuf>,
    /// Threads; without it one for each processor. Does not change the result.
    #[arg(long)]
    threads: Option<usize>,
    #[command(flatten)]
    transfer: Transfer,
    #[command(flatten)]
    tools: Tools,
}

#[derive(Args)]
struct GenerateArgs {
    /// What to generate.
    #[arg(value_enum)]
    what: Generated,
    /// Folder to write train/ and test/ into.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Training samples of each class, or tagged recordings in all.
    #[arg(long)]
    train: Option<u32>,
    /// Test samples of each class, or tagged recordings in all.
    #[arg(long)]
    test: Option<u32>,
    /// Another seed draws other samples; `--data builtin` uses 0.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Args)]
struct DoctorArgs {
    /// A run folder, or a file of JSON lines as trainer/callbacks writes them.
    log: PathBuf,
    /// Write an HTML page with the verdicts, a heat map of gradients by layer and step, and curves.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Also the singular values of the Jacobians of a run's net: outputs by inputs, last state by earlier states.
    #[arg(long)]
    jacobians: bool,
    /// Print the verdicts as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct StudyArgs {
    /// Which; without it, what each of them shows.
    #[arg(value_parser = PossibleValuesParser::new(STUDIES.iter().map(|study| study.name)))]
    name: Option<String>,
    /// All of it, which takes hours; without it a small form of seconds.
    #[arg(long)]
    full: bool,
    /// Folder of the results; cells that it has are not done again. Without it runs/study-NAME or runs/study-NAME-full.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Images for `study residual`, one folder for each class: CIFAR-10 for its full form; the quick form has its own.
    #[arg(long, value_name = "DIR|TAR")]
    data: Option<PathBuf>,
    /// The same seed gives the same table, to the bit.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads; without it one for each processor. Does not change the result.
    #[arg(long)]
    threads: Option<usize>,
}

/// Built-in data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Generated {
    /// Pictures of shapes, PNG.
    Images,
    /// Gestures of an accelerometer, CSV.
    Motion,
    /// Reviews of films, good or bad.
    Text,
    /// Recordings of several gestures, CSV with a class in every row.
    TaggedMotion,
}

/// What the user wants.
#[derive(Debug)]
pub enum Request {
    /// A new run.
    Train {
        /// Its settings.
        config: Box<Config>,
        /// Its folder.
        out: PathBuf,
        /// Threads, if not one for each processor.
        threads: Option<usize>,
    },
    /// An interrupted run is to go on.
    Resume {
        /// Its folder.
        run: PathBuf,
        /// The command that was typed: the run must be one of it.
        task: &'static str,
        /// Threads, if not one for each processor.
        threads: Option<usize>,
    },
    /// Something to read.
    Print(String),
    /// Built-in data as files.
    Generate {
        /// Which.
        what: Generated,
        /// Folder for `train` and `test`.
        out: PathBuf,
        /// Training samples of each class, if not as many as `builtin` has.
        train: Option<u32>,
        /// Test samples of each class, if not as many as `builtin` has.
        test: Option<u32>,
        /// Of the drawing.
        seed: u64,
    },
    /// A log is to be diagnosed.
    Doctor(Order),
    /// An experiment is to be repeated.
    Study {
        /// Which.
        study: &'static Study,
        /// In its full form.
        full: bool,
        /// Images to learn from.
        data: Option<PathBuf>,
        /// Folder of the results.
        out: PathBuf,
        /// Of all random numbers.
        seed: u64,
        /// Threads, if not one for each processor.
        threads: Option<usize>,
    },
}

/// Reads the arguments; prints help and usage errors itself and then ends the program, with 2 for an error.
pub fn parse() -> Result<Request, TrainError> {
    let matches = Cli::command().get_matches();
    request(&matches)
}

/// The same of a line that clap takes.
#[cfg(test)]
pub(crate) fn read(line: &str) -> Result<Request, TrainError> {
    request(&Cli::command().try_get_matches_from(line.split(' ')).expect("flags that there are"))
}

fn request(matches: &ArgMatches) -> Result<Request, TrainError> {
    let cli = Cli::from_arg_matches(matches).unwrap_or_else(|e| e.exit());
    let flags = matches.subcommand().map(|(_, flags)| flags);
    let (mut label_column, mut columns) = (None, Vec::new());
    let (common, mut task, data) = match cli.command {
        Command::Generate(GenerateArgs { what, out, train, test, seed }) => {
            if train == Some(0) {
                return Err(usage("--train", "must be at least 1"));
            }
            return Ok(Request::Generate { what, out, train, test, seed });
        }
        Command::Doctor(DoctorArgs { log, report, jacobians, json }) => {
            return Ok(Request::Doctor(Order { log, report, jacobians, json }));
        }
        Command::Study(args) => return study(args),
        Command::Nets { name } => return net::text(name.as_deref()).map(Request::Print),
        Command::Image(a) => {
            let augmentation = (!a.common.no_augment).then_some(IMAGE_AUGMENTATION);
            let net = a.net.image(a.model.as_deref(), a.width)?;
            let task = Task::Image { net, size: a.size, augmentation };
            (a.common, task, a.data.unwrap_or_default())
        }
        Command::Sound(SoundArgs { data, rate, bands, frames, recurrent, common }) => {
            let net = recurrent.sequence(128)?;
            let task = Task::Sound { rate, bands, frames, net, augment: !common.no_augment };
            (common, task, data.unwrap_or_default())
        }
        Command::Motion(MotionArgs { data, rate, label_column: column, columns: named, frames, recurrent, common }) => {
            (label_column, columns) = (column, named.iter().map(|name| name.trim().to_owned()).collect());
            let net = recurrent.sequence(48)?;
            let task = Task::Motion { rate, frames, net, augment: !common.no_augment };
            (common, task, data)
        }
        Command::Text(TextArgs { data, words, tokens, recurrent, common }) => {
            let (net, binary) = recurrent.tokens()?;
            (common, Task::Text { words, tokens, net, binary }, data.unwrap_or_default())
        }
    };
    let threads = common.threads;
    within("--threads", threads.unwrap_or(1), THREADS)?;
    let typed = |id: &&str| flags.and_then(|f| f.value_source(id)) == Some(ValueSource::CommandLine);
    let mut typed = flags.into_iter().flat_map(ArgMatches::ids).map(clap::Id::as_str).filter(typed);
    if let Some(run) = common.resume {
        // Groups of flattened arguments are listed by their capitalized type.
        let other = typed.find(|id| !matches!(*id, "resume" | "threads") && !id.starts_with(char::is_uppercase));
        return match other {
            Some(flag) => Err(usage(
                "--resume",
                format!("continues with the run's own settings; leave out --{}", flag.replace('_', "-")),
            )),
            None => Ok(Request::Resume { run, task: task.name(), threads }),
        };
    }
    let out = common.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(task.name()));
    if common.transfer.qat {
        task.net_mut().iter_mut().for_each(LayerSpec::settle);
    }
    let settings = settings(&common, &task)?;
    let source = Source {
        data,
        test: common.test,
        exclude: common.exclude,
        test_match: common.test_match,
        label_column,
        columns,
    };
    check_columns(&source)?;
    if source.data.as_os_str() == BUILTIN {
        if source != (Source { data: BUILTIN.into(), ..Source::default() }) {
            let reason = "brings its own test data and classes; leave out --test, --test-match, --exclude, --columns and \
                 --label-column";
            return Err(usage("--data builtin", reason));
        }
        if let Some(flag) = typed.find(|id| matches!(*id, "rate" | "frames" | "size")) {
            return Err(usage("--data builtin", format!("is generated in one format; leave out --{flag}")));
        }
    }
    let config = Config { version: env!("CARGO_PKG_VERSION").into(), task, source, settings, repairs: Vec::new() };
    Ok(Request::Train { config: Box::new(config), out, threads })
}

/// Each column is one channel, and the labels are none.
fn check_columns(source: &Source) -> Result<(), TrainError> {
    let number = |name: &String| name.parse::<usize>().ok();
    for (at, name) in source.columns.iter().enumerate() {
        if name.is_empty() {
            return Err(usage("--columns", "a name is empty; a column without one goes by its number"));
        }
        if name == source.label_column() {
            return Err(usage("--columns", format!("`{name}` is the column of classes (--label-column)")));
        }
        let same = |other: &String| other == name || number(name).is_some_and(|n| number(other) == Some(n));
        if source.columns[..at].iter().any(same) {
            return Err(usage("--columns", format!("`{name}` stands there twice")));
        }
    }
    Ok(())
}

fn study(StudyArgs { name, full, out, data, seed, threads }: StudyArgs) -> Result<Request, TrainError> {
    within("--threads", threads.unwrap_or(1), THREADS)?;
    let Some(name) = name else {
        return Ok(Request::Print(
            STUDIES.iter().map(|study| format!("{}: {}\n\n", study.name, study.shows)).collect(),
        ));
    };
    let study = Study::find(&name).expect("clap has checked the name");
    let out = out.unwrap_or_else(|| PathBuf::from(format!("runs/study-{name}{}", if full { "-full" } else { "" })));
    Ok(Request::Study { study, full, data, out, seed, threads })
}

/// More threads than any machine has processors would only wait for each other.
const THREADS: RangeInclusive<usize> = 1..=1024;

fn within<T: PartialOrd + std::fmt::Display>(
    flag: &'static str,
    value: T,
    allowed: RangeInclusive<T>,
) -> Result<(), TrainError> {
    let (least, most) = (allowed.start(), allowed.end());
    if allowed.contains(&value) { Ok(()) } else { Err(usage(flag, format!("must be {least} to {most}, not {value}"))) }
}

fn usage(flag: &'static str, reason: impl Into<String>) -> TrainError {
    TrainError::Usage { flag, reason: reason.into() }
}

/// Light, as small a network as ResNet-8 has no capacity to spare: measured in `trainer/results.md`.
const IMAGE_AUGMENTATION: Augmentation = Augmentation { shift: 4, flip: true, colour: 0.0, cutout: 0 };
