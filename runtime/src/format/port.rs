//! A port's record: an input or an output of the model, by its name.

use super::PORT;
use crate::{bytes::unknown, error::PortError, id::TensorId};

/// Where each number stands; `format.md` explains them.
mod field {
    use crate::bytes::Slot;

    pub const TENSOR: Slot<u16> = Slot::at(0);
    pub const MEANING: Slot<u16> = Slot::at(2);
    pub const NAME: Slot<u32> = Slot::at(4);
    pub const NAME_LEN: Slot<u16> = Slot::at(8);
}

/// What the values of a port are. A softmax or sigmoid at the end of a network is not run on the board: it does not change
/// which score is largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Meaning {
    /// Values as the float model gives or takes them.
    #[default]
    Plain,
    /// Logits whose softmax was taken off.
    Softmax,
    /// Logits whose sigmoid was taken off.
    Sigmoid,
    /// Probabilities: from 0 to 1.
    Probabilities,
    /// What the network remembers: of use to nobody but the network itself.
    State,
}

/// By their code.
const MEANINGS: [Meaning; 5] =
    [Meaning::Plain, Meaning::Softmax, Meaning::Sigmoid, Meaning::Probabilities, Meaning::State];

impl Meaning {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Meaning::Plain => "plain",
            Meaning::Softmax => "softmax",
            Meaning::Sigmoid => "sigmoid",
            Meaning::Probabilities => "probabilities",
            Meaning::State => "state",
        }
    }
}

/// An input or an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRecord {
    /// The tensor that takes or holds the values; its scale and zero point are the port's own.
    pub tensor: TensorId,
    /// What the values are.
    pub meaning: Meaning,
    /// Where the name starts, from the start of the names.
    pub name: u32,
    /// Bytes of the name, UTF-8.
    pub name_len: u16,
}

impl PortRecord {
    /// Reads a record and checks what it says by itself.
    ///
    /// # Errors
    /// [`PortError::Meaning`], [`PortError::Reserved`].
    pub fn parse(record: &[u8; PORT]) -> Result<PortRecord, PortError> {
        let found = field::MEANING.read(record);
        if MEANINGS.get(found as usize).is_none() {
            return Err(PortError::Meaning { found });
        }
        let port = PortRecord::read(record);
        unknown(record, &port.emit()).map_or(Ok(port), |at| Err(PortError::Reserved { at }))
    }

    /// Reads a record that [`PortRecord::parse`] has looked at.
    pub(crate) fn read(record: &[u8; PORT]) -> PortRecord {
        PortRecord {
            tensor: field::TENSOR.read(record),
            meaning: MEANINGS.get(field::MEANING.read(record) as usize).copied().unwrap_or_default(),
            name: field::NAME.read(record),
            name_len: field::NAME_LEN.read(record),
        }
    }

    /// The name, if it lies within the section of names and is UTF-8.
    pub(crate) fn name_in<'a>(&self, names: &'a [u8]) -> Option<&'a str> {
        core::str::from_utf8(self.name_bytes(names)?).ok()
    }

    /// Its bytes, which tell names apart as well.
    pub(crate) fn name_bytes<'a>(&self, names: &'a [u8]) -> Option<&'a [u8]> {
        names.get(self.name as usize..)?.get(..self.name_len as usize)
    }

    /// The record's bytes; reserved ones are zero.
    pub fn emit(&self) -> [u8; PORT] {
        let record = &mut [0; PORT];
        field::TENSOR.write(record, self.tensor);
        field::MEANING.write(record, self.meaning as u16);
        field::NAME.write(record, self.name);
        field::NAME_LEN.write(record, self.name_len);
        *record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: PortRecord =
        PortRecord { tensor: 0x0102, meaning: Meaning::Sigmoid, name: 0x0304_0506, name_len: 0x0708 };

    #[test]
    fn port_round_trip() {
        for meaning in MEANINGS {
            let port = PortRecord { meaning, ..SAMPLE };
            assert_eq!(PortRecord::parse(&port.emit()), Ok(port));
            assert_eq!(MEANINGS[meaning as usize], meaning, "{} has its code", meaning.name());
        }
        assert_eq!(SAMPLE.emit()[..10], [2, 1, 2, 0, 6, 5, 4, 3, 8, 7]);
    }

    #[test]
    fn port_errors() {
        let mut bytes = SAMPLE.emit();
        bytes[2] = 5;
        assert_eq!(PortRecord::parse(&bytes), Err(PortError::Meaning { found: 5 }));
        for at in 10..PORT {
            let mut bytes = SAMPLE.emit();
            bytes[at] = 1;
            assert_eq!(PortRecord::parse(&bytes), Err(PortError::Reserved { at: at as u8 }));
        }
    }
}
