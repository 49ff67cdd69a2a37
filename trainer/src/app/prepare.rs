//! From settings to data ready to be trained on: one file for each kind of data.

mod image;
mod motion;
mod sound;
mod text;

use escarp_converter::metadata::FrontEnd;
use escarp_media::{Folder, Kind, visible};

use crate::{
    config::{BUILTIN, Config, Task},
    data::{
        Samples, Split, check_classes,
        source::{Listings, classes},
    },
    error::TrainError,
    nets::{Arch, LayerSpec, Shape},
    run::progress::Progress,
};

/// Of the built-in data, whatever the run's seed: its test part must stay the same.
const BUILTIN_SEED: u64 = 0;

/// Data ready to be trained on.
pub(super) struct Prepared {
    pub arch: Arch,
    pub samples: Box<dyn Samples>,
    pub test: Option<Box<dyn Samples>>,
    pub split: Split,
    /// Names of the classes.
    pub labels: Vec<String>,
    pub front_end: FrontEnd,
    /// Of the training data.
    pub fingerprint: u32,
}

impl Prepared {
    pub(super) fn new(config: &Config, progress: &Progress) -> Result<Self, TrainError> {
        match config.task {
            Task::Image { ref net, size, augmentation } => image::prepare(config, net, size, augmentation, progress),
            Task::Sound { rate, bands, frames, ref net, augment } => {
                sound::prepare(config, net, sound::Format { rate, bands, frames }, augment, progress)
            }
            Task::Motion { rate, frames, ref net, augment } => {
                motion::prepare(config, net, motion::Window { rate, frames }, augment, progress)
            }
            Task::Text { words, tokens, ref net, binary } => {
                text::prepare(config, net, words, tokens, binary, progress)
            }
        }
    }

    /// Of the data and of their split: who went on with another would validate on samples that were trained on.
    pub(super) fn fingerprint(&self, seed: u64) -> u32 {
        let mut hash = crc32fast::Hasher::new_with_initial(self.fingerprint);
        hash.update(&seed.to_le_bytes());
        hash.update(&(self.split.validation.len() as u64).to_le_bytes());
        hash.finalize()
    }
}

fn is_builtin(config: &Config) -> bool {
    config.source.data.as_os_str() == BUILTIN
}

fn arch(input: Shape, labels: &[String], net: &[LayerSpec]) -> Arch {
    Arch { input, classes: labels.len(), layers: net.to_vec() }
}

fn boxed<'a>(samples: impl Samples + 'a) -> Box<dyn Samples + 'a> {
    Box::new(samples)
}

/// Holds out a share of each class.
fn stratified(samples: &dyn Samples, labels: &[String], config: &Config) -> Split {
    Split::stratified(samples.classes(), labels.len(), config.settings.validation, config.settings.seed)
}

/// Lists the files and checks the classes before anything is decoded.
fn open(config: &Config, kind: Kind, progress: &Progress) -> Result<Listings, TrainError> {
    let listings = config.source.open(kind)?;
    let Listings { train, test } = &listings;
    check_listing(config, train, test.as_ref(), "training samples", progress)?;
    let data = config.source.data.display().to_string();
    let (files, of) = (train.len(), train.classes().len());
    progress.line(format!("reading {files} files of {of} classes from {}", visible(&data)));
    say_ignored(train, &data, progress);
    Ok(listings)
}

/// Refuses too few classes, and too few `files` of a class.
fn check_listing(
    config: &Config,
    train: &Folder,
    test: Option<&Folder>,
    files: &str,
    progress: &Progress,
) -> Result<(), TrainError> {
    let (least, mend) = match config.settings.validation > 0.0 {
        true => (2, ", as one may be held out: add or split some, or hold none out with --validation 0"),
        false => (1, ""),
    };
    let data = config.source.data.display().to_string();
    check_classes(&data, train.classes(), &classes(train), files, least, mend)?;
    if let Some(test) = test {
        say_absent(train.classes(), &classes(test), progress);
    }
    Ok(())
}

fn say_ignored(folder: &Folder, data: &str, progress: &Progress) {
    if folder.ignored() > 0 {
        progress.line(format!("{} other files in {} were passed over", folder.ignored(), visible(data)));
    }
}

/// Names the classes that no test sample is of.
fn say_absent(labels: &[String], tested: &[u16], progress: &Progress) {
    let mut present = vec![false; labels.len()];
    tested.iter().for_each(|&c| present[usize::from(c)] = true);
    let absent = labels.iter().zip(present).filter(|(_, present)| !present);
    let absent: Vec<&str> = absent.map(|(label, _)| label.as_str()).collect();
    if !absent.is_empty() {
        progress.line(format!("no test samples of class {}", visible(absent.join(", "))));
    }
}
