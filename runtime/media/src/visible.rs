//! Text from files, names and messages where people read it: nothing in it can move the cursor, change colours or turn the
//! direction of writing.

use std::fmt::{Display, Formatter, Result, Write};

/// A text that shows its control characters as escapes such as `\u{1b}`; see [`visible`] and [`visible_lines`].
#[derive(Clone, Copy, Debug)]
pub struct Visible<T> {
    text: T,
    lines: bool,
}

/// What stands within a line: a name, a label, a message. Control characters (C0, delete, C1), those that turn the direction
/// of writing (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069) and line breaks of every kind (U+2028, U+2029 too) are shown as
/// escapes; everything else as it is, backslashes too.
///
/// ```
/// assert_eq!(escarp_media::visible("cat\u{1b}[2J\n").to_string(), r"cat\u{1b}[2J\n");
/// ```
pub fn visible<T: Display>(text: T) -> Visible<T> {
    Visible { text, lines: false }
}

/// [`visible`] for a text of several lines: its line feeds stay.
pub fn visible_lines<T: Display>(text: T) -> Visible<T> {
    Visible { text, lines: true }
}

/// JSON for a terminal: what would change how text is shown, and stands in it as it is (U+007F, U+009B, U+202E, ...: only what
/// is below U+0020 must be escaped in JSON), is written as the escape that means the same.
#[must_use]
pub fn visible_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            // All of them lie below U+10000. Line feeds stand between values.
            c if hides(c) && c != '\n' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

impl<T: Display> Display for Visible<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        // What is displayed goes through the filter piece by piece: no copy of it is made.
        write!(Filter { out: f, lines: self.lines }, "{}", self.text)
    }
}

struct Filter<'a, 'f> {
    out: &'a mut Formatter<'f>,
    lines: bool,
}

impl Write for Filter<'_, '_> {
    fn write_str(&mut self, text: &str) -> Result {
        let mut plain = 0;
        for (at, c) in text.char_indices().filter(|&(_, c)| hides(c) && !(self.lines && c == '\n')) {
            self.out.write_str(&text[plain..at])?;
            match c {
                '\n' | '\r' | '\t' => write!(self.out, "{}", c.escape_default())?,
                c => write!(self.out, "{}", c.escape_unicode())?,
            }
            plain = at + c.len_utf8();
        }
        self.out.write_str(&text[plain..])
    }
}

/// Does not show itself, but changes how other text is shown.
fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serde_json_like(text: &str) -> String {
        format!("{{\"x\": \"{text}\"}}\n")
    }

    #[test]
    fn what_hides_is_shown() {
        let shown = |text: &str| visible(text).to_string();
        assert_eq!(shown("\u{1b}]0;x\u{7}\u{7f}\u{9b}31m"), r"\u{1b}]0;x\u{7}\u{7f}\u{9b}31m");
        assert_eq!(shown("a\nb\r\tc"), r"a\nb\r\tc");
        assert_eq!(shown("\u{202e}gpj\u{2066}\u{2028}\u{200f}"), r"\u{202e}gpj\u{2066}\u{2028}\u{200f}");
        assert_eq!(shown("Käse 日本 🦀 C:\\x \"q\""), "Käse 日本 🦀 C:\\x \"q\"");
        let json = serde_json_like("\u{7f}\u{9b}31m\u{202e}é");
        assert_eq!(visible_json(&json), "{\"x\": \"\\u007f\\u009b31m\\u202eé\"}\n");
        assert_eq!(visible_lines("a\n\u{1b}b\r\n").to_string(), "a\n\\u{1b}b\\r\n");
        assert_eq!(format!("{}", visible(format_args!("{}-{}", "\u{1}", 2))), r"\u{1}-2");
    }
}
