//! How the sequences of a piece of the batch lie in time-major memory.

/// Longest sequence first, so that the sequences which still run at a step are its first rows.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Which sequence of the piece each row is, and its length.
    rows: Vec<(usize, usize)>,
    /// Rows that run at each step; there are as many steps as the longest sequence has frames.
    pub active: Vec<usize>,
    /// Frames of a sequence in batch-major memory, whatever its length.
    frames: usize,
}

impl Layout {
    pub fn new(lengths: impl IntoIterator<Item = usize>, frames: usize) -> Self {
        let mut rows: Vec<(usize, usize)> = lengths.into_iter().enumerate().collect();
        rows.sort_by_key(|&(_, length)| std::cmp::Reverse(length)); // Stable: equal lengths keep their order.
        let steps = rows.first().map_or(0, |&(_, length)| length);
        let active = (0..steps).map(|t| rows.partition_point(|&(_, length)| length > t)).collect();
        Self { rows, active, frames }
    }

    /// How many sequences.
    pub fn batch(&self) -> usize {
        self.rows.len()
    }

    /// How many steps, which is the longest length.
    pub fn steps(&self) -> usize {
        self.active.len()
    }

    /// Whether some sequence is shorter than its memory.
    fn padded(&self) -> bool {
        self.rows.last().is_some_and(|&(_, length)| length < self.frames)
    }

    /// For every frame that counts: its row among all rows of time-major and of batch-major memory.
    fn pairs(&self, reversed: bool) -> impl Iterator<Item = (usize, usize)> {
        let batch = self.batch();
        self.rows.iter().enumerate().flat_map(move |(row, &(sequence, length))| {
            (0..length).map(move |t| {
                let frame = if reversed { length - 1 - t } else { t };
                (t * batch + row, sequence * self.frames + frame)
            })
        })
    }

    /// `columns` of batch-major rows of `width` numbers to time-major rows; 0 where a sequence has ended. `reversed`
    /// turns each sequence around within its length.
    pub fn gather<T: Copy + Default>(&self, from: &[T], to: &mut Vec<T>, columns: Columns, reversed: bool) {
        to.resize(self.steps() * self.batch() * columns.count, T::default());
        if self.padded() {
            to.fill(T::default()); // What lies beyond the end may be anything, NaN too, and would meet zeros.
        }
        let Columns { first, count, of } = columns;
        for (time_major, batch_major) in self.pairs(reversed) {
            to[time_major * count..][..count].copy_from_slice(&from[batch_major * of + first..][..count]);
        }
    }

    /// The way back of [`Layout::gather`]: calls `put` with each row's place in `to` and its numbers.
    pub fn scatter<T>(&self, from: &[T], to: &mut [T], columns: Columns, reversed: bool, put: impl Fn(&mut [T], &[T])) {
        let Columns { first, count, of } = columns;
        for (time_major, batch_major) in self.pairs(reversed) {
            put(&mut to[batch_major * of + first..][..count], &from[time_major * count..][..count]);
        }
    }

    /// `(row, sequence)` of each row.
    pub fn sequences(&self) -> impl Iterator<Item = (usize, usize)> {
        self.rows.iter().enumerate().map(|(row, &(sequence, _))| (row, sequence))
    }
}

/// Some neighbouring columns of a matrix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns {
    pub first: usize,
    pub count: usize,
    /// Columns of the matrix.
    pub of: usize,
}

impl Columns {
    /// All of them.
    pub fn all(count: usize) -> Self {
        Self { first: 0, count, of: count }
    }
}

#[cfg(test)]
mod tests {
    use super::{Columns, Layout};

    #[test]
    fn longest_first_and_turned_within_the_length() {
        let layout = Layout::new([1, 3, 2], 4);
        assert_eq!(layout.active, [3, 2, 1]);
        let from: Vec<u32> = (0..12).collect();
        let mut to = vec![9; 3];
        layout.gather(&from, &mut to, Columns::all(1), false);
        assert_eq!(to, [4, 8, 0, 5, 9, 0, 6, 0, 0]);
        layout.gather(&from, &mut to, Columns::all(1), true);
        assert_eq!(to, [6, 9, 0, 5, 8, 0, 4, 0, 0]);
        let mut back = vec![77; 12];
        layout.scatter(&to, &mut back, Columns::all(1), true, |to, from| to.copy_from_slice(from));
        assert_eq!(back, [0, 77, 77, 77, 4, 5, 6, 77, 8, 9, 77, 77]);
    }
}
