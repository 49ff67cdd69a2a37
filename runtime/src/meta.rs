//! Metadata: entries of tag, port, length and bytes. Tags from [`FOREIGN`] on are anybody's, and skipped; of the others, what
//! a reader does not know it refuses.

use crate::{
    bytes::{array_at, u32_at},
    error::MetaError,
    format::saturate,
    frontend::FrontEnd,
};

/// Bytes before an entry's content.
pub const ENTRY_HEADER: usize = 8;
/// Entries start at multiples of this, from the start of the section.
pub const ENTRY_ALIGN: usize = 8;
/// Tags from here on are not this format's: whoever writes one reads it.
pub const FOREIGN: u16 = 0x8000;

/// Where each number stands in an entry's header.
mod field {
    use crate::bytes::Slot;

    pub const TAG: Slot<u16> = Slot::at(0);
    pub const PORT: Slot<u16> = Slot::at(2);
    pub const LEN: Slot<u32> = Slot::at(4);
}

/// What an entry says. At most one entry of each, and for each output or input where it is about one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Tag {
    /// One name for each value of an output: each a u32 length and UTF-8, see [`emit_label`].
    Labels = 1,
    /// How raw data become an input, see [`FrontEnd`].
    FrontEnd = 2,
    /// The model's name, UTF-8.
    Name = 3,
    /// Where the model comes from, UTF-8.
    Provenance = 4,
    /// What the conversion cost, see [`Accuracy`].
    Accuracy = 5,
    /// Which columns of a CSV file are the channels of an input, coded as the labels are.
    Columns = 6,
}

/// The tags by their number, with what their entries are about.
const TAGS: [(Tag, About); 6] = [
    (Tag::Labels, About::Output),
    (Tag::FrontEnd, About::Input),
    (Tag::Name, About::Model),
    (Tag::Provenance, About::Model),
    (Tag::Accuracy, About::Model),
    (Tag::Columns, About::Input),
];

/// What an entry's port number counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Model,
    Input,
    Output,
}

/// Appends an entry to a metadata section that starts empty and is only written by this function; `port` is the number of the
/// input or output that it is about, 0 where it is about the model. No file holds 4 GiB: the reader refuses what a longer
/// entry gives.
pub fn emit_entry(section: &mut impl Extend<u8>, tag: Tag, port: u16, content: &[u8]) {
    let header = &mut [0; ENTRY_HEADER];
    field::TAG.write(header, tag as u16);
    field::PORT.write(header, port);
    field::LEN.write(header, saturate(content.len() as u64));
    section.extend(header.iter().copied());
    section.extend(content.iter().copied());
    section.extend(core::iter::repeat_n(0, content.len().next_multiple_of(ENTRY_ALIGN) - content.len()));
}

/// An entry as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) tag: u16,
    pub(crate) port: u16,
    pub(crate) content: &'a [u8],
}

/// The entries of a section with their places; ends after the first error.
pub(crate) struct Entries<'a> {
    section: &'a [u8],
    at: usize,
}

impl<'a> Entries<'a> {
    pub(crate) fn new(section: &'a [u8]) -> Entries<'a> {
        Entries { section, at: 0 }
    }

    /// Takes one entry off, with the zeros behind it.
    fn entry(rest: &'a [u8]) -> Result<(Entry<'a>, usize), MetaError> {
        let (header, rest) = rest.split_first_chunk::<ENTRY_HEADER>().ok_or(MetaError::Truncated)?;
        let len = field::LEN.read(header) as usize;
        let content = rest.get(..len).ok_or(MetaError::Truncated)?;
        // The last entry may end the section.
        let end = len.next_multiple_of(ENTRY_ALIGN).min(rest.len());
        if rest.get(len..end).unwrap_or_default().iter().any(|&byte| byte != 0) {
            return Err(MetaError::Length);
        }
        let (tag, port) = (field::TAG.read(header), field::PORT.read(header));
        Ok((Entry { tag, port, content }, ENTRY_HEADER + end))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = (usize, Result<Entry<'a>, MetaError>);

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let rest = self.section.get(at..).filter(|rest| !rest.is_empty())?;
        match Entries::entry(rest) {
            Ok((entry, len)) => {
                self.at = at + len;
                Some((at, Ok(entry)))
            }
            Err(error) => {
                self.at = self.section.len();
                Some((at, Err(error)))
            }
        }
    }
}

/// Finds an entry in a checked section.
pub(crate) fn find(section: &[u8], tag: Tag, port: u16) -> Option<&[u8]> {
    Entries::new(section)
        .find_map(|(_, entry)| entry.ok().filter(|e| e.tag == tag as u16 && e.port == port))
        .map(|entry| entry.content)
}

/// Checks the entries one after the other.
pub(crate) struct Seen {
    /// For each tag, a bit for each port.
    ports: [u32; TAGS.len()],
}

impl Seen {
    pub(crate) fn new() -> Seen {
        Seen { ports: [0; TAGS.len()] }
    }

    /// Checks one entry. `outputs` gives the number of values of each output.
    pub(crate) fn check(
        &mut self,
        entry: &Entry,
        inputs: u16,
        outputs: impl Fn(u16) -> Option<u64>,
    ) -> Result<(), MetaError> {
        let &Entry { tag, port, content } = entry;
        if tag >= FOREIGN {
            return Ok(());
        }
        let known = TAGS.iter().zip(&mut self.ports).find(|((known, _), _)| *known as u16 == tag);
        let Some(((known, about), seen)) = known else { return Err(MetaError::Tag { tag }) };
        let exists = match about {
            About::Model => port == 0,
            About::Input => port < inputs,
            About::Output => outputs(port).is_some(),
        };
        let bit = 1u32.checked_shl(port.into()).filter(|_| exists).ok_or(MetaError::Port { port })?;
        if *seen & bit != 0 {
            return Err(MetaError::Twice { tag });
        }
        *seen |= bit;
        match known {
            Tag::Name | Tag::Provenance => {
                core::str::from_utf8(content).map_err(|_| MetaError::Utf8)?;
            }
            Tag::Labels => {
                let found = Labels(content).counted()?;
                if found != 0 && Some(found) != outputs(port) {
                    return Err(MetaError::Labels { found: u16::try_from(found).unwrap_or(u16::MAX) });
                }
            }
            Tag::Columns => {
                Labels(content).counted()?;
            }
            Tag::FrontEnd => {
                FrontEnd::parse(content).map_err(|_| MetaError::FrontEnd)?;
            }
            Tag::Accuracy => {
                Accuracy::parse(content)?;
            }
        }
        Ok(())
    }
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

    /// How many there are, all of them sound.
    fn counted(mut self) -> Result<u64, MetaError> {
        let mut count = 0;
        while !self.0.is_empty() {
            self.split_first()?;
            count += 1;
        }
        Ok(count)
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

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn entries_round_trip() {
        let mut section = Vec::new();
        emit_entry(&mut section, Tag::Name, 0, b"kws");
        emit_entry(&mut section, Tag::FrontEnd, 1, &[]);
        emit_entry(&mut section, Tag::Provenance, 0, &[b'x'; 8]);
        assert_eq!(section.len(), 16 + 8 + 16);
        assert_eq!(section[..16], [3, 0, 0, 0, 3, 0, 0, 0, b'k', b'w', b's', 0, 0, 0, 0, 0]);
        assert_eq!(find(&section, Tag::Name, 0), Some(&b"kws"[..]));
        assert_eq!(find(&section, Tag::FrontEnd, 1), Some(&[][..]));
        assert_eq!(find(&section, Tag::FrontEnd, 0), None);
        assert_eq!(find(&section, Tag::Provenance, 0), Some(&[b'x'; 8][..]));
        assert_eq!(find(&section, Tag::Labels, 0), None);
        assert!(Entries::new(&section[..30]).any(|(at, entry)| at == 24 && entry == Err(MetaError::Truncated)));
        section[13] = 1;
        assert!(Entries::new(&section).any(|(at, entry)| at == 0 && entry == Err(MetaError::Length)));
    }

    /// One entry in a model of two inputs and outputs of 3 and 4 values.
    fn check(tag: u16, port: u16, content: &[u8]) -> Result<(), MetaError> {
        Seen::new().check(&Entry { tag, port, content }, 2, |i| [3, 4].get(i as usize).copied())
    }

    #[test]
    fn labels_round_trip_and_errors() {
        let mut content = Vec::new();
        for label in ["cat", "", "Grüße"] {
            emit_label(&mut content, label);
        }
        assert!(Labels(&content).eq(["cat", "", "Grüße"]));
        let tag = Tag::Labels as u16;
        assert_eq!(check(tag, 0, &content), Ok(()));
        assert_eq!(check(tag, 1, &content), Err(MetaError::Labels { found: 3 }));
        assert_eq!(check(tag, 2, &content), Err(MetaError::Port { port: 2 }));
        assert_eq!(check(tag, 0, &content[..content.len() - 1]), Err(MetaError::Truncated));
        assert_eq!(check(tag, 0, &[1, 0, 0, 0, 0xff]), Err(MetaError::Utf8));
        assert_eq!(check(tag, 1, &[]), Ok(()), "no labels at all");
        assert_eq!(check(Tag::Columns as u16, 1, &content), Ok(()), "columns are not outputs");
        assert_eq!(check(Tag::Columns as u16, 0, &content[..5]), Err(MetaError::Truncated));
    }

    #[test]
    fn unknown_tags_are_refused_and_foreign_ones_skipped() {
        for tag in 0..=u16::MAX {
            let known = (Tag::Labels as u16..=Tag::Columns as u16).contains(&tag);
            let found = check(tag, 40_000, &[0xff]);
            assert_eq!(found.is_ok(), tag >= FOREIGN, "{tag}");
            assert_eq!(found == Err(MetaError::Tag { tag }), !known && tag < FOREIGN, "{tag}");
        }
        let entry = |port| Entry { tag: Tag::Columns as u16, port, content: &[] };
        let mut seen = Seen::new();
        assert_eq!(seen.check(&entry(0), 2, |_| None), Ok(()));
        assert_eq!(seen.check(&entry(1), 2, |_| None), Ok(()));
        assert_eq!(seen.check(&entry(1), 2, |_| None), Err(MetaError::Twice { tag: 6 }));
    }

    #[test]
    fn accuracy_round_trip_and_errors() {
        let accuracy = Accuracy { total: 5000, float_correct: 3822, int8_correct: 3810, agree: 4814 };
        assert_eq!(Accuracy::parse(&accuracy.emit()), Ok(accuracy));
        assert_eq!(accuracy.emit()[..4], 5000u32.to_le_bytes());
        assert_eq!(Accuracy::parse(&[0; 15]), Err(MetaError::Length));
        assert_eq!(check(Tag::FrontEnd as u16, 1, &[0; 4]), Ok(()));
        assert_eq!(check(Tag::FrontEnd as u16, 0, &[9; 4]), Err(MetaError::FrontEnd));
        assert_eq!(check(Tag::Name as u16, 0, &[0xc0]), Err(MetaError::Utf8));
        assert_eq!(check(Tag::Name as u16, 1, &[]), Err(MetaError::Port { port: 1 }));
    }
}
