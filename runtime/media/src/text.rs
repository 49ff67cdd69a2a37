//! Texts as words.

use crate::Error;

/// A text in UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a>(&'a str);

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(text)
    }
}

impl<'a> Text<'a> {
    /// Takes the content of a file for a text.
    ///
    /// # Errors
    /// [`Error::Text`] with the first byte that is not UTF-8.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        let not_utf8 = |e: std::str::Utf8Error| Error::Text { byte: e.valid_up_to(), reason: "not UTF-8" };
        std::str::from_utf8(bytes).map(Self).map_err(not_utf8)
    }

    /// Its words in their order: the longest runs of characters that [`char::is_alphanumeric`] holds for (letters, marks
    /// that count as letters, digits and other numbers of any script), each in lower case by [`str::to_lowercase`].
    /// Everything else separates words: spaces, punctuation, apostrophes, hyphens, underscores, a byte order mark.
    pub fn words(self) -> impl Iterator<Item = String> + 'a {
        self.0.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty()).map(str::to_lowercase)
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        let words = |text: &str| Text::decode(text.as_bytes()).unwrap().words().collect::<Vec<_>>();
        assert_eq!(words("\u{feff}Don't GO_there: 2nd-rate!<br />"), ["don", "t", "go", "there", "2nd", "rate", "br"]);
        assert_eq!(words("Ärger in ΣΟΦΟΣ, 日本 x²"), ["ärger", "in", "σοφος", "日本", "x²"]);
        assert_eq!(words("...  :-)"), [""; 0]);
    }

    #[test]
    fn the_byte_that_is_no_text_is_named() {
        let error = Text::decode(b"good \xff bad").unwrap_err().to_string();
        assert_eq!(error, "text: byte 5: not UTF-8");
    }
}
