//! Generated reviews of films, good or bad, in which the same words mean the one or the other.
//!
//! A judgement is a quality of the film ("the acting was dull"), which a negation turns over every third time ("was never
//! dull"). In three reviews of five two opposite judgements meet, and their conjunction and its place say which of them
//! counts: the last in "the music was good, but the ending was weak" and in "although the music was good, the ending was
//! weak", the first in "the ending was weak, although the music was good". What others think is told too, and counts for
//! nothing. So the words alone say little: the test `a_bag_of_words_fails` trains softmax regression on how often each
//! of them occurs, and holds it below [`LINEAR_LIMIT`].

use std::path::Path;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Counts, write_folders};
use crate::{
    engine::random::{Purpose, stream},
    error::TrainError,
};

/// The classes, in alphabetical order as a folder would list them.
pub const LABELS: [&str; 2] = ["bad", "good"];

/// What `escarp-train text --data builtin` trains and tests on.
pub const COUNTS: Counts = Counts { train: 2000, test: 500 };

/// Per cent of the test reviews that softmax regression on the numbers of their words stays below; measured 51.5,
/// chance is 50.
pub const LINEAR_LIMIT: f64 = 60.0;

const SUBJECTS: [&str; 16] = [
    "film",
    "story",
    "plot",
    "acting",
    "music",
    "ending",
    "beginning",
    "cast",
    "script",
    "dialogue",
    "camera",
    "hero",
    "villain",
    "humour",
    "direction",
    "second half",
];

const GOOD: [&str; 12] = [
    "good",
    "great",
    "wonderful",
    "moving",
    "clever",
    "funny",
    "brilliant",
    "gripping",
    "charming",
    "convincing",
    "original",
    "superb",
];

const BAD: [&str; 12] = [
    "bad",
    "dull",
    "terrible",
    "weak",
    "silly",
    "boring",
    "awful",
    "tedious",
    "clumsy",
    "hollow",
    "predictable",
    "poor",
];

const NEGATIONS: [&str; 5] = ["not", "never", "hardly", "by no means", "not at all"];

const DEGREES: [&str; 5] = ["very ", "really ", "so ", "", ""];

const OTHERS: [&str; 5] = ["My friends", "Most critics", "The papers", "Our neighbours", "People in the queue"];

const ASIDES: [&str; 8] = [
    "We saw it on a rainy Sunday.",
    "It runs for two hours.",
    "The cinema was half empty.",
    "I had read the book before.",
    "It is the third of its kind.",
    "We went there by bus.",
    "The director is new to me.",
    "They shot it in the north.",
];

/// Review `index` of `class` in `part` (0 training, 1 test).
pub fn review(seed: u64, part: u32, class: usize, index: u32) -> String {
    let rng = &mut stream(seed, Purpose::Reviews, part * LABELS.len() as u32 + class as u32, index);
    let mut sentences = vec![verdict(class == 1, rng)];
    for _ in 0..rng.random_range(0..4) {
        let sentence = if rng.random() { hearsay(rng) } else { pick(&ASIDES, rng).to_owned() };
        let at = rng.random_range(0..=sentences.len() as u64) as usize;
        sentences.insert(at, sentence);
    }
    sentences.join(" ")
}

/// Writes the reviews as texts below `folder/train` and `folder/test`.
pub fn write(folder: &Path, seed: u64, counts: Counts) -> Result<(), TrainError> {
    write_folders(folder, &LABELS, "txt", counts, |part, class, index| {
        Ok((review(seed, part, class, index) + "\n").into_bytes())
    })
}

fn pick<'a>(words: &[&'a str], rng: &mut ChaCha8Rng) -> &'a str {
    words[rng.random_range(0..words.len() as u64) as usize]
}

/// The sentence that decides.
fn verdict(good: bool, rng: &mut ChaCha8Rng) -> String {
    let (says, denies) = (judgement(good, rng), judgement(!good, rng));
    let sentence = match rng.random_range(0..5) {
        0 => says,
        1 => format!("{says}, and {}", judgement(good, rng)),
        2 => format!("{denies}, but {says}"),
        3 => format!("although {denies}, {says}"),
        _ => format!("{says}, although {denies}"),
    };
    // The words are ASCII.
    sentence[..1].to_uppercase() + &sentence[1..] + "."
}

fn judgement(good: bool, rng: &mut ChaCha8Rng) -> String {
    let (subject, negated) = (pick(&SUBJECTS, rng), rng.random_range(0..3) == 0);
    let negation = if negated { format!("{} ", pick(&NEGATIONS, rng)) } else { String::new() };
    let degree = pick(&DEGREES, rng);
    let quality = pick(if good == negated { &BAD } else { &GOOD }, rng);
    format!("the {subject} was {negation}{degree}{quality}")
}

/// What counts for nothing.
fn hearsay(rng: &mut ChaCha8Rng) -> String {
    let quality = pick(if rng.random() { &GOOD } else { &BAD }, rng);
    format!("{} found it {quality}.", pick(&OTHERS, rng))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Samples, generate::linear::accuracies, text::Texts};

    /// How often each word of a text occurs.
    struct Bag {
        texts: Texts,
        words: usize,
    }

    impl Samples for Bag {
        fn classes(&self) -> &[u16] {
            self.texts.classes()
        }

        fn shape(&self) -> &[usize] {
            std::slice::from_ref(&self.words)
        }

        fn write(&self, index: usize, _augment: Option<&mut ChaCha8Rng>, out: &mut [f32]) {
            let mut tokens = vec![0.0; self.texts.shape()[0]];
            self.texts.write(index, None, &mut tokens);
            out.fill(0.0);
            tokens.into_iter().filter(|&token| token > 0.0).for_each(|token| out[token as usize] += 1.0);
        }
    }

    #[test]
    fn a_bag_of_words_fails() {
        let part = |part, count| Texts::builtin(0, part, count);
        let mut parts = [part(0, COUNTS.train), part(1, COUNTS.test)];
        let all = Vec::from_iter(0..parts[0].classes().len() as u32);
        let (vocabulary, tokens) = (parts[0].vocabulary(&all, 1000), parts[0].usual_tokens(&all));
        assert!((80..150).contains(&vocabulary.entries().len()) && (20..60).contains(&tokens), "{tokens}");
        parts.iter_mut().for_each(|texts| texts.prepare(&vocabulary, 2 * usize::from(tokens)));
        let words = vocabulary.entries().len();
        let [train, test] = parts.map(|texts| Bag { texts, words });
        let (known, unseen) = accuracies(&train, &test, LABELS.len());
        eprintln!("softmax regression: {known:.1} % on what it learned from, {unseen:.1} % on unseen reviews");
        assert!(unseen < LINEAR_LIMIT, "{unseen} %");
    }

    #[test]
    fn reviews_are_as_ever() {
        let both = |index| [0, 1].map(|class| review(0, 0, class, index));
        assert_eq!(both(0), both(0));
        assert_ne!(both(0), both(1));
        for text in (0..20).flat_map(both) {
            assert!(text.is_ascii() && text.ends_with('.') && text.starts_with(char::is_uppercase), "{text}");
        }
    }
}
