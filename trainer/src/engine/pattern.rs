//! File name patterns for `--exclude` and `--test-match`: `*`, `?` and `[a-z0]`.

use std::fmt;

/// A pattern that is matched against a sample's whole file name, or against its path inside the
/// data (`class/file`) if the pattern contains a `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// Any run of characters, the empty one included.
    Any,
    /// Any one character.
    One,
    /// One character of these inclusive ranges.
    Set(Vec<(char, char)>),
    Literal(char),
}

impl Part {
    fn takes(&self, c: char) -> bool {
        match self {
            Part::Any => false,
            Part::One => true,
            Part::Set(ranges) => ranges.iter().any(|&(low, high)| (low..=high).contains(&c)),
            Part::Literal(l) => *l == c,
        }
    }
}

impl Pattern {
    /// Reads a pattern; the error says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            parts.push(match c {
                '*' => Part::Any,
                '?' => Part::One,
                '[' => {
                    let inside: Vec<char> = rest.by_ref().take_while(|&c| c != ']').collect();
                    if inside.is_empty() || !text.contains(']') {
                        return Err(format!("`{text}`: `[` needs characters and a closing `]`"));
                    }
                    Part::Set(ranges(&inside))
                }
                c => Part::Literal(c),
            });
        }
        if parts.is_empty() {
            return Err("an empty pattern matches nothing".into());
        }
        Ok(Self { text: text.into(), parts })
    }

    /// Whether the pattern covers the whole name of the file at `path` (parts separated by `/`).
    pub fn matches(&self, path: &str) -> bool {
        let name = match self.text.contains('/') {
            true => path,
            false => path.rsplit('/').next().unwrap_or(path),
        };
        let name: Vec<char> = name.chars().collect();
        // Greedy matching with one point to return to: only the latest `*` ever needs to grow.
        let (mut part, mut at, mut star) = (0, 0, None);
        while at < name.len() {
            match self.parts.get(part) {
                Some(Part::Any) => {
                    star = Some((part, at));
                    part += 1;
                }
                Some(p) if p.takes(name[at]) => {
                    part += 1;
                    at += 1;
                }
                _ => match star {
                    Some((star_part, star_at)) => {
                        star = Some((star_part, star_at + 1));
                        part = star_part + 1;
                        at = star_at + 1;
                    }
                    None => return false,
                },
            }
        }
        self.parts[part..].iter().all(|p| *p == Part::Any)
    }
}

/// `a-f0` as inclusive ranges.
fn ranges(inside: &[char]) -> Vec<(char, char)> {
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < inside.len() {
        let to = match inside.get(at + 1..at + 3) {
            Some(&['-', to]) => to,
            _ => inside[at],
        };
        ranges.push((inside[at], to));
        at += if inside.get(at + 1) == Some(&'-') && at + 2 < inside.len() { 3 } else { 1 };
    }
    ranges
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::new(pattern).unwrap().matches(path)
    }

    #[test]
    fn speakers_and_indices_of_recordings() {
        assert!(matches("*_theo_*", "recordings/7_theo_12.wav"));
        assert!(!matches("*_theo_*", "recordings/7_lucas_12.wav"));
        assert!(matches("*_[0-4].wav", "7_theo_3.wav"));
        assert!(!matches("*_[0-4].wav", "7_theo_13.wav"));
        assert!(!matches("*_[0-4].wav", "7_theo_5.wav"));
    }

    #[test]
    fn wildcards_sets_and_folders() {
        assert!(matches("a*b*c", "aXbYbZc"));
        assert!(!matches("a*b*c", "aXbYbZ"));
        assert!(matches("?[xy-]?", "a-b") && matches("?[xy-]?", "ayb"));
        assert!(!matches("abc", "abcd") && !matches("abcd", "abc"));
        assert!(matches("cat/*", "cat/1.png") && !matches("cat/*", "dog/1.png"));
        assert!(matches("*", ""));
    }

    #[test]
    fn bad_patterns_are_refused() {
        for bad in ["", "a[", "a[]", "[x"] {
            assert!(Pattern::new(bad).is_err(), "{bad}");
        }
    }
}
