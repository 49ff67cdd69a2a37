//! How often each class occurs, and what is known of a sample by that alone.

use super::Samples;

/// So many times more of one class than of another are worth a word.
const UNEVEN: usize = 3;

/// Most classes that a line counts one by one.
const LISTED: usize = 8;

/// How many samples, or frames that count, are of each class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frequencies(pub(crate) Vec<usize>);

impl Frequencies {
    /// Of the chosen samples. Classes above the last that occurs are not counted.
    pub fn of(samples: &dyn Samples, indices: &[u32]) -> Self {
        let mut counts = Vec::new();
        for &class in indices.iter().flat_map(|&index| samples.classes_of(index)) {
            let class = usize::from(class);
            if counts.len() <= class {
                counts.resize(class + 1, 0);
            }
            counts[class] += 1;
        }
        Self(counts)
    }

    /// Of all classes.
    pub fn total(&self) -> usize {
        self.0.iter().sum()
    }

    /// The most frequent class, of equals the first, and how many are of it.
    pub fn commonest(&self) -> (usize, usize) {
        let first = |best: (usize, usize), (class, &count): (usize, &usize)| {
            if count > best.1 { (class, count) } else { best }
        };
        self.0.iter().enumerate().fold((0, 0), first)
    }

    /// `-sum p ln p` over the classes' shares: the mean cross-entropy of the best answer that does not look at the sample.
    pub fn entropy(&self) -> f64 {
        let total = self.total().max(1) as f64;
        let share = |&n: &usize| n as f64 / total;
        -self.0.iter().filter(|&&n| n > 0).map(|n| share(n) * share(n).ln()).sum::<f64>()
    }

    /// The counts in a line if the classes that `labels` name are uneven; `unit` is what is counted.
    pub fn warning(&self, labels: &[String], unit: impl std::fmt::Display) -> Option<String> {
        let count = |class: usize| self.0.get(class).copied().unwrap_or(0);
        let mut order = Vec::from_iter(0..labels.len());
        order.sort_by_key(|&class| std::cmp::Reverse(count(class)));
        let (&most, &least) = (order.first()?, order.last()?);
        if count(most) <= UNEVEN * count(least) {
            return None;
        }
        let said = |classes: &[usize]| {
            let one = |&class: &usize| format!("`{}` {}", labels[class], count(class));
            classes.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        let counts = match order.len() > LISTED {
            false => said(&order),
            true => format!("{}, ..., {}", said(&order[..LISTED / 2]), said(&order[order.len() - LISTED / 2..])),
        };
        let share = 100.0 * count(most) as f64 / self.total().max(1) as f64;
        let label = &labels[most];
        Some(format!(
            "uneven classes, in training {unit}: {counts}; always saying `{label}` is right in {share:.2} % of them"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::Frequencies;

    #[test]
    fn guessing_by_frequency_costs_the_entropy() {
        let even = Frequencies(vec![5, 5]);
        assert!((even.entropy() - 2f64.ln()).abs() < 1e-12);
        assert_eq!((even.commonest(), even.total()), ((0, 5), 10));
        assert_eq!(Frequencies(vec![0, 3, 0]).entropy(), 0.0);
        assert_eq!(Frequencies(vec![1, 0, 3]).commonest(), (2, 3));
        assert_eq!(Frequencies::default().commonest(), (0, 0));
    }

    #[test]
    fn uneven_classes_are_counted() {
        let labels = |n: usize| (0..n).map(|i| format!("c{i}")).collect::<Vec<_>>();
        assert_eq!(Frequencies(vec![30, 10]).warning(&labels(2), "samples"), None);
        let said = Frequencies(vec![15, 225]).warning(&labels(2), "samples").unwrap();
        assert_eq!(
            said,
            "uneven classes, in training samples: `c1` 225, `c0` 15; always saying `c1` is right in 93.75 % of them"
        );
        let none = Frequencies(vec![3]).warning(&labels(2), "frames").unwrap();
        assert!(none.contains("training frames: `c0` 3, `c1` 0;"), "{none}");
        let many = Frequencies((1..=20).collect()).warning(&labels(20), "samples").unwrap();
        assert!(
            many.contains("`c19` 20, `c18` 19, `c17` 18, `c16` 17, ..., `c3` 4, `c2` 3, `c1` 2, `c0` 1;"),
            "{many}"
        );
    }
}
