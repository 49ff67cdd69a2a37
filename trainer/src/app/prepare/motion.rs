//! Sensor recordings: windows of one class each, or a class for every frame if that is what the net tells.

use escarp_converter::metadata::FrontEnd;
use escarp_media::{Kind, visible};

use super::{BUILTIN_SEED, Prepared, arch, boxed, is_builtin, open, say_absent, say_ignored, stratified};
use crate::config::Config;
use crate::data::motion::{Motion, Recorded, read_one, rows_have_classes};
use crate::data::source::Listings;
use crate::data::standard::Standard;
use crate::data::tagged::Tagged;
use crate::data::{NO_CLASS, Samples, Split, check_labels};
use crate::error::TrainError;
use crate::generate::{gestures, recordings};
use crate::nets::{Arch, LayerSpec, Shape};
use crate::progress::Progress;

/// What a window is.
#[derive(Clone, Copy)]
pub(super) struct Window {
    /// Samples a second.
    pub rate: f32,
    /// Samples in it.
    pub frames: u16,
}

impl Window {
    fn front_end(self, Standard { mean, std }: Standard) -> FrontEnd {
        FrontEnd::Sensor { rate: self.rate, frames: self.frames, mean, std, columns: Vec::new() }
    }
}

pub(super) fn prepare(
    config: &Config,
    net: &[LayerSpec],
    window: Window,
    augment: bool,
    progress: &Progress,
) -> Result<Prepared, TrainError> {
    // Only the net knows which kind of classes it tells, and it must be put on the right number of channels.
    let (channels, refused) = match is_builtin(config) {
        true => (gestures::AXES, None),
        false => {
            let train = config.source.list(Kind::Table)?.train;
            if train.entries().is_empty() {
                let reason = "no recordings to train on are left after --exclude and --test-match";
                return Err(TrainError::data(config.source.data.display(), reason));
            }
            let column = config.source.label_column();
            let first = read_one(&train, column, 0)?;
            (first.channels, first.labels.map(|_| rows_have_classes(&train, column, 0)))
        }
    };
    // How many classes there are is not known yet, and makes no difference.
    let input = Shape::Sequence([window.frames.into(), channels]);
    let every_frame = Arch { input, classes: 2, layers: net.to_vec() }.answers_every_frame()?;
    match refused {
        _ if every_frame => tagged(config, net, window, augment, progress),
        Some(error) => Err(error),
        None => windows(config, net, window, augment, progress),
    }
}

/// Windows of one class each.
fn windows(
    config: &Config,
    net: &[LayerSpec],
    window: Window,
    augment: bool,
    progress: &Progress,
) -> Result<Prepared, TrainError> {
    let (labels, samples, test) = match is_builtin(config) {
        true => {
            let part = |part, count| Motion::builtin(BUILTIN_SEED, part, count);
            let labels = gestures::LABELS.map(String::from).to_vec();
            (labels, part(0, gestures::COUNTS.train), Some(part(1, gestures::COUNTS.test)))
        }
        false => {
            let Listings { train, test } = open(config, Kind::Table, progress)?;
            let (column, frames) = (config.source.label_column(), window.frames.into());
            let samples = Motion::decode(&train, column, frames, None)?;
            let channels = samples.shape()[1];
            let test = test.map(|test| Motion::decode(&test, column, frames, Some(channels)));
            (train.classes().to_vec(), samples, test.transpose()?)
        }
    };
    let split = stratified(&samples, &labels, config);
    Ok(assemble((labels, samples, test), split, net, window, augment))
}

/// Pieces of recordings with a class for every frame.
fn tagged(
    config: &Config,
    net: &[LayerSpec],
    window: Window,
    augment: bool,
    progress: &Progress,
) -> Result<Prepared, TrainError> {
    let frames = window.frames.into();
    let (labels, samples, test) = match is_builtin(config) {
        true => {
            let part = |part, count| Tagged::builtin(BUILTIN_SEED, part, count, frames);
            let labels = recordings::LABELS.map(String::from).to_vec();
            (labels, part(0, recordings::COUNTS.train), Some(part(1, recordings::COUNTS.test)))
        }
        false => {
            let Listings { train, test } = config.source.list(Kind::Table)?;
            let data = config.source.data.display().to_string();
            progress.line(format!("reading {} recordings from {}", train.len(), visible(&data)));
            say_ignored(&train, &data, progress);
            let column = config.source.label_column();
            let (samples, labels) = Tagged::decode(&train, column, frames, None, None)?;
            check_labels(&data, &labels)?;
            let channels = samples.shape()[1];
            let test = test.map(|test| Tagged::decode(&test, column, frames, Some(channels), Some(&labels)));
            let test = test.transpose()?.map(|(test, _)| test);
            if let Some(test) = &test {
                let tested: Vec<u16> = test.classes().iter().copied().filter(|&class| class != NO_CLASS).collect();
                say_absent(&labels, &tested, progress);
            }
            (labels, samples, test)
        }
    };
    let split = Split::grouped(samples.recordings(), config.settings.validation, config.settings.seed);
    Ok(assemble((labels, samples, test), split, net, window, augment))
}

/// Standardizes by the training samples.
fn assemble<S: Recorded + 'static>(
    (labels, mut samples, mut test): (Vec<String>, S, Option<S>),
    split: Split,
    net: &[LayerSpec],
    window: Window,
    augment: bool,
) -> Prepared {
    let standard = samples.statistics(&split.train);
    samples.prepare(&standard, augment);
    if let Some(test) = &mut test {
        test.prepare(&standard, false);
    }
    Prepared {
        arch: arch(Shape::Sequence([samples.shape()[0], samples.shape()[1]]), &labels, net),
        fingerprint: samples.fingerprint(),
        samples: boxed(samples),
        test: test.map(boxed),
        split,
        labels,
        front_end: window.front_end(standard),
    }
}
