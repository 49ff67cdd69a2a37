//! What is kept of a log for a page: all of it, or of a long one a part that is spread evenly.

use super::record::Observation;

/// Layers of all observations together that are kept: some 500 MB.
const LAYERS: usize = 1 << 20;

/// Observations that are kept; a heat map has 200 columns, a curve 800 points.
const OBSERVATIONS: usize = 20_000;

/// One in `every` observations, the first and the last.
#[derive(Debug)]
pub(super) struct Kept {
    /// How many came.
    count: usize,
    every: usize,
    observations: Vec<Observation>,
    /// Of `observations`.
    layers: usize,
    /// The latest, if it is not among them.
    last: Option<Observation>,
    /// Most layers and observations.
    most: [usize; 2],
}

impl Default for Kept {
    fn default() -> Self {
        let most = [LAYERS, OBSERVATIONS];
        Self { count: 0, every: 1, observations: Vec::new(), layers: 0, last: None, most }
    }
}

impl Kept {
    pub fn push(&mut self, observation: Observation) {
        let wanted = self.count.is_multiple_of(self.every);
        self.count += 1;
        if !wanted {
            self.last = Some(observation);
            return;
        }
        self.last = None;
        self.layers += observation.layers.len();
        self.observations.push(observation);
        let [layers, observations] = self.most;
        while self.observations.len() > 2 && (self.layers > layers || self.observations.len() > observations) {
            self.every *= 2;
            // The latest may not be of those that stay.
            if self.observations.len().is_multiple_of(2) {
                let latest = self.observations.pop();
                self.last = self.last.take().or(latest);
            }
            let mut at = 0;
            self.observations.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.layers = self.observations.iter().map(|o| o.layers.len()).sum();
        }
    }

    /// How many came, and those that were kept.
    pub fn end(mut self) -> (usize, Vec<Observation>) {
        self.observations.extend(self.last);
        (self.count, self.observations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::record::LayerHealth;

    #[test]
    fn a_long_log_is_thinned_evenly_and_keeps_its_ends() {
        for (count, layers) in [(1, 3), (2, 60), (10, 3), (1000, 3), (1001, 0), (1003, 50)] {
            let mut kept = Kept { most: [100, 40], ..Kept::default() };
            for step in 0..count {
                let layers = vec![LayerHealth::default(); layers];
                kept.push(Observation { step, layers, ..Observation::default() });
            }
            let (all, kept) = kept.end();
            let steps: Vec<u64> = kept.iter().map(|o| o.step).collect();
            assert_eq!((all as u64, steps[0], steps.last()), (count, 0, Some(&(count - 1))));
            assert!(steps.len() <= 41 && (steps.len() <= 3 || steps.len() * layers <= 100 + layers), "{}", steps.len());
            let gaps: Vec<u64> = steps.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let even =
                gaps.split_last().is_none_or(|(last, rest)| rest.iter().all(|gap| gap == &gaps[0]) && *last <= gaps[0]);
            assert!(even, "{gaps:?}");
        }
    }
}
