//! The pictures of a study: the first of each class of a folder or tar that the user names, or the built-in ones.

use std::path::Path;

use escarp_media::{Folder, Kind};
use serde::{Deserialize, Serialize};

use crate::{
    data::{Samples, check_classes, generate::images as builtin, images::Images, source::classes},
    error::TrainError,
};

/// How many pictures a study takes at most; equally many of each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// To train on.
    pub train: usize,
    /// To test on: those of each class that come next.
    pub test: usize,
}

/// Decoded pictures.
pub struct Pictures {
    /// All of them, standardized by those to train on.
    pub images: Images,
    /// Classes there are.
    pub classes: usize,
    /// To train on.
    pub train: Vec<u32>,
    /// To test on.
    pub test: Vec<u32>,
}

impl Pictures {
    /// Those of `data`, or built-in ones if there is none.
    ///
    /// # Errors
    /// A folder or tar that cannot be read, or a class of it with fewer pictures than `count` wants.
    pub fn new(data: Option<&Path>, count: Count) -> Result<Self, TrainError> {
        let each = |classes: usize| Count { train: count.train / classes, test: count.test / classes };
        let (images, classes) = match data {
            None => {
                let classes = builtin::LABELS.len();
                let Count { train, test } = each(classes);
                (Images::builtin(0, 0, (train + test) as u32), classes)
            }
            Some(path) => {
                let folder = Folder::open(path, Kind::Image)?;
                let classes = folder.classes().len();
                let Count { train, test } = each(classes.max(1));
                (Images::decode(&first(path, folder, train + test)?, None)?.0, classes)
            }
        };
        let mut pictures = Self { images, classes, train: Vec::new(), test: Vec::new() };
        let mut seen = vec![0; classes];
        for (i, &class) in (0..).zip(pictures.images.classes()) {
            let seen = &mut seen[usize::from(class)];
            if *seen < each(classes).train { &mut pictures.train } else { &mut pictures.test }.push(i);
            *seen += 1;
        }
        let standard = pictures.images.statistics(&pictures.train);
        pictures.images.prepare(&standard, None);
        Ok(pictures)
    }

    /// What tells them from others: `10000 + 1000 images, checksum 0123abcd`.
    pub fn name(&self) -> String {
        let (train, test) = (self.train.len(), self.test.len());
        format!("{train} + {test} images, checksum {:08x}", self.images.fingerprint())
    }
}

/// The first `each` files of every class of `folder`, which is at `path`.
fn first(path: &Path, mut folder: Folder, each: usize) -> Result<Folder, TrainError> {
    let labels = folder.classes().to_vec();
    check_classes(&path.display().to_string(), &labels, &classes(&folder), "training samples", 2, "")?;
    let mut seen = vec![0; labels.len()];
    folder.retain(|entry| {
        let seen = &mut seen[entry.label.unwrap_or(0)];
        *seen += 1;
        *seen <= each
    });
    match seen.iter().position(|&n| n < each) {
        None => Ok(folder),
        Some(class) => {
            let (label, n) = (&labels[class], seen[class]);
            let reason = format!("class `{label}` has {n} images; the study takes {each} of each");
            Err(TrainError::data(path.display(), reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, Pictures};
    use crate::data::{
        Samples,
        generate::{Counts, images},
    };

    #[test]
    fn equally_many_of_each_class_and_no_picture_twice() {
        let folder = tempfile::tempdir().unwrap();
        images::write(folder.path(), 1, Counts { train: 5, test: 0 }).unwrap();
        let data = folder.path().join("train");
        let count = Count { train: 24, test: 8 };
        for pictures in [Pictures::new(None, count).unwrap(), Pictures::new(Some(&data), count).unwrap()] {
            assert_eq!((pictures.classes, pictures.train.len(), pictures.test.len()), (8, 24, 8));
            for (part, each) in [(&pictures.train, 3), (&pictures.test, 1)] {
                let of = |class| part.iter().filter(|&&i| pictures.images.classes()[i as usize] == class).count();
                assert!((0..8).all(|class| of(class) == each));
            }
            assert!(pictures.train.iter().all(|i| !pictures.test.contains(i)));
            assert!(pictures.name().starts_with("24 + 8 images, checksum "), "{}", pictures.name());
        }
        let error = Pictures::new(Some(&data), Count { train: 40, test: 8 }).err().unwrap().to_string();
        assert!(error.contains("train: class `bars` has 5 images; the study takes 6 of each"), "{error}");
        let error = Pictures::new(Some(folder.path()), count).err().unwrap().to_string();
        assert!(!error.is_empty(), "{error}");
    }
}
