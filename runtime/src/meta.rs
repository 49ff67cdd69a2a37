//! Metadata: entries of tag, length and bytes; a reader skips tags it does not know.

use crate::bytes::{array_at, u8_at, u16_at, u32_at};
use crate::error::MetaError;
use crate::format::saturate;
use crate::frontend::FrontEnd;

/// Bytes before an entry's content: tag (u16), zero (u16), length of the content (u32).
pub const ENTRY_HEADER: usize = 8;
/// Entries start at multiples of this, from the start of the section.
pub const ENTRY_ALIGN: usize = 8;

/// What an entry says. At most one entry of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Tag {
    /// One name for each output: each a u32 length and UTF-8, see [`emit_label`].
    Labels = 1,
    /// How raw data become the network's input, see [`FrontEnd`].
    FrontEnd = 2,
    /// The model's name, UTF-8.
    Name = 3,
    /// Where the model comes from, UTF-8.
    Provenance = 4,
    /// What the conversion cost, see [`Accuracy`].
    Accuracy = 5,
    /// What the outputs are, see [`OutputKind`].
    OutputKind = 6,
    /// Which columns of a CSV file are a sensor's channels, coded as the labels are.
    Columns = 7,
}

/// Appends an entry to a metadata section that starts empty and is only written by this function. No file holds 4 GiB: the
/// reader refuses what a longer entry gives.
pub fn emit_entry(section: &mut impl Extend<u8>, tag: Tag, content: &[u8]) {
    section.extend((tag as u16).to_le_bytes());
    section.extend([0; 2]);
    section.extend(saturate(content.len() as u64).to_le_bytes());
    section.extend(content.iter().copied());
    section.extend(core::iter::repeat_n(0, content.len().next_multiple_of(ENTRY_ALIGN) - content.len()));
}

/// The entries of a section as (place, tag, content); ends after the first error.
pub(crate) struct Entries<'a> {
    section: &'a [u8],
    at: usize,
}

impl<'a> Entries<'a> {
    pub(crate) fn new(section: &'a [u8]) -> Entries<'a> {
        Entries { section, at: 0 }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = (usize, Result<(u16, &'a [u8]), MetaError>);

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let rest = self.section.get(at..).filter(|rest| !rest.is_empty())?;
        let content = rest.get(ENTRY_HEADER..).and_then(|content| content.get(..u32_at(rest, 4) as usize));
        let Some(content) = content else {
            self.at = self.section.len();
            return Some((at, Err(MetaError::Truncated)));
        };
        self.at = at + ENTRY_HEADER + content.len().next_multiple_of(ENTRY_ALIGN);
        Some((at, Ok((u16_at(rest, 0), content))))
    }
}

/// Finds an entry in a checked section.
pub(crate) fn find(section: &[u8], tag: Tag) -> Option<&[u8]> {
    Entries::new(section)
        .find_map(|(_, entry)| entry.ok().filter(|(t, _)| *t == tag as u16))
        .map(|(_, content)| content)
}

/// Checks one entry's content; `outputs` is the number of the model's outputs.
pub(crate) fn check(tag: u16, content: &[u8], outputs: u64) -> Result<(), MetaError> {
    const TEXTS: [u16; 2] = [Tag::Name as u16, Tag::Provenance as u16];
    if TEXTS.contains(&tag) {
        core::str::from_utf8(content).map_err(|_| MetaError::Utf8)?;
    } else if tag == Tag::Labels as u16 {
        let mut labels = Labels(content);
        while !labels.0.is_empty() {
            labels.split_first()?;
        }
        let found = Labels(content).count() as u64;
        if found != 0 && found != outputs {
            return Err(MetaError::Labels { found: u16::try_from(found).unwrap_or(u16::MAX) });
        }
    } else if tag == Tag::Columns as u16 {
        let mut names = Labels(content);
        while !names.0.is_empty() {
            names.split_first()?;
        }
    } else if tag == Tag::FrontEnd as u16 {
        FrontEnd::parse(content).map_err(|_| MetaError::FrontEnd)?;
    } else if tag == Tag::Accuracy as u16 {
        Accuracy::parse(content)?;
    } else if tag == Tag::OutputKind as u16 {
        OutputKind::parse(content)?;
    }
    Ok(())
}

/// Names, of outputs or of columns, in order.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a>(pub(crate) &'a [u8]);

impl<'a> Labels<'a> {
    /// Takes one label off; on an error nothing is left.
    fn split_first(&mut self) -> Result<&'a str, MetaError> {
        let bytes = core::mem::take(&mut self.0);
        let (text, rest) = bytes
            .split_at_checked(4)
            .and_then(|(len, rest)| rest.split_at_checked(u32_at(len, 0) as usize))
            .ok_or(MetaError::Truncated)?;
        self.0 = rest;
        core::str::from_utf8(text).map_err(|_| MetaError::Utf8)
    }
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.0.is_empty() { None } else { self.split_first().ok() }
    }
}

/// Appends a label to the content of a [`Tag::Labels`] entry.
pub fn emit_label(content: &mut impl Extend<u8>, label: &str) {
    content.extend(saturate(label.len() as u64).to_le_bytes());
    content.extend(label.bytes());
}

/// What the conversion to int8 cost, as the converter measured it with this runtime on labelled samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accuracy {
    /// Samples.
    pub total: u32,
    /// Samples that the float model got right.
    pub float_correct: u32,
    /// Samples that this model got right.
    pub int8_correct: u32,
    /// Samples on which both say the same.
    pub agree: u32,
}

impl Accuracy {
    /// Reads an entry's content.
    ///
    /// # Errors
    /// [`MetaError::Length`].
    pub fn parse(content: &[u8]) -> Result<Accuracy, MetaError> {
        if content.len() != 16 {
            return Err(MetaError::Length);
        }
        let [total, float_correct, int8_correct, agree] = [0, 4, 8, 12].map(|at| u32_at(content, at));
        Ok(Accuracy { total, float_correct, int8_correct, agree })
    }

    /// The entry's content.
    pub fn emit(&self) -> [u8; 16] {
        let words = [self.total, self.float_correct, self.int8_correct, self.agree].map(u32::to_le_bytes);
        array_at(words.as_flattened(), 0)
    }
}

/// What the outputs are. A softmax or sigmoid at the end is not run on the board: it does not change which output is largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum OutputKind {
    /// Values as the float model gives them.
    #[default]
    Plain = 0,
    /// Logits whose softmax was taken off.
    Softmax = 1,
    /// Logits whose sigmoid was taken off.
    Sigmoid = 2,
}

impl OutputKind {
    /// Reads an entry's content.
    ///
    /// # Errors
    /// [`MetaError::Length`], [`MetaError::Code`].
    pub fn parse(content: &[u8]) -> Result<OutputKind, MetaError> {
        if content.len() != 1 {
            return Err(MetaError::Length);
        }
        match u8_at(content, 0) {
            0 => Ok(OutputKind::Plain),
            1 => Ok(OutputKind::Softmax),
            2 => Ok(OutputKind::Sigmoid),
            found => Err(MetaError::Code { found }),
        }
    }

    /// The entry's content.
    pub fn emit(self) -> [u8; 1] {
        [self as u8]
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn entries_round_trip() {
        let mut section = Vec::new();
        emit_entry(&mut section, Tag::Name, b"kws");
        emit_entry(&mut section, Tag::FrontEnd, &[]);
        emit_entry(&mut section, Tag::Provenance, &[b'x'; 8]);
        assert_eq!(section.len(), 16 + 8 + 16);
        assert_eq!(section[..16], [3, 0, 0, 0, 3, 0, 0, 0, b'k', b'w', b's', 0, 0, 0, 0, 0]);
        assert_eq!(find(&section, Tag::Name), Some(&b"kws"[..]));
        assert_eq!(find(&section, Tag::FrontEnd), Some(&[][..]));
        assert_eq!(find(&section, Tag::Provenance), Some(&[b'x'; 8][..]));
        assert_eq!(find(&section, Tag::Labels), None);
        assert!(Entries::new(&section[..30]).any(|(at, entry)| at == 24 && entry == Err(MetaError::Truncated)));
    }

    #[test]
    fn labels_round_trip_and_errors() {
        let mut content = Vec::new();
        for label in ["cat", "", "Grüße"] {
            emit_label(&mut content, label);
        }
        assert!(Labels(&content).eq(["cat", "", "Grüße"]));
        let tag = Tag::Labels as u16;
        assert_eq!(check(tag, &content, 3), Ok(()));
        assert_eq!(check(tag, &content, 4), Err(MetaError::Labels { found: 3 }));
        assert_eq!(check(tag, &content[..content.len() - 1], 3), Err(MetaError::Truncated));
        assert_eq!(check(tag, &[1, 0, 0, 0, 0xff], 1), Err(MetaError::Utf8));
        assert_eq!(check(tag, &[], 4), Ok(()), "no labels at all");
        assert_eq!(check(Tag::Columns as u16, &content, 4), Ok(()), "columns are not outputs");
        assert_eq!(check(Tag::Columns as u16, &content[..5], 4), Err(MetaError::Truncated));
    }

    #[test]
    fn accuracy_and_kind_round_trip_and_errors() {
        let accuracy = Accuracy { total: 5000, float_correct: 3822, int8_correct: 3810, agree: 4814 };
        assert_eq!(Accuracy::parse(&accuracy.emit()), Ok(accuracy));
        assert_eq!(accuracy.emit()[..4], 5000u32.to_le_bytes());
        assert_eq!(Accuracy::parse(&[0; 15]), Err(MetaError::Length));
        for kind in [OutputKind::Plain, OutputKind::Softmax, OutputKind::Sigmoid] {
            assert_eq!(OutputKind::parse(&kind.emit()), Ok(kind));
        }
        assert_eq!(OutputKind::parse(&[3]), Err(MetaError::Code { found: 3 }));
        assert_eq!(check(Tag::FrontEnd as u16, &[0; 4], 1), Ok(()));
        assert_eq!(check(Tag::FrontEnd as u16, &[9; 4], 1), Err(MetaError::FrontEnd));
        assert_eq!(check(Tag::Name as u16, &[0xc0], 1), Err(MetaError::Utf8));
    }
}
