//! Which words have a number of their own.

use std::path::Path;

use crate::{error::TrainError, run::files::write_atomically};

/// What stands in front of a text that is shorter than the net's input; no word, words have no brackets.
const PADDING: &str = "<padding>";
/// What stands for every word that is not in the vocabulary.
const UNKNOWN: &str = "<unknown>";

/// The number of all words that have none of their own; that of padding is 0.
pub const UNKNOWN_ID: u32 = 1;
/// The number of the most frequent word.
pub const FIRST_ID: u32 = 2;

/// Words by their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary(Vec<String>);

impl Vocabulary {
    /// At most `size` entries: padding, unknown, and the most frequent of the words, of equally frequent ones the first
    /// in the alphabet. Words that were not seen are left out.
    pub fn new<'a>(counts: impl IntoIterator<Item = (&'a str, usize)>, size: usize) -> Self {
        let mut counts: Vec<(&str, usize)> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
        counts.sort_unstable_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
        let words = counts.into_iter().map(|(word, _)| word);
        Self([PADDING, UNKNOWN].into_iter().chain(words).take(size).map(str::to_owned).collect())
    }

    /// Its entries, the first two of which are no words.
    pub fn entries(&self) -> &[String] {
        &self.0
    }

    /// Each word with its number.
    pub fn words(&self) -> impl Iterator<Item = (&str, u32)> {
        self.0.iter().map(String::as_str).zip(0..).skip(FIRST_ID as usize)
    }

    /// Writes the entries, one a line: the line, counted from 0, is the number.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(path: &Path, entries: &[String]) -> Result<(), TrainError> {
        write_atomically(path, (entries.join("\n") + "\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::Vocabulary;

    #[test]
    fn frequent_words_come_first_and_equals_by_the_alphabet() {
        let counts = [("bee", 2), ("ant", 2), ("cat", 5), ("dog", 1), ("eel", 0)];
        let entries = |size| Vocabulary::new(counts, size).entries().join(" ");
        assert_eq!(entries(5), "<padding> <unknown> cat ant bee");
        assert_eq!(entries(100), "<padding> <unknown> cat ant bee dog");
        let vocabulary = Vocabulary::new(counts, 4);
        assert_eq!(vocabulary.words().collect::<Vec<_>>(), [("cat", 2), ("ant", 3)]);
    }
}
