//! Sensor recordings: windows of one class each, or a class for every frame if that is what the net tells.

use std::collections::BTreeSet;

use escarp_converter::metadata::FrontEnd;
use escarp_media::{Kind, visible};

use super::{BUILTIN_SEED, Prepared, arch, boxed, check_listing, is_builtin, say_absent, say_ignored};
use crate::{
    config::Config,
    data::{
        NO_CLASS, Samples, Split, check_labels,
        columns::{self, Channels, Recordings},
        generate::{gestures, recordings},
        motion::{Motion, Recorded, rows_have_classes},
        source::Listings,
        standard::Standard,
        tagged::Tagged,
    },
    error::TrainError,
    nets::{Arch, LayerSpec, Shape},
    run::progress::Progress,
};

/// What a window is.
#[derive(Clone, Copy)]
pub(super) struct Window {
    /// Samples a second.
    pub rate: f32,
    /// Samples in it.
    pub frames: u16,
}

impl Window {
    fn front_end(self, Standard { mean, std }: Standard, columns: Vec<String>) -> FrontEnd {
        FrontEnd::Sensor { rate: self.rate, frames: self.frames, mean, std, columns }
    }
}

/// Recordings in files.
struct Files {
    listings: Listings,
    /// Those to train on.
    recordings: Recordings,
}

impl Files {
    fn read(config: &Config, progress: &Progress) -> Result<Self, TrainError> {
        let (source, data) = (&config.source, config.source.data.display().to_string());
        let listings = source.list(Kind::Table)?;
        if listings.train.entries().is_empty() {
            let reason = "no recordings to train on are left after --exclude and --test-match";
            return Err(TrainError::data(data, reason));
        }
        progress.line(format!("reading {} recordings from {}", listings.train.len(), visible(&data)));
        say_ignored(&listings.train, &data, progress);
        let recordings = columns::read(&listings.train, source.label_column(), &source.columns)?;
        recordings.left_out.iter().for_each(|line| progress.line(line));
        if let (Some(first), false) = (recordings.tables.first(), recordings.left_out.is_empty()) {
            progress.line(format!("channels: {} (--columns chooses others)", first.describe()));
        }
        Ok(Self { listings, recordings })
    }
}

pub(super) fn prepare(
    config: &Config,
    net: &[LayerSpec],
    window: Window,
    augment: bool,
    progress: &Progress,
) -> Result<Prepared, TrainError> {
    let files = if is_builtin(config) { None } else { Some(Files::read(config, progress)?) };
    // Only the net knows which kind of classes it tells, and it must be put on the right number of channels. How many
    // classes there are makes no difference.
    let channels = files.as_ref().map_or(gestures::AXES, |files| files.recordings.channels.count);
    let input = Shape::Sequence([window.frames.into(), channels]);
    let assemble = Assemble { net, window, augment, progress };
    if (Arch { input, classes: 2, layers: net.to_vec() }).answers_every_frame()? {
        tagged(config, files, assemble)
    } else {
        windows(config, files, assemble)
    }
}

/// Windows of one class each.
fn windows(config: &Config, files: Option<Files>, assemble: Assemble) -> Result<Prepared, TrainError> {
    let (column, frames) = (config.source.label_column(), assemble.window.frames.into());
    let (labels, samples, test, channels) = match files {
        None => {
            let part = |part, count| Motion::builtin(BUILTIN_SEED, part, count);
            let labels = gestures::LABELS.map(String::from).to_vec();
            (labels, part(0, gestures::COUNTS.train), Some(part(1, gestures::COUNTS.test)), None)
        }
        Some(Files { listings, recordings: Recordings { tables, channels, .. } }) => {
            if tables.first().is_some_and(|table| table.labels.is_some()) {
                return Err(rows_have_classes(&listings.train, column, 0));
            }
            let Listings { train, test } = config.source.labelled(listings)?;
            check_listing(config, &train, test.as_ref(), "recordings", assemble.progress)?;
            let samples = Motion::cut(&train, column, &tables, frames)?;
            let cut = |test| Motion::cut(&test, column, &columns::read_as(&test, column, &channels)?, frames);
            (train.classes().to_vec(), samples, test.map(cut).transpose()?, Some(channels))
        }
    };
    let (share, seed) = (config.settings.validation, config.settings.seed);
    let split = Split::stratified_groups(samples.classes(), samples.recordings(), labels.len(), share, seed);
    Ok(assemble.of((labels, samples, test), split, channels))
}

/// Pieces of recordings with a class for every frame.
fn tagged(config: &Config, files: Option<Files>, assemble: Assemble) -> Result<Prepared, TrainError> {
    let (column, frames) = (config.source.label_column(), assemble.window.frames.into());
    let (labels, samples, test, channels) = match files {
        None => {
            let part = |part, count| Tagged::builtin(BUILTIN_SEED, part, count, frames);
            let labels = recordings::LABELS.map(String::from).to_vec();
            (labels, part(0, recordings::COUNTS.train), Some(part(1, recordings::COUNTS.test)), None)
        }
        Some(Files { listings: Listings { train, test }, recordings: Recordings { tables, channels, .. } }) => {
            let (samples, labels) = Tagged::cut(&train, column, &tables, frames, None)?;
            check_labels(&config.source.data.display().to_string(), &labels)?;
            let cut = |test| -> Result<Tagged, TrainError> {
                let tables = columns::read_as(&test, column, &channels)?;
                Ok(Tagged::cut(&test, column, &tables, frames, Some(&labels))?.0)
            };
            let test = test.map(cut).transpose()?;
            if let Some(test) = &test {
                let tested: Vec<u16> = test.classes().iter().copied().filter(|&class| class != NO_CLASS).collect();
                say_absent(&labels, &tested, assemble.progress);
            }
            (labels, samples, test, Some(channels))
        }
    };
    let split = Split::grouped(samples.recordings(), config.settings.validation, config.settings.seed);
    Ok(assemble.of((labels, samples, test), split, channels))
}

/// The last step, alike for both.
#[derive(Clone, Copy)]
struct Assemble<'a> {
    net: &'a [LayerSpec],
    window: Window,
    augment: bool,
    progress: &'a Progress,
}

impl Assemble<'_> {
    /// Standardizes by the training samples; `channels` of files.
    fn of<S: Recorded + 'static>(
        self,
        (labels, mut samples, mut test): (Vec<String>, S, Option<S>),
        split: Split,
        channels: Option<Channels>,
    ) -> Prepared {
        if channels.is_some() {
            self.say_held_out(&samples, &split);
        }
        let standard = samples.statistics(&split.train);
        samples.prepare(&standard, self.augment);
        if let Some(test) = &mut test {
            test.prepare(&standard, false);
        }
        Prepared {
            arch: arch(Shape::Sequence([samples.shape()[0], samples.shape()[1]]), &labels, self.net),
            fingerprint: samples.fingerprint(),
            samples: boxed(samples),
            test: test.map(boxed),
            split,
            labels,
            front_end: self.window.front_end(standard, channels.map_or(Vec::new(), |channels| channels.columns)),
        }
    }

    /// Of recordings, as the number of samples says nothing of how many there are.
    fn say_held_out(&self, samples: &impl Recorded, split: &Split) {
        let recordings = samples.recordings();
        let of = |part: &[u32]| part.iter().map(|&i| recordings[i as usize]).collect::<BTreeSet<u32>>().len();
        let (train, held_out) = (of(&split.train), of(&split.validation));
        self.progress
            .line(format!("{held_out} of {} recordings are held out, whole, to validate on", train + held_out));
    }
}
