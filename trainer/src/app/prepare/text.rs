//! Texts.

use escarp_converter::metadata::FrontEnd;
use escarp_media::Kind;

use super::{BUILTIN_SEED, Prepared, arch, boxed, is_builtin, open, stratified};
use crate::{
    config::Config,
    data::{generate::reviews, source::Listings, text::Texts},
    error::TrainError,
    nets::{Arch, LayerSpec, Shape},
    run::progress::Progress,
};

pub(super) fn prepare(
    config: &Config,
    net: &[LayerSpec],
    words: usize,
    tokens: Option<u16>,
    binary: bool,
    progress: &Progress,
) -> Result<Prepared, TrainError> {
    let (labels, mut samples, mut test) = match is_builtin(config) {
        true => {
            let part = |part, count| Texts::builtin(BUILTIN_SEED, part, count);
            let labels = reviews::LABELS.map(String::from).to_vec();
            (labels, part(0, reviews::COUNTS.train), Some(part(1, reviews::COUNTS.test)))
        }
        false => {
            let Listings { train, test } = open(config, Kind::Text, progress)?;
            let texts = Texts::decode(&train)?;
            let test = test.map(|test| Texts::decode(&test));
            (train.classes().to_vec(), texts, test.transpose()?)
        }
    };
    let split = stratified(&samples, &labels, config);
    let tokens = tokens.unwrap_or_else(|| samples.usual_tokens(&split.train));
    let vocabulary = samples.vocabulary(&split.train, words);
    samples.prepare(&vocabulary, tokens.into());
    if let Some(test) = &mut test {
        test.prepare(&vocabulary, tokens.into());
    }
    let entries = vocabulary.entries();
    progress.line(format!("texts of {tokens} tokens, a vocabulary of {}", entries.len()));
    let arch = arch(Shape::Tokens([tokens.into(), entries.len()]), &labels, net);
    // Of two classes one number says all.
    let classes = if binary && labels.len() == 2 { 1 } else { labels.len() };
    Ok(Prepared {
        arch: Arch { classes, ..arch },
        fingerprint: samples.fingerprint(),
        samples: boxed(samples),
        test: test.map(boxed),
        split,
        labels,
        front_end: FrontEnd::Text { tokens, vocabulary: entries.to_vec() },
    })
}
