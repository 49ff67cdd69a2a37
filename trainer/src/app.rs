//! From settings to a finished run: opens the data, prepares it, fits the network, reports.

use std::path::Path;

use escarp_converter::metadata::{FrontEnd, Metadata, Scores};
use escarp_media::{Folder, Kind};

use crate::config::{BUILTIN, Config, Settings, Task};
use crate::data::draw::{Purpose, stream};
use crate::data::images::{Augmentation, Images};
use crate::data::motion::Motion;
use crate::data::sound::{Features, Sounds};
use crate::data::source::{Listings, classes};
use crate::data::{Samples, Split, check_classes};
use crate::doctor::verdict::{Prescription, Verdict};
use crate::error::TrainError;
use crate::export::export;
use crate::fit::{Job, Outcome, fit};
use crate::generate::{gestures, images};
use crate::nets::{Arch, LayerSpec, Net, NetError, Shape};
use crate::progress::Progress;
use crate::qat::Quantizer;
use crate::ranges::spread;
use crate::repair;
use crate::run_folder::{MODEL, RunFolder};
use crate::transfer;

/// Of the built-in data, whatever the run's seed: its test part must stay the same.
const BUILTIN_SEED: u64 = 0;

/// What may be done about a verdict, in the order it is tried; the number counts the repairs before this one.
pub type Remedies<'a> = &'a dyn Fn(&Verdict, usize) -> Vec<Prescription>;

/// Begins a run in the folder `out`.
pub fn train(config: &Config, out: &Path, stop: &dyn Fn(u64) -> bool) -> Result<Outcome, TrainError> {
    let outcome = trial(config, out, &prescribed, &mut Progress::new(), stop)?;
    report(&outcome, out, &config.task);
    Ok(outcome)
}

/// The same with remedies of the caller's choice, and no report at the end.
pub(crate) fn trial(
    config: &Config,
    out: &Path,
    remedies: Remedies,
    progress: &mut Progress,
    stop: &dyn Fn(u64) -> bool,
) -> Result<Outcome, TrainError> {
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
    repair::finish(&mut config, &run_folder)?;
    // One that was killed before its first checkpoint, or before the first after a repair, begins.
    let begun = run_folder.last().exists();
    let task = config.task.clone();
    let outcome = run(config, || Ok(run_folder), begun, &prescribed, &mut Progress::new(), stop)?;
    report(&outcome, folder, &task);
    Ok(outcome)
}

fn run(
    mut config: Config,
    folder: impl FnOnce() -> Result<RunFolder, TrainError>,
    resume: bool,
    remedies: Remedies,
    progress: &mut Progress,
    stop: &dyn Fn(u64) -> bool,
) -> Result<Outcome, TrainError> {
    let mut prepared = Prepared::new(&config, progress)?;
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
        scores: Scores::Softmax,
        provenance,
        ..Metadata::default()
    };
    let (train, held_out) = (prepared.split.train.len(), prepared.split.validation.len());
    let tested = prepared.test.as_deref().map_or(0, |t| t.classes().len());
    progress.line(format!("{train} training, {held_out} validation, {tested} test samples"));
    // A net that does not fit the data should leave no run folder behind either.
    let mut net = net(&prepared.arch, &config, resume, progress)?;
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
    let mut resume = resume;
    loop {
        let job = Job {
            samples: &*prepared.samples,
            split: prepared.split.clone(),
            test: prepared.test.as_deref(),
            metadata: metadata.clone(),
            settings: &config.settings,
            fingerprint: prepared.fingerprint,
        };
        let outcome = fit(&job, net, &folder, resume, progress, stop)?;
        let Outcome::Ill(verdict) = &outcome else {
            return Ok(outcome);
        };
        let remedies = remedies(verdict, config.repairs.len());
        resume = repair::treat(&mut config, &folder, verdict, &remedies)?;
        if let Some(repair) = config.repairs.last() {
            let from = if resume { format!("step {}", repair.from_step) } else { "the beginning".into() };
            let (number, illness) = (config.repairs.len(), repair.illness.name());
            progress.line(format!("repair {number} of {illness}, from {from}: {}", repair.prescription.sentence()));
        }
        prepared.arch.layers.clone_from(config.task.net_mut());
        net = self::net(&prepared.arch, &config, resume, progress)?;
    }
}

/// The net with the weights it begins with: those that the run's seed gives it, or another net's. A run that is resumed
/// loads its own.
fn net(arch: &Arch, config: &Config, resume: bool, progress: &Progress) -> Result<Net, TrainError> {
    let settings = &config.settings;
    let mut net = Net::new(arch, &mut stream(settings.seed, Purpose::Weights, 0, 0))?;
    net.set_activity_penalty(settings.penalty.activity);
    if !matches!(net.output(), Shape::Vector(_)) {
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

/// Whether the converter will take such a net: better known before hours of training than after.
fn packs(net: &Net, metadata: &Metadata) -> Result<(), String> {
    let onnx = export(net, metadata).map_err(|e| e.to_string())?;
    let read = escarp_converter::read(&onnx, &escarp_converter::Options::default());
    // Node and operator; all that is supported would fill the screen.
    read.map(|_| ()).map_err(|e| e.to_string().split("; supported").next().unwrap_or_default().to_owned())
}

/// Data ready to be trained on.
struct Prepared {
    arch: Arch,
    samples: Box<dyn Samples>,
    test: Option<Box<dyn Samples>>,
    split: Split,
    labels: Vec<String>,
    front_end: FrontEnd,
    fingerprint: u32,
}

impl Prepared {
    fn new(config: &Config, progress: &Progress) -> Result<Self, TrainError> {
        let Config { task, source, settings, .. } = config;
        let builtin = source.data.as_os_str() == BUILTIN;
        match *task {
            Task::Image { ref net, size, augmentation } => {
                let labels = images::LABELS.map(String::from).to_vec();
                let data = match builtin {
                    true => {
                        let part = |part, count| Images::builtin(BUILTIN_SEED, part, count);
                        let test = part(1, images::COUNTS.test);
                        (labels, part(0, images::COUNTS.train), Some(test))
                    }
                    false => {
                        let Listings { train, test } = open(config, Kind::Image, progress)?;
                        let size = size.map(|side| [side, side]);
                        let decode = |folder: &Folder, size| -> Result<Images, TrainError> {
                            let (images, resized) = Images::decode(folder, size)?;
                            let [height, width] = images.size();
                            if resized > 0 {
                                let all = folder.len();
                                progress.line(format!(
                                    "{resized} of {all} images were cropped and scaled to {width}x{height}"
                                ));
                            }
                            Ok(images)
                        };
                        let images = decode(&train, size)?;
                        let size = images.size();
                        let test = test.map(|test| decode(&test, Some(size))).transpose()?;
                        (train.classes().to_vec(), images, test)
                    }
                };
                Self::images(data, net, augmentation, settings)
            }
            Task::Sound { rate, bands, frames, ref net, augment } => {
                let Listings { train, test } = open(config, Kind::Sound, progress)?;
                let (mut samples, rate) = Sounds::decode(&train, rate)?;
                let features = Features::new(rate, bands, frames.unwrap_or_else(|| samples.usual_frames(rate)))?;
                progress.line(format!("{rate} Hz, {} frames of {bands} mel bands", features.frames));
                let split =
                    Split::stratified(samples.classes(), train.classes().len(), settings.validation, settings.seed);
                let standard = samples.statistics(&features, &split.train)?;
                samples.prepare(&features, &standard, augment)?;
                let test = test.map(|test| -> Result<_, TrainError> {
                    let (mut samples, _) = Sounds::decode(&test, Some(rate))?;
                    samples.prepare(&features, &standard, false)?;
                    Ok(Box::new(samples) as Box<dyn Samples>)
                });
                let labels = train.classes().to_vec();
                Ok(Self {
                    arch: arch(Shape::Sequence([features.frames.into(), bands]), &labels, net),
                    fingerprint: samples.fingerprint(),
                    samples: Box::new(samples),
                    test: test.transpose()?,
                    split,
                    labels,
                    front_end: features.metadata(&standard),
                })
            }
            Task::Motion { rate, frames, ref net, augment } => {
                let (labels, mut samples, mut test) = match builtin {
                    true => {
                        let part = |part, count| Motion::builtin(BUILTIN_SEED, part, count);
                        let labels = gestures::LABELS.map(String::from).to_vec();
                        let test = part(1, gestures::COUNTS.test);
                        (labels, part(0, gestures::COUNTS.train), Some(test))
                    }
                    false => {
                        let Listings { train, test } = open(config, Kind::Table, progress)?;
                        let samples = Motion::decode(&train, frames.into(), None)?;
                        let channels = samples.shape()[1];
                        let test = test.map(|test| Motion::decode(&test, frames.into(), Some(channels)));
                        (train.classes().to_vec(), samples, test.transpose()?)
                    }
                };
                let split = Split::stratified(samples.classes(), labels.len(), settings.validation, settings.seed);
                let standard = samples.statistics(&split.train);
                samples.prepare(&standard, augment);
                if let Some(test) = &mut test {
                    test.prepare(&standard, false);
                }
                let (frames, inputs) = (samples.shape()[0], samples.shape()[1]);
                Ok(Self {
                    arch: arch(Shape::Sequence([frames, inputs]), &labels, net),
                    fingerprint: samples.fingerprint(),
                    samples: Box::new(samples),
                    test: test.map(|t| Box::new(t) as Box<dyn Samples>),
                    split,
                    labels,
                    front_end: FrontEnd::Sensor { rate, frames: frames as u16, mean: standard.mean, std: standard.std },
                })
            }
        }
    }

    fn images(
        (labels, mut samples, mut test): (Vec<String>, Images, Option<Images>),
        net: &[LayerSpec],
        augmentation: Option<Augmentation>,
        settings: &Settings,
    ) -> Result<Self, TrainError> {
        let split = Split::stratified(samples.classes(), labels.len(), settings.validation, settings.seed);
        let standard = samples.statistics(&split.train);
        samples.prepare(&standard, augmentation);
        if let Some(test) = &mut test {
            test.prepare(&standard, None);
        }
        let [height, columns] = samples.size();
        Ok(Self {
            arch: arch(Shape::Map([height, columns, 3]), &labels, net),
            fingerprint: samples.fingerprint(),
            samples: Box::new(samples),
            test: test.map(|t| Box::new(t) as Box<dyn Samples>),
            split,
            labels,
            front_end: FrontEnd::Pixels { mean: standard.mean, std: standard.std },
        })
    }
}

fn arch(input: Shape, labels: &[String], net: &[LayerSpec]) -> Arch {
    Arch { input, classes: labels.len(), layers: net.to_vec() }
}

/// Lists the files and checks the classes before anything is decoded.
fn open(config: &Config, kind: Kind, progress: &Progress) -> Result<Listings, TrainError> {
    let listings = config.source.open(kind)?;
    let Listings { train, test } = &listings;
    let data = config.source.data.display().to_string();
    check_classes(&data, train.classes(), &classes(train))?;
    progress.line(format!("reading {} files of {} classes from {data}", train.len(), train.classes().len()));
    if train.ignored() > 0 {
        progress.line(format!("{} other files in {data} were passed over", train.ignored()));
    }
    if let Some(test) = test {
        let mut present = vec![false; train.classes().len()];
        classes(test).iter().for_each(|&c| present[usize::from(c)] = true);
        let absent = train.classes().iter().zip(present).filter(|(_, present)| !present);
        let absent: Vec<&str> = absent.map(|(label, _)| label.as_str()).collect();
        if !absent.is_empty() {
            progress.line(format!("no test samples of class {}", absent.join(", ")));
        }
    }
    Ok(listings)
}

/// Prints the final table, or how to go on.
fn report(outcome: &Outcome, folder: &Path, task: &Task) {
    let name = task.name();
    match outcome {
        // The loop of repairs does not let one out.
        Outcome::Ill(verdict) => println!("{}: {}", verdict.illness.name(), verdict.evidence),
        Outcome::Interrupted { step } => {
            let path = folder.display();
            println!("interrupted and saved after {step} steps; continue with: escarp-train {name} --resume {path}");
        }
        Outcome::Finished { validation, test, epoch } => {
            println!("network of epoch {epoch}  accuracy  right/total     loss");
            for (set, evaluation) in [("validation", validation), ("test", test)] {
                if let Some(e) = evaluation {
                    let right = format!("{}/{}", e.correct, e.total);
                    println!("  {set:<16} {:>8.2} %  {right:>11}  {:>7.4}", 100.0 * e.accuracy(), e.loss);
                }
            }
            println!("{}", folder.join(MODEL).display());
        }
    }
}
