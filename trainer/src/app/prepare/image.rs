//! Pictures.

use escarp_converter::metadata::FrontEnd;
use escarp_media::{Folder, Kind};

use super::{BUILTIN_SEED, Prepared, arch, boxed, is_builtin, open, stratified};
use crate::{
    config::Config,
    data::{
        generate::images,
        images::{Augmentation, Images},
        source::Listings,
    },
    error::TrainError,
    nets::{LayerSpec, Shape},
    run::progress::Progress,
};

pub(super) fn prepare(
    config: &Config,
    net: &[LayerSpec],
    size: Option<usize>,
    augmentation: Option<Augmentation>,
    progress: &Progress,
) -> Result<Prepared, TrainError> {
    let (labels, mut samples, mut test) = match is_builtin(config) {
        true => {
            let part = |part, count| Images::builtin(BUILTIN_SEED, part, count);
            let labels = images::LABELS.map(String::from).to_vec();
            (labels, part(0, images::COUNTS.train), Some(part(1, images::COUNTS.test)))
        }
        false => {
            let Listings { train, test } = open(config, Kind::Image, progress)?;
            let images = decode(&train, size.map(|side| [side, side]), progress)?;
            let size = images.size();
            let test = test.map(|test| decode(&test, Some(size), progress)).transpose()?;
            (train.classes().to_vec(), images, test)
        }
    };
    let split = stratified(&samples, &labels, config);
    let standard = samples.statistics(&split.train);
    samples.prepare(&standard, augmentation);
    if let Some(test) = &mut test {
        test.prepare(&standard, None);
    }
    let [height, columns] = samples.size();
    Ok(Prepared {
        arch: arch(Shape::Map([height, columns, 3]), &labels, net),
        fingerprint: samples.fingerprint(),
        samples: boxed(samples),
        test: test.map(boxed),
        split,
        labels,
        front_end: FrontEnd::Pixels { mean: standard.mean, std: standard.std },
    })
}

fn decode(folder: &Folder, size: Option<[usize; 2]>, progress: &Progress) -> Result<Images, TrainError> {
    let (images, resized) = Images::decode(folder, size)?;
    let [height, width] = images.size();
    if resized > 0 {
        let all = folder.len();
        progress.line(format!("{resized} of {all} images were cropped and scaled to {width}x{height}"));
    }
    Ok(images)
}
