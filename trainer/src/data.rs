//! Labelled samples in memory, split, shuffled, augmented and stacked into batches.
//!
//! Everything is decoded once at the start. A training step asks for a batch by sample numbers; the
//! numbers, and what augmentation does to each sample, follow from (seed, epoch, sample) alone.

use ndarray::ArrayD;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{
    engine::random::{Purpose, shuffle, stream},
    error::TrainError,
    nets::loss::IGNORED,
    run::progress::Unit,
};

pub mod answers;
pub mod columns;
pub(crate) mod frequencies;
pub mod generate;
pub mod images;
pub(crate) mod mixup;
pub mod motion;
pub mod sound;
pub mod source;
pub(crate) mod standard;
pub mod tagged;
pub mod text;
pub(crate) mod vocabulary;

/// In the place of a class: of a frame behind the end of its sample.
pub const NO_CLASS: u16 = u16::MAX;

/// Samples of one shape with their classes.
pub trait Samples: Sync {
    /// The class of each sample. Where every frame has one, those of all frames of all samples, sample after sample;
    /// [`NO_CLASS`] behind a sample's end.
    fn classes(&self) -> &[u16];

    /// How many frames of each sample count, at least one, where every frame has a class; `None` where each sample has
    /// one.
    fn lengths(&self) -> Option<&[usize]> {
        None
    }

    /// Which recording each sample was cut out of, where several may be of one: those are too much alike to count as many.
    fn groups(&self) -> Option<&[u32]> {
        None
    }

    /// Shape of one sample: `[height, width, channels]` or `[frames, features]`.
    fn shape(&self) -> &[usize];

    /// Writes the network's input for a sample, augmented if there are random numbers to do it with.
    fn write(&self, index: usize, augment: Option<&mut ChaCha8Rng>, out: &mut [f32]);

    /// What has a class.
    fn unit(&self) -> Unit {
        if self.lengths().is_some() { Unit::Frames } else { Unit::Samples }
    }

    /// How many samples there are.
    fn count(&self) -> usize {
        self.lengths().map_or(self.classes().len(), <[usize]>::len)
    }

    /// The class of a sample, or those of its frames that count.
    fn classes_of(&self, index: u32) -> &[u16] {
        let index = index as usize;
        match self.lengths() {
            None => &self.classes()[index..=index],
            Some(lengths) => &self.classes()[index * self.shape()[0]..][..lengths[index]],
        }
    }
}

/// Whether a batch is augmented, and by which random numbers.
#[derive(Clone, Copy, Debug)]
pub struct Augment {
    /// The run's seed.
    pub seed: u64,
    /// The epoch, from 0.
    pub epoch: u32,
}

/// Stacks samples to `[batch, ..shape]`, each by one thread, with their classes: one for each sample, or one for each frame,
/// [`IGNORED`] behind a sample's end.
pub fn batch(samples: &dyn Samples, indices: &[u32], augment: Option<Augment>) -> (ArrayD<f32>, Vec<usize>) {
    let length: usize = samples.shape().iter().product();
    let mut values = vec![0f32; indices.len() * length];
    values.par_chunks_mut(length).zip(indices).for_each(|(out, &index)| {
        let mut rng = augment.map(|a| stream(a.seed, Purpose::Augment, a.epoch, index));
        samples.write(index as usize, rng.as_mut(), out);
    });
    let shape: Vec<usize> = std::iter::once(indices.len()).chain(samples.shape().iter().copied()).collect();
    let targets = samples.lengths().map_or(1, |_| samples.shape()[0]);
    let class = |class: &u16| if *class == NO_CLASS { IGNORED } else { usize::from(*class) };
    let classes = indices.iter().flat_map(|&i| samples.classes()[i as usize * targets..][..targets].iter().map(class));
    let classes = classes.collect();
    (ArrayD::from_shape_vec(shape, values).expect("as many values as the shape says"), classes)
}

/// How many frames of each sample of a batch count, where every frame has a class.
pub fn lengths(samples: &dyn Samples, indices: &[u32]) -> Option<Vec<usize>> {
    samples.lengths().map(|all| indices.iter().map(|&i| all[i as usize]).collect())
}

/// Sample numbers for training and for validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// To learn from.
    pub train: Vec<u32>,
    /// To choose the best epoch by; may be empty.
    pub validation: Vec<u32>,
}

impl Split {
    /// Holds out `fraction` of each class (rounded, and at least one sample if the fraction is above
    /// 0), chosen by the seed.
    pub fn stratified(classes: &[u16], count: usize, fraction: f64, seed: u64) -> Self {
        let each: Vec<u32> = (0..classes.len() as u32).collect();
        Self::stratified_groups(classes, &each, count, fraction, seed)
    }

    /// Holds out `fraction` of the groups of each class in the same way, so that no two samples of one group are apart.
    /// Each group is of one class; `groups` has that of each sample, in rising order.
    pub fn stratified_groups(classes: &[u16], groups: &[u32], count: usize, fraction: f64, seed: u64) -> Self {
        let mut members = vec![Vec::new(); count];
        for (&class, &group) in classes.iter().zip(groups) {
            let members: &mut Vec<u32> = &mut members[usize::from(class)];
            if members.last() != Some(&group) {
                members.push(group);
            }
        }
        let mut held = vec![false; groups.iter().max().map_or(0, |&last| last as usize + 1)];
        for (class, mut members) in (0..).zip(members) {
            shuffle(&mut members, &mut stream(seed, Purpose::Split, 0, class));
            let count = held_out(members.len(), fraction);
            members.iter().take(count).for_each(|&group| held[group as usize] = true);
        }
        Self::of_groups(groups, &held)
    }

    /// Holds out `fraction` of the groups in the same way, so that no two samples of one group are apart; `groups` has
    /// that of each sample, numbered from 0. What was recorded together is alike: it would tell on what was learned by
    /// heart.
    pub fn grouped(groups: &[u32], fraction: f64, seed: u64) -> Self {
        let mut order: Vec<u32> = (0..groups.iter().max().map_or(0, |last| last + 1)).collect();
        shuffle(&mut order, &mut stream(seed, Purpose::Split, 0, 0));
        let mut held = vec![false; order.len()];
        order.iter().take(held_out(order.len(), fraction)).for_each(|&group| held[group as usize] = true);
        Self::of_groups(groups, &held)
    }

    fn of_groups(groups: &[u32], held: &[bool]) -> Self {
        let (validation, train) = (0..groups.len() as u32).partition(|&i| held[groups[i as usize] as usize]);
        Self { train, validation }
    }
}

/// How many of `count` make up `fraction`: at least one if the fraction is above 0, but never all.
fn held_out(count: usize, fraction: f64) -> usize {
    let wanted = (count as f64 * fraction).round() as usize;
    wanted.max(usize::from(fraction > 0.0)).min(count.saturating_sub(1))
}

/// Training needs at least two classes, and `least` of the `files` of each: two where one may be held out whole. `mend` is what
/// to do about fewer, behind a comma or whatever parts them.
pub fn check_classes(
    data: &str,
    labels: &[String],
    classes: &[u16],
    files: &str,
    least: usize,
    mend: &str,
) -> Result<(), TrainError> {
    check_labels(data, labels)?;
    let mut counts = vec![0usize; labels.len()];
    classes.iter().for_each(|&c| counts[usize::from(c)] += 1);
    match counts.iter().position(|&n| n < least) {
        Some(class) => {
            let (label, n) = (&labels[class], counts[class]);
            Err(TrainError::data(data, format!("class `{label}` has {n} {files}; at least {least} are needed{mend}")))
        }
        None => Ok(()),
    }
}

/// Two classes at least, and no more than can be numbered.
pub fn check_labels(data: &str, labels: &[String]) -> Result<(), TrainError> {
    if labels.len() < 2 {
        let found = labels.first().map_or("none".to_owned(), |l| format!("only `{l}`"));
        return Err(TrainError::data(data, format!("two or more classes are needed to train; found {found}")));
    }
    if labels.len() > usize::from(u16::MAX) {
        return Err(TrainError::data(data, format!("{} classes; at most {} are supported", labels.len(), u16::MAX)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stratified_split_keeps_the_shares() {
        let classes: Vec<u16> = (0..300).map(|i| if i % 3 == 0 { 1 } else { 0 }).collect();
        let split = Split::stratified(&classes, 2, 0.1, 7);
        assert_eq!((split.train.len(), split.validation.len()), (270, 30));
        assert_eq!(split.validation.iter().filter(|&&i| classes[i as usize] == 1).count(), 10);
        let mut all = [split.train.clone(), split.validation.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..300).collect::<Vec<u32>>());
        assert_eq!(split, Split::stratified(&classes, 2, 0.1, 7));
        assert_ne!(split, Split::stratified(&classes, 2, 0.1, 8));
        assert!(Split::stratified(&classes, 2, 0.0, 7).validation.is_empty());
        assert_eq!(Split::stratified(&[0, 0, 1], 2, 0.5, 7).train.len(), 2, "never a class without training samples");
    }

    #[test]
    fn what_was_recorded_together_stays_together() {
        let groups: Vec<u32> = (0..10).flat_map(|recording| vec![recording; 1 + recording as usize % 4]).collect();
        let split = Split::grouped(&groups, 0.3, 7);
        let of = |part: &[u32]| part.iter().map(|&i| groups[i as usize]).collect::<std::collections::BTreeSet<u32>>();
        let (train, validation) = (of(&split.train), of(&split.validation));
        assert_eq!((train.len(), validation.len(), train.intersection(&validation).count()), (7, 3, 0));
        assert_eq!(split.train.len() + split.validation.len(), groups.len());
        assert_ne!(split, Split::grouped(&groups, 0.3, 8));
        assert!(Split::grouped(&groups, 0.0, 7).validation.is_empty());
        assert_eq!(Split::grouped(&[0, 0], 0.5, 7).train, [0, 1], "never all");
    }

    #[test]
    fn recordings_of_each_class_are_held_out_whole() {
        // Ten recordings of class 0, then four of class 1, of one to four windows.
        let recordings = (0..14u32).flat_map(|recording| vec![recording; 1 + recording as usize % 4]);
        let (groups, classes): (Vec<u32>, Vec<u16>) = recordings.map(|r| (r, u16::from(r >= 10))).unzip();
        let split = Split::stratified_groups(&classes, &groups, 2, 0.3, 7);
        let of = |part: &[u32]| part.iter().map(|&i| groups[i as usize]).collect::<std::collections::BTreeSet<u32>>();
        let (train, validation) = (of(&split.train), of(&split.validation));
        assert_eq!((train.len(), validation.len(), train.intersection(&validation).count()), (10, 4, 0));
        assert_eq!(validation.iter().filter(|&&recording| recording >= 10).count(), 1);
        assert_eq!(split.train.len() + split.validation.len(), groups.len());
        assert!(Split::stratified_groups(&classes, &groups, 2, 0.0, 7).validation.is_empty());
        assert_eq!(Split::stratified_groups(&[0, 0, 1], &[0, 0, 1], 2, 0.5, 7).validation, [0u32; 0], "never all");
    }

    #[test]
    fn too_few_classes_or_samples_are_refused() {
        let labels = |n: usize| (0..n).map(|i| format!("c{i}")).collect::<Vec<_>>();
        let check =
            |n, classes: &[u16], least| check_classes("d", &labels(n), classes, "recordings", least, ", says who");
        let error = |n, classes: &[u16]| check(n, classes, 2).unwrap_err().to_string();
        assert!(error(1, &[0, 0]).contains("only `c0`"));
        assert!(error(2, &[0, 0, 1]).contains("class `c1` has 1 recordings"));
        assert!(error(2, &[0, 0, 1]).contains("at least 2 are needed, says who"));
        assert!(check(2, &[0, 0, 1, 1], 2).is_ok());
        assert!(check(2, &[0, 0, 1], 1).is_ok(), "where none is held out");
    }
}
