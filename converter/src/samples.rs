//! Where a conversion's samples come from, as the network's float input.

use crate::error::Error;

/// Samples by number. Reading happens when one is asked for, from several threads.
pub trait Samples: Sync {
    /// How many.
    fn len(&self) -> usize;

    /// None at all?
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One sample, `[steps][height][width][channel]`, in the graph's arrangement whatever the ONNX file's is.
    ///
    /// # Errors
    /// [`Error::Samples`] that names the file and says what is wrong with it.
    fn get(&self, index: usize) -> Result<Vec<f32>, Error>;

    /// Its class, if known.
    fn label(&self, index: usize) -> Option<usize>;

    /// How errors and reports call it.
    fn name(&self, index: usize) -> String;
}

/// Samples that are already in memory: `values` is `[sample][steps][height][width][channel]`.
#[derive(Clone, Debug)]
pub struct InMemory {
    /// All values.
    pub values: Vec<f32>,
    /// Values of one sample.
    pub sample_len: usize,
    /// One class for each sample, or none.
    pub labels: Vec<usize>,
    /// What the samples are called, before their number.
    pub source: String,
}

impl Samples for InMemory {
    fn len(&self) -> usize {
        self.values.len().checked_div(self.sample_len).unwrap_or(0)
    }

    fn get(&self, index: usize) -> Result<Vec<f32>, Error> {
        let sample = self.values.chunks_exact(self.sample_len.max(1)).nth(index);
        sample.map(<[f32]>::to_vec).ok_or_else(|| Error::Samples(format!("{}: no sample {index}", self.source)))
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.labels.get(index).copied()
    }

    fn name(&self, index: usize) -> String {
        format!("{}[{index}]", self.source)
    }
}

/// At most `limit` samples, spread evenly over the classes, and within a class (or where there are none) over its files.
pub fn spread(samples: &dyn Samples, limit: usize) -> Vec<usize> {
    let mut classes: std::collections::BTreeMap<Option<usize>, Vec<usize>> = Default::default();
    for i in 0..samples.len() {
        classes.entry(samples.label(i)).or_default().push(i);
    }
    // Small classes give all they have; what they leave open goes to the larger ones.
    let mut sizes: Vec<&Vec<usize>> = classes.values().collect();
    sizes.sort_by_key(|c| c.len());
    let (mut open, mut picks) = (limit, Vec::new());
    for (done, class) in sizes.iter().enumerate() {
        let share = (open / (sizes.len() - done)).min(class.len());
        picks.extend((0..share).map(|i| class[i * class.len() / share]));
        open -= share;
    }
    picks.sort_unstable();
    picks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_are_even_over_classes() {
        let labels: Vec<usize> = [vec![0; 100], vec![1; 10], vec![2; 100]].concat();
        let samples = InMemory { values: vec![0.0; 210], sample_len: 1, labels: labels.clone(), source: "x".into() };
        let picks = spread(&samples, 60);
        let count = |class| picks.iter().filter(|&&i| labels[i] == class).count();
        assert_eq!([count(0), count(1), count(2)], [25, 10, 25]);
        assert!(picks.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(spread(&samples, 1000).len(), 210);
        assert_eq!(spread(&samples, 0).len(), 0);
    }
}
