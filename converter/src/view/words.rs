//! Views in words, and as a line of numpy.

use super::{Axis, Dim, MAP, Run, View};

impl Axis {
    /// In a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Axis::Time => "time",
            Axis::Height => "height",
            Axis::Width => "width",
            Axis::Channel => "channels",
        }
    }
}

impl View {
    /// What each dimension runs over: `[1, channels, height, width]`; of parts of an axis how many positions, and how far apart.
    pub fn words(&self) -> String {
        let run = |run: &Run| match run {
            Run { axis, length, stride: 1 } if *length == self.length(*axis) => axis.name().to_owned(),
            Run { axis, length, stride } => format!("{length} {} {stride} apart", axis.name()),
        };
        let dim = |dim: &Dim| match &dim.runs[..] {
            [] => "1".to_owned(),
            runs => runs.iter().map(run).collect::<Vec<_>>().join(" · "),
        };
        format!("[{}]", self.dims.iter().map(dim).collect::<Vec<_>>().join(", "))
    }

    /// How numpy makes ONNX's tensor of the values `y` as they lie, of a view that sees every element once: nothing where they lie in
    /// ONNX's order anyway.
    ///
    /// Along each axis the runs are digits of the position: in memory those of the widest steps come first.
    pub fn numpy(&self) -> Option<String> {
        if self.order().is_sorted() {
            return None;
        }
        let runs: Vec<Run> = self.dims.iter().flat_map(|d| &d.runs).copied().filter(|r| r.axis != Axis::Time).collect();
        let place = |r: &Run| (MAP.iter().position(|&axis| axis == r.axis), std::cmp::Reverse(r.stride.unsigned_abs()));
        let mut memory: Vec<usize> = (0..runs.len()).collect();
        memory.sort_by_key(|&at| place(&runs[at]));
        let list =
            |numbers: &mut dyn Iterator<Item = usize>| numbers.map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        let lies = list(&mut memory.iter().map(|&at| runs[at].length));
        let order = list(&mut (0..runs.len()).map(|at| memory.iter().position(|&m| m == at).unwrap_or(0)));
        let back: Vec<usize> = (0..runs.len()).filter(|&at| runs[at].stride < 0).collect();
        let flips = if back.is_empty() { String::new() } else { format!("[{}]", flips(runs.len(), &back)) };
        let lengths = list(&mut self.lengths().into_iter());
        Some(format!("y.reshape({lies}).transpose({order}){flips}.reshape({lengths})"))
    }
}

/// The index that reads these of so many dimensions backwards.
fn flips(dimensions: usize, back: &[usize]) -> String {
    let one = |at: usize| if back.contains(&at) { "::-1" } else { ":" };
    (0..dimensions).map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_rows_and_halves() {
        let map = View::new(0, [4, 5, 6], 1, &[None, Some(Axis::Channel), Some(Axis::Height), Some(Axis::Width)]);
        assert_eq!(map.words(), "[1, channels, height, width]");
        assert_eq!(map.numpy().unwrap(), "y.reshape(4, 5, 6).transpose(2, 0, 1).reshape(1, 6, 4, 5)");
        let last = View::new(0, [4, 5, 6], 1, &[None, Some(Axis::Height), Some(Axis::Width), Some(Axis::Channel)]);
        assert_eq!((last.words(), last.numpy()), ("[1, height, width, channels]".into(), None));
        let rows = map.reshape(&[1, 2, 3, 20]).unwrap();
        assert_eq!(rows.words(), "[1, 2 channels 3 apart, 3 channels 1 apart, height · width]");
        assert_eq!(
            rows.numpy().unwrap(),
            "y.reshape(20, 2, 3)".replace("20", "4, 5") + ".transpose(2, 3, 0, 1).reshape(1, 2, 3, 20)"
        );
    }

    /// What the line does, done here to numbers that say where they lie.
    #[test]
    fn the_line_of_numpy_gives_the_order() {
        let map = View::new(0, [2, 3, 4], 1, &[None, Some(Axis::Channel), Some(Axis::Height), Some(Axis::Width)]);
        let mut shuffled = map.reshape(&[2, 2, 2, 3]).unwrap();
        shuffled.dims.swap(0, 1);
        for view in [map, shuffled] {
            let text = view.numpy().unwrap();
            let list = |what: &str| -> Vec<usize> {
                let from = text.split_once(what).unwrap().1.split_once(')').unwrap().0;
                from.split(", ").map(|n| n.parse().unwrap()).collect()
            };
            let (shape, order) = (list("y.reshape("), list("transpose("));
            let lengths: Vec<usize> = order.iter().map(|&at| shape[at]).collect();
            let given: Vec<usize> = (0..24)
                .map(|index| {
                    let mut rest = index;
                    let mut at = vec![0; shape.len()];
                    for (dim, &length) in lengths.iter().enumerate().rev() {
                        (at[order[dim]], rest) = (rest % length, rest / length);
                    }
                    shape.iter().zip(at).fold(0, |place, (length, at)| place * length + at)
                })
                .collect();
            assert_eq!(given, view.order(), "{text}");
        }
    }
}
