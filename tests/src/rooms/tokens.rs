//! A Rust file as words and signs: comments, strings, characters and lifetimes left out.

/// A piece of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// A word, `::`, or one other character.
    pub text: &'a str,
    /// Counted from 1.
    pub line: usize,
}

impl Token<'_> {
    /// Whether it is a name, a keyword or a number.
    pub fn is_word(&self) -> bool {
        self.text.starts_with(is_of_word)
    }
}

fn is_of_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// All tokens of `text`. What is not Rust gives some tokens too, and never a panic.
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let (mut all, mut rest, mut line) = (Vec::new(), text, 1);
    while let Some(first) = rest.chars().next() {
        let word = rest.len() - rest.trim_start_matches(is_of_word).len();
        let (len, kept) = match first {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            '/' if rest.starts_with("/*") => (comment(rest), false),
            '"' => (1 + string(&rest[1..]), false),
            '\'' => (character(rest), false),
            // A prefix belongs to the string behind it: r, b, br, c, cr.
            _ if word > 0 => match literal(&rest[..word], &rest[word..]) {
                Some(len) => (word + len, false),
                None => (word, true),
            },
            ':' if rest.starts_with("::") => (2, true),
            c => (c.len_utf8(), !c.is_whitespace()),
        };
        let (token, behind) = rest.split_at(len);
        if kept {
            all.push(Token { text: token, line });
        }
        line += token.matches('\n').count();
        rest = behind;
    }
    all
}

/// Length of the block comment, with those inside it, that `text` begins with.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let rest = &text[at..];
        match () {
            () if rest.starts_with("/*") => (depth, at) = (depth + 1, at + 2),
            () if rest.starts_with("*/") => (depth, at) = (depth - 1, at + 2),
            () => at += rest.chars().next().map_or(1, char::len_utf8),
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// Length to the end of the string whose content `text` begins with.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of the character, or of the mark of the lifetime, that `text` begins with.
fn character(text: &str) -> usize {
    let mut inner = text[1..].char_indices();
    match (inner.next(), inner.next()) {
        (Some((_, '\\')), Some((escaped, c))) => {
            let from = 1 + escaped + c.len_utf8();
            text[from..].find('\'').map_or(text.len(), |at| from + at + 1)
        }
        (Some(_), Some((at, '\''))) => at + 2,
        _ => 1,
    }
}

/// Length of the string or character behind the word `prefix`, if that belongs to it.
fn literal(prefix: &str, behind: &str) -> Option<usize> {
    let hashes = behind.len() - behind.trim_start_matches('#').len();
    let raw = matches!(prefix, "r" | "br" | "cr");
    match prefix {
        _ if raw && behind[hashes..].starts_with('"') => {
            let end = format!("\"{}", "#".repeat(hashes));
            let content = &behind[hashes + 1..];
            Some(content.find(&end).map_or(behind.len(), |at| hashes + 1 + at + end.len()))
        }
        "b" | "c" if behind.starts_with('"') => Some(1 + string(&behind[1..])),
        "b" if behind.starts_with('\'') => Some(character(behind)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::tokens;

    fn words(text: &str) -> Vec<&str> {
        tokens(text).iter().map(|token| token.text).collect()
    }

    #[test]
    fn what_is_no_code_is_left_out() {
        assert_eq!(words("a /* b /* c */ d */ e // f\ng"), ["a", "e", "g"]);
        assert_eq!(
            words(r##"x("use \" y", r#"mod "z""#, b"\\", 'u', '\'', b'\'') w"##),
            ["x", "(", ",", ",", ",", ",", ",", ")", "w"]
        );
        assert_eq!(
            words("fn f<'a>(x: &'a str) -> a::b"),
            ["fn", "f", "<", "a", ">", "(", "x", ":", "&", "a", "str", ")", "-", ">", "a", "::", "b"]
        );
        for cut in ["\"", "'", "'\\", "/*", "r#\"", "b'", "/* /*"] {
            assert!(words(cut).len() <= 1, "{cut}");
        }
    }

    #[test]
    fn lines_are_counted_through_strings_and_comments() {
        let all = tokens("\"\n\"\n/*\n*/ a\nb");
        assert_eq!(all.iter().map(|t| (t.text, t.line)).collect::<Vec<_>>(), [("a", 4), ("b", 5)]);
    }
}
