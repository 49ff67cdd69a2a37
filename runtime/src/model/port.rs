//! The inputs and outputs of a model.

use core::{fmt, ops::Range};

use crate::{
    error::Field,
    format::{Meaning, PORT, PortRecord, Sections, TENSOR, Tensor},
    id::TensorId,
};

/// An input or an output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Port<'a> {
    /// Its name, from the network it was converted from.
    pub name: &'a str,
    /// What its values are.
    pub meaning: Meaning,
    /// The number of its tensor.
    pub id: TensorId,
    /// Shape, element type, scale and zero point.
    pub tensor: Tensor,
}

/// All inputs or all outputs, in order. As text: their names.
#[derive(Clone, Debug)]
pub struct Ports<'a> {
    tensors: &'a [[u8; TENSOR]],
    names: &'a [u8],
    records: &'a [[u8; PORT]],
    /// For messages.
    pub(crate) field: Field,
    /// What is left of it.
    range: Range<usize>,
}

impl<'a> Ports<'a> {
    pub(super) const fn inputs(&Sections { tensors, names, inputs: records, .. }: &Sections<'a>) -> Ports<'a> {
        Ports { tensors, names, records, field: Field::Input, range: 0..records.len() }
    }

    pub(super) const fn outputs(&Sections { tensors, names, outputs: records, .. }: &Sections<'a>) -> Ports<'a> {
        Ports { tensors, names, records, field: Field::Output, range: 0..records.len() }
    }

    /// The number of the one of that name.
    pub fn number_of(&self, name: &str) -> Option<usize> {
        let is = |record| PortRecord::read(record).name_bytes(self.names) == Some(name.as_bytes());
        self.records.iter().position(is)
    }

    /// The tensor of the one of that number.
    pub(crate) fn tensor(&self, index: usize) -> Option<Tensor> {
        let port = PortRecord::read(self.records.get(index)?);
        self.tensors.get(port.tensor as usize).map(Tensor::read)
    }

    /// The one of that number.
    pub fn at(&self, index: usize) -> Option<Port<'a>> {
        let port = PortRecord::read(self.records.get(index)?);
        // A checked model has both.
        let (name, tensor) = (port.name_in(self.names)?, self.tensor(index)?);
        Some(Port { name, meaning: port.meaning, id: port.tensor, tensor })
    }
}

impl<'a> Iterator for Ports<'a> {
    type Item = Port<'a>;

    fn next(&mut self) -> Option<Port<'a>> {
        let index = self.range.next()?;
        self.at(index)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl ExactSizeIterator for Ports<'_> {}

impl fmt::Display for Ports<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, port) in self.clone().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(port.name)?;
        }
        Ok(())
    }
}
