//! Sound clips.

use escarp_media::Kind;

use super::{Prepared, arch, boxed, open, stratified};
use crate::config::Config;
use crate::data::sound::{Features, Sounds};
use crate::data::source::Listings;
use crate::error::TrainError;
use crate::nets::{LayerSpec, Shape};
use crate::progress::Progress;

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
    let (mut samples, rate) = Sounds::decode(&train, rate)?;
    let features = Features::new(rate, bands, frames.unwrap_or_else(|| samples.usual_frames(rate)))?;
    progress.line(format!("{rate} Hz, {} frames of {bands} mel bands", features.frames));
    let labels = train.classes().to_vec();
    let split = stratified(&samples, &labels, config);
    let standard = samples.statistics(&features, &split.train)?;
    samples.prepare(&features, &standard, augment)?;
    let test = test.map(|test| -> Result<_, TrainError> {
        let (mut samples, _) = Sounds::decode(&test, Some(rate))?;
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
