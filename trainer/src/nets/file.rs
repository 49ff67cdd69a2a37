//! Nets as TOML files: what presets are, and what users write for their own stacks (`trainer/nets.md`).

use serde::{Deserialize, de::IgnoredAny};
use toml::{
    Spanned,
    de::{DeTable, DeValue, Deserializer, ValueDeserializer},
};

use super::{Arch, LayerSpec, Shape};

/// A net as its file says it.
#[derive(Clone, Debug, PartialEq)]
pub struct NetFile {
    /// What it is for.
    pub about: String,
    /// What it was drawn for; the data decide what it gets.
    pub input: Option<Shape>,
    /// The same of the classes.
    pub classes: Option<usize>,
    /// From the input up.
    pub layers: Vec<LayerSpec>,
}

/// A file that is no net.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}: {reason}")]
pub struct NetFileError {
    /// Its path, or a preset's name.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong and what is allowed.
    pub reason: String,
}

/// The keys above the layers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    #[serde(default)]
    about: String,
    input: Option<Shape>,
    classes: Option<usize>,
    /// Read one by one, so that an error knows its kind; here for the list of allowed keys.
    #[serde(rename = "layer")]
    _layer: IgnoredAny,
}

/// Who writes one wants probabilities, and has them.
const SOFTMAX: &str = " (the loss, and whoever runs the net, put one on what the last layer gives: leave it out)";

impl NetFile {
    /// The net for what it was drawn for, if its file says that.
    pub fn arch(&self) -> Option<Arch> {
        Some(Arch { input: self.input?, classes: self.classes?, layers: self.layers.clone() })
    }

    /// Reads the text of the file named `file`.
    ///
    /// # Errors
    /// [`NetFileError`] with the line of the first thing that is wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self, NetFileError> {
        let error = |at: usize, reason: String| {
            let line = 1 + text.as_bytes()[..at.min(text.len())].iter().filter(|&&b| b == b'\n').count();
            NetFileError { file: file.to_owned(), line, reason }
        };
        // Serde does not place what is missing: that is the table's fault.
        let at = |place: usize, e: &toml::de::Error| {
            let hint = if e.message().starts_with("unknown variant `softmax`") { SOFTMAX } else { "" };
            error(e.span().map_or(place, |s| s.start), format!("{}{hint}", e.message()))
        };
        let root = DeTable::parse(text).map_err(|e| at(0, &e))?;
        let head = Head::deserialize(Deserializer::from(root.clone())).map_err(|e| at(0, &e))?;
        let layers = root.get_ref().get("layer").expect("the head has it");
        let DeValue::Array(tables) = layers.get_ref() else {
            return Err(error(layers.span().start, "`layer` is a list of tables: write [[layer]]".into()));
        };
        let read = |value: &Spanned<DeValue<'_>>| {
            let start = value.span().start;
            let DeValue::Table(table) = value.get_ref() else {
                return Err(error(start, "`layer` is a list of tables: write [[layer]]".into()));
            };
            let mut table = table.clone();
            let kinds = || LayerSpec::KINDS.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(", ");
            let Some(kind) = table.remove("kind") else {
                return Err(error(start, format!("a layer without `kind`; allowed: {}", kinds())));
            };
            let word = kind.get_ref().as_str().unwrap_or_default();
            let keys = ValueDeserializer::from(Spanned::new(value.span(), DeValue::Table(table)));
            match LayerSpec::read(word, keys) {
                Some(layer) => layer.map_err(|e| at(start, &e)),
                None => {
                    let hint = if word == "softmax" { SOFTMAX } else { "" };
                    Err(error(kind.span().start, format!("no kind of layer `{word}`{hint}; allowed: {}", kinds())))
                }
            }
        };
        let layers = tables.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { about: head.about, input: head.input, classes: head.classes, layers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> NetFileError {
        NetFile::parse("my.toml", text).expect_err("refused")
    }

    #[test]
    fn layers_come_in_the_file_s_order_with_defaults() {
        let text = "[[layer]]\nkind = \"gru\"\nhidden = 4\n\n[[layer]]\nkind = \"dense\"\nname = \"head\"\n";
        let net = NetFile::parse("my.toml", text).expect("sound");
        assert_eq!((net.input, net.classes, net.layers.len()), (None, None, 2));
        assert_eq!((net.layers[0].kind(), net.layers[0].name()), ("gru", None));
        assert_eq!((net.layers[1].kind(), net.layers[1].name()), ("dense", Some("head")));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_what_is_allowed() {
        let gru = "[[layer]]\nkind = \"gru\"\n";
        for (text, line, says) in [
            (format!("{gru}hidden = 4\nhiden = 5\n"), 4, &["hiden", "`hidden`", "`every_step`"][..]),
            (format!("{gru}hidden = 4\n\n[[layer]]\nkind = \"danse\"\n"), 6, &["`danse`", "`dense`", "`gru`"]),
            (format!("{gru}hidden = \"4\"\n"), 3, &["string \"4\"", "usize"]),
            (format!("{gru}hidden = -4\n"), 3, &["-4", "usize"]),
            (gru.to_owned(), 1, &["missing field `hidden`"]),
            (format!("# mine\n{gru}hidden = 4\n[[layer]]\nhidden = 3\n"), 5, &["without `kind`", "`gru`"]),
            ("input = { maps = [1, 1, 1] }\n[[layer]]\nkind = \"dense\"\n".to_owned(), 1, &["maps", "`map`"]),
            ("abuot = \"x\"\n[[layer]]\nkind = \"dense\"\n".to_owned(), 1, &["abuot", "`about`", "`layer`"]),
            ("about = \"nothing\"\n".to_owned(), 1, &["missing field `layer`"]),
            ("\n[layer]\nkind = \"dense\"\n".to_owned(), 2, &["[[layer]]"]),
            (format!("{gru}hidden = 4\ngate_bias = \"one\"\n"), 4, &["string \"one\"", "{ kind = \"one\" }"]),
            (format!("{gru}hidden = \n"), 3, &[]),
            ("[[layer]]\nkind = \"dense\"\nactivation = \"relo\"\n".to_owned(), 3, &["`relo`", "`hard-swish`"]),
            ("[[layer]]\nkind = \"dense\"\nactivation = \"softmax\"\n".to_owned(), 3, &["`softmax`", "leave it out"]),
            ("[[layer]]\nkind = \"softmax\"\n".to_owned(), 2, &["`softmax`", "leave it out", "`dense`"]),
        ] {
            let error = refused(&text);
            assert_eq!((error.file.as_str(), error.line), ("my.toml", line), "{text}{error}");
            assert!(error.to_string().starts_with(&format!("my.toml, line {line}: ")), "{error}");
            says.iter().for_each(|word| assert!(error.reason.contains(word), "`{word}` in: {error}"));
        }
    }
}
