//! Texts as the numbers of their words.
//!
//! Every text becomes as many numbers: the last words of a longer one, zeros in front of a shorter one, as Keras'
//! `pad_sequences` does it. So a recurrent net reads the padding first and the text last: its last state has the text fresh,
//! and no mask is needed. The exported net, whose input has a fixed length and no mask, computes what training computed.

use std::{collections::HashMap, ops::RangeInclusive};

use escarp_media::{Folder, Text};
use rand_chacha::ChaCha8Rng;

use super::{
    Samples, source,
    vocabulary::{UNKNOWN_ID, Vocabulary},
};
use crate::{data::generate::reviews, error::TrainError};

/// Words that are looked at without `--tokens`, at most.
const MOST_UNASKED: u16 = 256;

/// Sizes of a vocabulary: padding, unknown and a word at least.
pub const WORDS: RangeInclusive<usize> = 3..=1_000_000;

/// Texts with their classes.
#[derive(Default)]
pub struct Texts {
    /// Of each text the places of its words in `words`.
    texts: Vec<Vec<u32>>,
    /// All words, in the order in which they were first seen.
    words: Vec<String>,
    places: HashMap<String, u32>,
    classes: Vec<u16>,
    /// Tokens.
    shape: [usize; 1],
    /// The number of each of `words`.
    ids: Vec<u32>,
}

impl Texts {
    /// Reads the files of a listing.
    ///
    /// # Errors
    /// A file that is not UTF-8, with the byte, or has no word.
    pub fn decode(folder: &Folder) -> Result<Self, TrainError> {
        let mut texts = Self { classes: source::classes(folder), ..Self::default() };
        for (index, sample) in folder.samples().enumerate() {
            let sample = sample?;
            let text = Text::decode(&sample.bytes).map_err(|e| e.in_file(folder.locate(index)))?;
            if texts.push(text.words()) == 0 {
                let reason = "no word in it; words are letters and digits (--exclude leaves files out)";
                return Err(TrainError::data(folder.locate(index), reason));
            }
        }
        Ok(texts)
    }

    /// The generated reviews: part 0 to train on, part 1 to test on.
    pub fn builtin(seed: u64, part: u32, per_class: u32) -> Self {
        let classes = reviews::LABELS.len();
        let mut texts = Self::default();
        for i in 0..per_class * classes as u32 {
            let class = i as usize % classes;
            let review = reviews::review(seed, part, class, i / classes as u32);
            texts.push(Text::from(review.as_str()).words());
            texts.classes.push(class as u16);
        }
        texts
    }

    /// Adds a text; says how many words it has.
    fn push(&mut self, words: impl Iterator<Item = String>) -> usize {
        let Self { texts, words: known, places, .. } = self;
        let place = |word: String| match places.get(&word) {
            Some(&place) => place,
            None => {
                let place = known.len() as u32;
                known.push(word.clone());
                places.insert(word, place);
                place
            }
        };
        texts.push(words.map(place).collect());
        texts.last().map_or(0, Vec::len)
    }

    /// Tokens that hold 19 of 20 of the chosen texts whole, 256 at most.
    pub fn usual_tokens(&self, indices: &[u32]) -> u16 {
        let mut lengths: Vec<usize> = indices.iter().map(|&i| self.texts[i as usize].len()).collect();
        lengths.sort_unstable();
        lengths.get(lengths.len() * 19 / 20).map_or(1, |&usual| usual.min(MOST_UNASKED.into()) as u16)
    }

    /// The most frequent words of the chosen texts, in a vocabulary of at most `size` entries.
    pub fn vocabulary(&self, indices: &[u32], size: usize) -> Vocabulary {
        let mut counts = vec![0usize; self.words.len()];
        let words = indices.iter().flat_map(|&i| &self.texts[i as usize]);
        words.for_each(|&place| counts[place as usize] += 1);
        Vocabulary::new(self.words.iter().map(String::as_str).zip(counts), size)
    }

    /// Sets how many words of a text count, and their numbers.
    pub fn prepare(&mut self, vocabulary: &Vocabulary, tokens: usize) {
        self.shape = [tokens];
        self.ids = vec![UNKNOWN_ID; self.words.len()];
        for (word, id) in vocabulary.words() {
            if let Some(&place) = self.places.get(word) {
                self.ids[place as usize] = id;
            }
        }
    }

    /// A checksum of words and classes: a continued run must see the same data.
    pub fn fingerprint(&self) -> u32 {
        let mut hash = crc32fast::Hasher::new();
        for (text, class) in self.texts.iter().zip(&self.classes) {
            for &place in text {
                hash.update(self.words[place as usize].as_bytes());
                hash.update(b" ");
            }
            hash.update(&class.to_le_bytes());
        }
        hash.finalize()
    }
}

impl Samples for Texts {
    fn classes(&self) -> &[u16] {
        &self.classes
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Texts do not vary in training.
    fn write(&self, index: usize, _augment: Option<&mut ChaCha8Rng>, out: &mut [f32]) {
        let text = &self.texts[index];
        let kept = &text[text.len().saturating_sub(out.len())..];
        let (padding, tokens) = out.split_at_mut(out.len() - kept.len());
        padding.fill(0.0);
        // Floats are exact up to 2^24, and a vocabulary is smaller.
        tokens.iter_mut().zip(kept).for_each(|(out, &place)| *out = self.ids[place as usize] as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use escarp_media::Kind;

    fn texts(files: &[(&str, &[u8])]) -> Result<Texts, TrainError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        Texts::decode(&Folder::open(folder.path(), Kind::Text).unwrap())
    }

    #[test]
    fn short_texts_are_padded_in_front_and_long_ones_lose_their_beginning() {
        let mut texts = texts(&[("bad/1.txt", b"Bad, bad film"), ("good/1.txt", b"a GOOD film. good film!")]).unwrap();
        let vocabulary = texts.vocabulary(&[0, 1], 5);
        assert_eq!(vocabulary.entries()[2..], ["film", "bad", "good"]);
        texts.prepare(&vocabulary, 4);
        let row = |i| {
            let mut out = [9.0; 4];
            texts.write(i, None, &mut out);
            out
        };
        assert_eq!((row(0), row(1)), ([0.0, 3.0, 3.0, 2.0], [4.0, 2.0, 4.0, 2.0]));
        texts.prepare(&texts.vocabulary(&[0], 100), 6);
        let mut out = [9.0; 6];
        texts.write(1, None, &mut out);
        assert_eq!(out, [0.0, 1.0, 1.0, 3.0, 1.0, 3.0], "words of other texts than the chosen are unknown");
    }

    #[test]
    fn what_holds_most_texts() {
        let text = |n: usize| "word ".repeat(n).into_bytes();
        let files: Vec<(String, Vec<u8>)> =
            (1..=40).map(|n| (format!("{}/{n:02}.txt", n % 2), text(if n == 40 { 900 } else { n }))).collect();
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (name.as_str(), text.as_slice())).collect();
        let texts = texts(&files).unwrap();
        assert_eq!(texts.usual_tokens(&Vec::from_iter(0..40)), 39);
        assert_eq!(texts.usual_tokens(&[19]), MOST_UNASKED, "the one of 900 words");
    }

    #[test]
    fn the_checksum_sees_words_and_order() {
        let sum = |text: &[u8]| texts(&[("a/1.txt", text)]).unwrap().fingerprint();
        assert_eq!(sum(b"not good"), sum(b"Not... GOOD"));
        assert_ne!(sum(b"not good"), sum(b"good not"));
        assert_ne!(sum(b"not good"), sum(b"not fine"));
    }

    #[test]
    fn bad_files_are_named() {
        let error = |bytes: &[u8]| texts(&[("a/1.txt", b"fine"), ("b/x.txt", bytes)]).err().unwrap().to_string();
        let latin = error(b"caf\xe9 au lait");
        assert!(latin.contains("b/x.txt") && latin.contains("byte 3: not UTF-8"), "{latin}");
        let empty = error(b"?!\n");
        assert!(empty.contains("b/x.txt") && empty.contains("no word in it"), "{empty}");
        assert!(error(b"").contains("no word in it"));
    }
}
