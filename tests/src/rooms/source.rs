//! What one file says of modules: which it declares, what it defines, what it imports.

use super::tokens::{Token, tokens};

/// A path that stands in a file: in a `use`, or where something is named by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The modules inside the file in which it stands, from the outermost.
    pub within: Vec<String>,
    /// From the first word on; a `use` of all that is in a module ends in `*`.
    pub path: Vec<String>,
    /// What a `use` calls it here.
    pub name: Option<String>,
    /// Counted from 1.
    pub line: usize,
}

/// A file without what is compiled for tests alone.
#[derive(Debug, Default)]
pub struct Source {
    /// Modules with files of their own, each below the modules of this file in which it is declared.
    pub files: Vec<Vec<String>>,
    /// The same for those that only tests have.
    pub test_files: Vec<Vec<String>>,
    /// Modules whose content stands in this file, or is taken from outside the crate (`#[path]`).
    pub inner: Vec<Vec<String>>,
    /// Names of what is defined, with the modules of this file in which it is.
    pub defined: Vec<(Vec<String>, String)>,
    /// All paths.
    pub imports: Vec<Import>,
}

/// What a name stands behind that is defined.
const DEFINING: [&str; 9] = ["fn", "struct", "enum", "trait", "type", "const", "static", "union", "macro_rules"];

impl Source {
    /// Reads a file.
    pub fn of(text: &str) -> Self {
        let mut reader = Reader {
            tokens: &tokens(text),
            at: 0,
            depth: 0,
            modules: Vec::new(),
            outside: false,
            source: Self::default(),
        };
        while reader.at < reader.tokens.len() {
            reader.one();
        }
        reader.source
    }
}

struct Reader<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    /// Braces that are open.
    depth: usize,
    /// Modules that are open, each with the braces that were before.
    modules: Vec<(String, usize)>,
    /// Whether the next module is taken from outside the crate.
    outside: bool,
    source: Source,
}

impl<'a> Reader<'a> {
    fn text(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| token.text)
    }

    fn within(&self) -> Vec<String> {
        self.modules.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Reads what begins here and goes behind it.
    fn one(&mut self) {
        let (here, next) = (self.text(self.at), self.text(self.at + 1));
        match here {
            "#" if next == "[" => return self.attribute(),
            "use" if next != "<" => return self.uses(),
            "mod" if self.text(self.at + 2) == ";" => {
                let name = [self.within(), vec![next.to_owned()]].concat();
                let outside = std::mem::take(&mut self.outside);
                if outside { &mut self.source.inner } else { &mut self.source.files }.push(name);
            }
            "mod" if self.text(self.at + 2) == "{" => {
                self.modules.push((next.to_owned(), self.depth));
                self.source.inner.push(self.within());
            }
            "{" => self.depth += 1,
            "}" => {
                self.depth = self.depth.saturating_sub(1);
                self.modules.pop_if(|(_, before)| *before == self.depth);
            }
            _ if next == "::" && self.tokens[self.at].is_word() => return self.path(),
            _ => {}
        }
        // Not what a function or an implementation has of its own.
        if DEFINING.contains(&here) && self.depth == self.modules.len() {
            let name = if next == "!" { self.text(self.at + 2) } else { next };
            self.source.defined.push((self.within(), name.to_owned()));
        }
        self.at += 1;
    }

    /// An attribute; with it what it says is for tests.
    fn attribute(&mut self) {
        let begin = self.at;
        self.group(self.at + 1);
        let inside: Vec<&str> = self.tokens[begin + 2..self.at].iter().map(|token| token.text).collect();
        if !inside.starts_with(&["cfg", "(", "test", ")"]) && !inside.starts_with(&["cfg", "(", "all", "(", "test"]) {
            self.outside |= inside.starts_with(&["path", "="]);
            self.at = begin + 2;
            return;
        }
        while self.text(self.at) == "#" {
            self.group(self.at + 1);
        }
        // To the end of the item: a semicolon, or a body, but not the braces of a `use`.
        let mut tree = self.at + usize::from(self.text(self.at) == "pub");
        if tree > self.at && self.text(tree) == "(" {
            let item = self.at;
            self.group(tree);
            tree = std::mem::replace(&mut self.at, item);
        }
        let tree = self.text(tree) == "use";
        while self.at < self.tokens.len() {
            match self.text(self.at) {
                "mod" if self.text(self.at + 2) == ";" => {
                    let name = [self.within(), vec![self.text(self.at + 1).to_owned()]].concat();
                    self.source.test_files.push(name);
                    self.at += 1;
                }
                ";" => return self.at += 1,
                "{" if !tree => return self.group(self.at),
                "{" | "(" | "[" => self.group(self.at),
                _ => self.at += 1,
            }
        }
    }

    /// Goes behind the brackets that open at `from`.
    fn group(&mut self, from: usize) {
        let mut open = 0_usize;
        for at in from..self.tokens.len() {
            match self.text(at) {
                "{" | "(" | "[" => open += 1,
                "}" | ")" | "]" => open = open.saturating_sub(1),
                _ => {}
            }
            if open == 0 {
                return self.at = at + 1;
            }
        }
        self.at = self.tokens.len();
    }

    /// A `use`: every leaf of its tree.
    fn uses(&mut self) {
        self.at += 1;
        self.tree(&mut Vec::new());
    }

    fn tree(&mut self, prefix: &mut Vec<String>) {
        let (before, mut name) = (prefix.len(), None);
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        while self.at < self.tokens.len() {
            let here = self.text(self.at);
            match here {
                "::" => {}
                "as" => {
                    name = Some(self.text(self.at + 1).to_owned());
                    self.at += 1;
                }
                "{" => {
                    self.at += 1;
                    while self.at < self.tokens.len() && self.text(self.at) != "}" {
                        self.tree(prefix);
                        self.at += usize::from(self.text(self.at) == ",");
                    }
                    self.at += 1;
                    return prefix.truncate(before);
                }
                "," | "}" | ";" => break,
                _ => prefix.push(here.to_owned()),
            }
            self.at += 1;
        }
        if prefix.len() > before {
            let mut path = prefix.clone();
            // `a::{self}` is `a`.
            if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                path.pop();
            }
            let name = name.or_else(|| path.last().cloned());
            self.source.imports.push(Import { within: self.within(), path, name, line });
        }
        prefix.truncate(before);
    }

    /// A path where something is named by it.
    fn path(&mut self) {
        let line = self.tokens[self.at].line;
        let begins = self.at == 0 || !matches!(self.text(self.at - 1), "::" | ".");
        let mut path = vec![self.text(self.at).to_owned()];
        while self.text(self.at + 1) == "::" && self.tokens.get(self.at + 2).is_some_and(Token::is_word) {
            path.push(self.text(self.at + 2).to_owned());
            self.at += 2;
        }
        self.at += 1;
        if begins && path.len() > 1 {
            self.source.imports.push(Import { within: self.within(), path, name: None, line });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    fn paths(text: &str) -> Vec<String> {
        Source::of(text).imports.iter().map(|import| import.path.join("::")).collect()
    }

    #[test]
    fn every_leaf_of_a_use_is_an_import() {
        let text = "use crate::{\n a::{self, B as C},\n d::*, // e\n};\npub(crate) use x::y; fn f() { use super::z; }";
        assert_eq!(paths(text), ["crate::a", "crate::a::B", "crate::d::*", "x::y", "super::z"]);
        let source = Source::of(text);
        let names: Vec<_> = source.imports.iter().map(|i| (i.name.as_deref().unwrap(), i.line)).collect();
        assert_eq!(names, [("a", 2), ("C", 2), ("*", 3), ("y", 5), ("z", 5)]);
    }

    #[test]
    fn paths_in_code_and_in_macros_are_imports_too() {
        let text = r#"fn f() -> crate::a::B<u8> { assert!(x.iter::<u8>(), "{}", super::c::<D>(e::f)) }"#;
        assert_eq!(paths(text), ["crate::a::B", "super::c", "e::f"]);
    }

    #[test]
    fn what_only_tests_have_is_left_out() {
        let text = "#[cfg(test)] use crate::{a, b};\n#[cfg(test)]\n#[allow(x)]\nmod tests { use crate::c; }\n#[cfg(test)] mod t;\nmod u;
            #[cfg(all(test, x))] fn f(a: [u8; 3]) -> crate::d::E { crate::g::h() }\nuse crate::i;";
        let source = Source::of(text);
        assert_eq!(paths(text), ["crate::i"]);
        assert_eq!((source.files, source.test_files), (vec![vec!["u".to_owned()]], vec![vec!["t".to_owned()]]));
    }

    #[test]
    fn modules_inside_a_file_are_told_apart() {
        let source = Source::of("mod a { mod b { use super::X; } mod c; fn d() {} } use self::a::d;");
        let within: Vec<_> = source.imports.iter().map(|i| i.within.join("::")).collect();
        assert_eq!(within, ["a::b", ""]);
        assert_eq!(source.files, [["a", "c"]]);
        assert_eq!(source.defined, [(vec!["a".to_owned()], "d".to_owned())]);
    }

    #[test]
    fn a_module_from_elsewhere_has_no_file_here() {
        let source = Source::of("#[allow(x)] #[path = \"../y.rs\"]\n#[allow(z)] pub mod a; mod b;");
        assert_eq!((source.inner, source.files), (vec![vec!["a".to_owned()]], vec![vec!["b".to_owned()]]));
    }
}
