//! Sound clips.

use escarp_media::{Folder, Kind};

use super::{Prepared, arch, boxed, open, stratified};
use crate::{
    config::Config,
    data::{
        sound::{Decoded, Features, RATES, Sounds},
        source::Listings,
    },
    error::TrainError,
    nets::{LayerSpec, Shape},
    run::progress::Progress,
};

/// What clips are brought to; the data decide what is not said.
pub(super) struct Format {
    /// Hz.
    pub rate: Option<u32>,
    /// Mel bands.
    pub bands: usize,
    /// Frames in a decision.
    pub frames: Option<u16>,
}

pub(super) fn prepare(
    config: &Config,
    net: &[LayerSpec],
    Format { rate, bands, frames }: Format,
    augment: bool,
    progress: &Progress,
) -> Result<Prepared, TrainError> {
    let Listings { train, test } = open(config, Kind::Sound, progress)?;
    let Decoded { sounds: mut samples, rate, resampled } = Sounds::decode(&train, rate)?;
    say_resampled("", &train, rate, &resampled, progress);
    let features = Features::new(rate, bands, frames.unwrap_or_else(|| samples.usual_frames(rate)))?;
    progress.line(format!("{rate} Hz, {} frames of {bands} mel bands", features.frames));
    let labels = train.classes().to_vec();
    let split = stratified(&samples, &labels, config);
    let standard = samples.statistics(&features, &split.train)?;
    samples.prepare(&features, &standard, augment)?;
    let test = test.map(|test| -> Result<_, TrainError> {
        let Decoded { sounds: mut samples, resampled, .. } = Sounds::decode(&test, Some(rate))?;
        say_resampled("test ", &test, rate, &resampled, progress);
        samples.prepare(&features, &standard, false)?;
        Ok(boxed(samples))
    });
    Ok(Prepared {
        arch: arch(Shape::Sequence([features.frames.into(), bands]), &labels, net),
        fingerprint: samples.fingerprint(),
        samples: boxed(samples),
        test: test.transpose()?,
        split,
        labels,
        front_end: features.metadata(&standard),
    })
}

/// Says what was not at the data set's rate; `which` stands before "clips".
fn say_resampled(which: &str, folder: &Folder, rate: u32, resampled: &[(u32, usize)], progress: &Progress) {
    let count: usize = resampled.iter().map(|(_, clips)| clips).sum();
    if count > 0 {
        let of: Vec<String> = resampled.iter().map(|(rate, clips)| format!("{clips} of {rate} Hz")).collect();
        let (all, of) = (folder.len(), of.join(", "));
        let least = *RATES.start();
        let lowest = rate == least && resampled.iter().any(|&(rate, _)| rate < least);
        let lowest = if lowest { "; lower rates are not supported" } else { "" };
        progress.line(format!("{count} of {all} {which}clips were resampled to {rate} Hz (--rate): {of}{lowest}"));
    }
}
