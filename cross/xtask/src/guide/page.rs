//! A page of the guide, read for what is to be done.
//!
//! Of its fenced blocks, `sh` holds commands, and one with a second word (` ```rust src/main.rs`) holds that file; all others are for
//! the eye. A comment before a block says how the test differs from what is printed:
//!
//! ```text
//! <!-- test: replace --epochs 30 => --epochs 1 -->   less work
//! <!-- test: needs python3 -c 'import torch' -->     without it the block is left out, loudly,
//! <!-- test: instead cp ../escarp/x.onnx . -->       and this is run in its place
//! ```

/// Something to do.
#[derive(Debug, PartialEq)]
pub struct Block {
    /// Of the page, from 1.
    pub line: usize,
    /// What `text` is.
    pub kind: Kind,
    /// The block's lines.
    pub text: String,
    /// A command that must succeed.
    pub needs: Option<String>,
    /// Commands in place of the block's where it does not.
    pub instead: Option<String>,
}

/// What a block is.
#[derive(Debug, PartialEq)]
pub enum Kind {
    /// Commands for a shell.
    Commands,
    /// The contents of a file.
    File(String),
}

/// The blocks in order; an error is a line and what is wrong with it.
pub fn blocks(page: &str) -> Result<Vec<Block>, (usize, String)> {
    let mut blocks = Vec::new();
    let mut replaced = Vec::new();
    // With their lines.
    let (mut needs, mut instead) = (None::<(usize, &str)>, None::<(usize, &str)>);
    let mut lines = (1..).zip(page.lines());
    while let Some((line, text)) = lines.next() {
        if text.starts_with("<!-- test") {
            let directive = text.strip_prefix("<!-- test: ").and_then(|t| t.strip_suffix(" -->"));
            match directive.and_then(|d| d.split_once(' ')) {
                Some(("replace", what)) => {
                    let pair = what.split_once(" => ").ok_or((line, "replace OLD => NEW".to_owned()))?;
                    replaced.push((line, pair));
                }
                Some(("needs", what)) => needs = Some((line, what)),
                Some(("instead", what)) => instead = Some((line, what)),
                _ => return Err((line, "a test may: replace OLD => NEW, needs COMMAND, instead COMMAND".into())),
            }
            continue;
        }
        let Some(info) = text.strip_prefix("```") else { continue };
        let mut inside = Vec::new();
        loop {
            match lines.next() {
                Some((_, "```")) => break,
                Some((_, text)) => inside.push(text),
                None => return Err((line, "this block does not end".into())),
            }
        }
        let kind = match info.split_once(' ') {
            Some((_, name)) => Kind::File(name.to_owned()),
            None if info == "sh" => Kind::Commands,
            None if ["bash", "console", "shell", "zsh"].contains(&info) => {
                return Err((line, "commands are marked `sh`".into()));
            }
            None => match replaced.first().map(|(line, _)| *line).or(needs.or(instead).map(|(line, _)| line)) {
                Some(line) => return Err((line, "the next block is for the eye".into())),
                None => continue,
            },
        };
        if let Some((line, _)) = instead.filter(|_| needs.is_none() || kind != Kind::Commands) {
            return Err((line, "`instead` goes with `needs`, before commands".into()));
        }
        let mut text = inside.join("\n") + "\n";
        for (line, (old, new)) in replaced.drain(..) {
            if !text.contains(old) {
                return Err((line, format!("the block does not contain `{old}`")));
            }
            text = text.replace(old, new);
        }
        blocks.push(Block {
            line,
            kind,
            text,
            needs: needs.take().map(|(_, what)| what.to_owned()),
            instead: instead.take().map(|(_, what)| what.to_owned()),
        });
    }
    match replaced.first().map(|(line, _)| *line).or(needs.or(instead).map(|(line, _)| line)) {
        Some(line) => Err((line, "no block follows".into())),
        None => Ok(blocks),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_done_is_found() {
        let page = "# Page\n```sh\na --epochs 30\nb\n```\n\n<!-- test: replace --epochs 30 => --epochs 1 -->\n\
                    <!-- test: needs x y -->\n<!-- test: instead z -->\n```sh\na --epochs 30\n```\n\
                    ```text\nc\n```\n```rust src/main.rs\nfn main() {}\n```\n";
        let block = |line, kind, text: &str| Block { line, kind, text: text.into(), needs: None, instead: None };
        let expected = [
            block(2, Kind::Commands, "a --epochs 30\nb\n"),
            Block {
                needs: Some("x y".into()),
                instead: Some("z".into()),
                ..block(10, Kind::Commands, "a --epochs 1\n")
            },
            block(16, Kind::File("src/main.rs".into()), "fn main() {}\n"),
        ];
        assert_eq!(blocks(page).unwrap(), expected);
    }

    #[test]
    fn mistakes_in_a_page_are_located() {
        for (page, line, reason) in [
            ("\n```sh\na\n", 2, "does not end"),
            ("<!-- test: replace b => c -->\n```sh\na\n```\n", 1, "does not contain `b`"),
            ("<!-- test: replace b => c -->\n", 1, "no block follows"),
            ("<!-- test: replace b with c -->\n", 1, "OLD => NEW"),
            ("<!-- test: skip it -->\n", 1, "needs COMMAND"),
            ("<!-- test:needs x -->\n```sh\na\n```\n", 1, "needs COMMAND"),
            ("<!-- test: needs x -->\n", 1, "no block follows"),
            ("<!-- test: needs x -->\n```text\na\n```\n", 1, "for the eye"),
            ("<!-- test: instead x -->\n```sh\na\n```\n", 1, "goes with `needs`"),
            ("```bash\na\n```\n", 1, "marked `sh`"),
        ] {
            let (at, said) = blocks(page).unwrap_err();
            assert!(at == line && said.contains(reason), "{page}: {at}: {said}");
        }
    }
}
