//! From settings to a finished run: opens the data, prepares it, fits the network, reports.

pub mod doctor;
mod judge;
mod prepare;
pub mod repair;

use std::path::Path;

use escarp_converter::metadata::{FrontEnd, Metadata, Scores};
use escarp_media::visible;

use crate::{
    config::{Config, Settings, Task, bounds::check_run},
    data::{frequencies::Frequencies, vocabulary::Vocabulary},
    doctor::verdict::{Prescription, Verdict},
    engine::random::{Purpose, stream},
    error::TrainError,
    fit::{Job, Outcome, fit, qat::Quantizer, ranges::spread},
    nets::{Arch, Net, NetError, Shape, export::export},
    run::{
        folder::{EpochMetrics, MODEL, RunFolder},
        progress::{Progress, Unit},
        transfer,
    },
};
use judge::{Judge, Set};
use prepare::Prepared;

/// What may be done about a verdict, in the order it is tried; the number counts the repairs before this one.
pub type Remedies<'a> = &'a dyn Fn(&Verdict, usize) -> Vec<Prescription>;

/// Begins a run in the folder `out`.
pub fn train(config: &Config, out: &Path, stop: &dyn Fn(u64) -> bool) -> Result<Outcome, TrainError> {
    let progress = &mut Progress::new();
    let ended = begin(config, out, &prescribed, progress, stop)?;
    report(&ended, out, &config.task)?;
    Ok(ended.outcome)
}

/// The same with remedies of the caller's choice, and no report at the end.
pub(crate) fn trial(
    config: &Config,
    out: &Path,
    remedies: Remedies,
    progress: &mut Progress,
    stop: &dyn Fn(u64) -> bool,
) -> Result<Outcome, TrainError> {
    Ok(begin(config, out, remedies, progress, stop)?.outcome)
}

fn begin(
    config: &Config,
    out: &Path,
    remedies: Remedies,
    progress: &mut Progress,
    stop: &dyn Fn(u64) -> bool,
) -> Result<Ended, TrainError> {
    // Bad data should not leave a run folder behind, and a taken folder should not be found after a long decoding.
    RunFolder::check_free(out)?;
    run(config.clone(), || RunFolder::create(out, config), false, remedies, progress, stop)
}

/// What the doctor says.
pub(crate) fn prescribed(verdict: &Verdict, _repairs: usize) -> Vec<Prescription> {
    verdict.prescriptions.clone()
}

/// Continues the run in the folder `folder`, which must be one of the task named `task`.
pub fn resume(folder: &Path, task: &str, stop: &dyn Fn(u64) -> bool) -> Result<Outcome, TrainError> {
    let (run_folder, mut config) = RunFolder::open::<Config>(folder)?;
    let of = config.task.name();
    if of != task {
        let run = folder.display();
        let reason = format!("{run} is a run of `{of}`; continue it with: escarp-train {of} --resume {run}");
        return Err(TrainError::Usage { flag: "--resume", reason });
    }
    check_run(&run_folder, &config)?;
    repair::finish(&mut config, &run_folder)?;
    // One that was killed before its first checkpoint, or before the first after a repair, begins.
    let begun = run_folder.last().exists();
    let task = config.task.clone();
    let ended = run(config, || Ok(run_folder), begun, &prescribed, &mut Progress::new(), stop)?;
    report(&ended, folder, &task)?;
    Ok(ended.outcome)
}

/// A run that has ended, and what its outcome is judged by.
struct Ended {
    outcome: Outcome,
    /// Names of the classes.
    labels: Vec<String>,
    /// Of the classes of the training samples.
    frequencies: Frequencies,
    /// As the last repair left them.
    settings: Settings,
    history: Vec<EpochMetrics>,
}

fn run(
    mut config: Config,
    folder: impl FnOnce() -> Result<RunFolder, TrainError>,
    resume: bool,
    remedies: Remedies,
    progress: &mut Progress,
    stop: &dyn Fn(u64) -> bool,
) -> Result<Ended, TrainError> {
    let mut prepared = Prepared::new(&config, progress)?;
    let fingerprint = prepared.fingerprint(config.settings.seed);
    let mut provenance = std::collections::BTreeMap::new();
    let mut note = |key: &str, value: String| provenance.insert(key.to_owned(), value);
    note("trainer", format!("escarp-train {}", config.version));
    note("data", config.source.data.display().to_string());
    note("seed", config.settings.seed.to_string());
    note("training samples", prepared.split.train.len().to_string());
    if let Some(path) = &config.settings.init_from {
        note("fine-tuned from", path.display().to_string());
    }
    let metadata = Metadata {
        labels: prepared.labels,
        front_end: prepared.front_end,
        scores: if prepared.arch.classes == 1 { Scores::Binary } else { Scores::Softmax },
        provenance,
        ..Metadata::default()
    };
    let (train, held_out) = (prepared.split.train.len(), prepared.split.validation.len());
    let tested = prepared.test.as_deref().map_or(0, |t| t.count());
    progress.line(format!("{train} training, {held_out} validation, {tested} test samples"));
    let unit = prepared.samples.unit();
    let frequencies = Frequencies::of(&*prepared.samples, &prepared.split.train);
    if let Some(warning) = frequencies.warning(&metadata.labels, unit) {
        progress.line(warning);
    }
    if unit == Unit::Frames {
        progress.line("every frame has a class: accuracy and loss are of frames");
    }
    // A net that does not fit the data should leave no run folder behind either.
    check(&prepared.arch, unit, &config)?;
    let mut net = net(&prepared.arch, unit, &config, resume, progress)?;
    if let Err(reason) = packs(&net, &metadata) {
        progress.line(format!("note: escarp-convert cannot pack this net yet ({reason}); model.onnx runs elsewhere"));
    }
    if config.settings.qat {
        let flag = "--qat";
        let usage = |e: NetError| TrainError::Usage { flag, reason: e.to_string() };
        let mut quantizer = Quantizer::new(&mut net).map_err(usage)?;
        // A run that is resumed has its ranges in its checkpoint.
        if !resume {
            let indices = spread(&prepared.split.train);
            progress.line(format!("finding the ranges of all layers on {} training samples", indices.len()));
            quantizer.calibrate(&net, &metadata.front_end, &*prepared.samples, &indices)?;
        }
        let isa = escarp_detect::detect().isa().name();
        progress
            .line(format!("the int8 network runs on this machine's {isa} kernels, which change its time and no bit"));
        net.set_stand_in(Box::new(quantizer));
    }
    let folder = folder()?;
    if let FrontEnd::Text { vocabulary, .. } = &metadata.front_end {
        Vocabulary::write(&folder.vocabulary(), vocabulary)?;
    }
    let mut resume = resume;
    loop {
        let job = Job {
            samples: &*prepared.samples,
            split: prepared.split.clone(),
            test: prepared.test.as_deref(),
            metadata: metadata.clone(),
            settings: &config.settings,
            fingerprint,
        };
        let outcome = fit(&job, net, &folder, resume, progress, stop)?;
        let Outcome::Ill(verdict) = &outcome else {
            // What was interrupted may have no epoch yet.
            let finished = matches!(outcome, Outcome::Finished { .. });
            let history = if finished { folder.history()? } else { Vec::new() };
            let labels = metadata.labels;
            return Ok(Ended { outcome, labels, frequencies, settings: config.settings, history });
        };
        let remedies = remedies(verdict, config.repairs.len());
        resume = repair::treat(&mut config, &folder, verdict, &remedies)?;
        if let Some(repair) = config.repairs.last() {
            let from = if resume { format!("step {}", repair.from_step) } else { "the beginning".into() };
            let (number, illness) = (config.repairs.len(), repair.illness.name());
            progress.line(format!("repair {number} of {illness}, from {from}: {}", repair.prescription.sentence()));
        }
        prepared.arch.layers.clone_from(config.task.net_mut());
        net = self::net(&prepared.arch, unit, &config, resume, progress)?;
    }
}

/// Refuses settings that make no sense for the answers of the net.
fn check(arch: &Arch, unit: Unit, config: &Config) -> Result<(), TrainError> {
    let (settings, frames) = (&config.settings, unit == Unit::Frames);
    let refused = [
        (
            "--label-smoothing",
            arch.classes == 1 && settings.label_smoothing > 0.0,
            "spreads probability over classes, and this net answers yes or no; leave it out",
        ),
        (
            "--mixup",
            frames && settings.mixup.is_some(),
            "mixes samples of one class each, and here every frame has its own; leave it out",
        ),
        (
            "--qat",
            frames && settings.qat,
            "trains nets that answer once for a sample, and this one answers every frame; leave it out",
        ),
    ];
    match refused.into_iter().find(|(_, refused, _)| *refused) {
        Some((flag, _, reason)) => Err(TrainError::Usage { flag, reason: reason.into() }),
        None => Ok(()),
    }
}

/// The net with the weights it begins with: those that the run's seed gives it, or another net's. A run that is resumed
/// loads its own.
fn net(arch: &Arch, unit: Unit, config: &Config, resume: bool, progress: &Progress) -> Result<Net, TrainError> {
    let settings = &config.settings;
    let mut net = Net::new(arch, &mut stream(settings.seed, Purpose::Weights, 0, 0))?;
    net.set_activity_penalty(settings.penalty.activity);
    if matches!(net.output(), Shape::Vector(_)) != (unit == Unit::Samples) {
        let (output, task) = (net.output(), config.task.name());
        let reason = format!("gives {output}; {task} trains nets that give one vector for a sample");
        return Err(TrainError::Usage { flag: "--net", reason });
    }
    if let (Some(path), false) = (&settings.init_from, resume) {
        progress.line(transfer::take(path, &mut net)?);
    }
    if let Some(line) = settings.freeze.apply(&mut net)? {
        progress.line(line);
    }
    Ok(net)
}

/// A reason of so many bytes is told whole.
const LONGEST_NOTE: usize = 200;

/// Whether the converter will take such a net: better known before hours of training than after.
fn packs(net: &Net, metadata: &Metadata) -> Result<(), String> {
    let onnx = export(net, metadata).map_err(|e| e.to_string())?;
    let read = escarp_converter::read(&onnx, &escarp_converter::Options::default());
    read.map(|_| ()).map_err(|e| match e.to_string() {
        // Node and operator; all operators that are supported would fill the screen.
        long if long.len() > LONGEST_NOTE => long.split("; supported").next().unwrap_or_default().to_owned(),
        whole => whole,
    })
}

/// Prints the final table, or how to go on.
///
/// # Errors
/// A network that is of no use.
fn report(ended: &Ended, folder: &Path, task: &Task) -> Result<(), TrainError> {
    let Ended { outcome, labels, frequencies, settings, history } = ended;
    let name = task.name();
    match *outcome {
        // The loop of repairs does not let one out.
        Outcome::Ill(ref verdict) => println!("{}: {}", verdict.illness.name(), visible(&verdict.evidence)),
        Outcome::Interrupted { step } => {
            let path = visible(folder.display());
            println!("interrupted and saved after {step} steps; continue with: escarp-train {name} --resume {path}");
        }
        Outcome::Finished { validation, test, training, epoch } => {
            println!("network of epoch {epoch}  accuracy  right/total     loss");
            for (set, evaluation) in [("validation", validation), ("test", test)] {
                if let Some(e) = evaluation {
                    let right = match e.unit {
                        Unit::Samples => format!("{}/{}", e.correct, e.total),
                        Unit::Frames => format!("{}/{} frames", e.correct, e.total),
                    };
                    let always = labels.get(e.commonest.0).map_or(String::new(), |label| {
                        format!("  (always `{}`: {:.2} %)", visible(label), 100.0 * e.always())
                    });
                    println!("  {set:<16} {:>8.2} %  {right:>11}  {:>7.4}{always}", 100.0 * e.accuracy(), e.loss);
                }
            }
            println!("{}", visible(folder.join(MODEL).display()));
            let (rate, clip) = (settings.rate, &settings.clip);
            let sets = [(Set::Validation, validation), (Set::Test, test), (Set::Training, training)];
            let evaluation = sets.into_iter().find_map(|(set, evaluation)| Some((set, evaluation?)));
            let judge = Judge { labels, frequencies, rate, clip, history, epoch, evaluation };
            judge.lines()?.iter().for_each(|line| println!("{}", visible(line)));
        }
    }
    Ok(())
}
