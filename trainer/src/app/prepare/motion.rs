//! Sensor recordings.

use escarp_converter::metadata::FrontEnd;
use escarp_media::Kind;

use super::{BUILTIN_SEED, Prepared, arch, boxed, is_builtin, open, stratified};
use crate::config::Config;
use crate::data::Samples;
use crate::data::motion::Motion;
use crate::data::source::Listings;
use crate::error::TrainError;
use crate::generate::gestures;
use crate::nets::{LayerSpec, Shape};
use crate::progress::Progress;

pub(super) fn prepare(
    config: &Config,
    net: &[LayerSpec],
    rate: f32,
    frames: u16,
    augment: bool,
    progress: &Progress,
) -> Result<Prepared, TrainError> {
    let (labels, mut samples, mut test) = match is_builtin(config) {
        true => {
            let part = |part, count| Motion::builtin(BUILTIN_SEED, part, count);
            let labels = gestures::LABELS.map(String::from).to_vec();
            (labels, part(0, gestures::COUNTS.train), Some(part(1, gestures::COUNTS.test)))
        }
        false => {
            let Listings { train, test } = open(config, Kind::Table, progress)?;
            let samples = Motion::decode(&train, frames.into(), None)?;
            let channels = samples.shape()[1];
            let test = test.map(|test| Motion::decode(&test, frames.into(), Some(channels)));
            (train.classes().to_vec(), samples, test.transpose()?)
        }
    };
    let split = stratified(&samples, &labels, config);
    let standard = samples.statistics(&split.train);
    samples.prepare(&standard, augment);
    if let Some(test) = &mut test {
        test.prepare(&standard, false);
    }
    let (frames, inputs) = (samples.shape()[0], samples.shape()[1]);
    Ok(Prepared {
        arch: arch(Shape::Sequence([frames, inputs]), &labels, net),
        fingerprint: samples.fingerprint(),
        samples: boxed(samples),
        test: test.map(boxed),
        split,
        labels,
        front_end: FrontEnd::Sensor { rate, frames: frames as u16, mean: standard.mean, std: standard.std },
    })
}
