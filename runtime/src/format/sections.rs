//! The parts of a file: what checks and runs look things up in.

use super::{HEADER, Header, PORT, SECTION_ALIGN, STEP, TENSOR, Tensor, in_memory, saturate};
use crate::{
    error::{Error, Field},
    id::{ConstOffset, TensorId},
};

/// The file's parts, borrowed. What they say of each other is checked by [`crate::Model::parse`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sections<'a> {
    pub(crate) header: Header,
    pub(crate) tensors: &'a [[u8; TENSOR]],
    pub(crate) inputs: &'a [[u8; PORT]],
    pub(crate) outputs: &'a [[u8; PORT]],
    pub(crate) steps: &'a [[u8; STEP]],
    consts: &'a [u8],
    pub(crate) names: &'a [u8],
    pub(crate) meta: &'a [u8],
}

impl<'a> Sections<'a> {
    /// Finds the sections in a file whose header has been read. They stand in their order, at multiples of
    /// [`SECTION_ALIGN`], and what lies between them is zero.
    ///
    /// # Errors
    /// [`Error::Section`], [`Error::Reserved`].
    pub(crate) fn parse(file: &'a [u8], header: Header) -> Result<Sections<'a>, Error> {
        let mut previous = HEADER as u64;
        let mut take = |field, at: u32, len: u64| -> Result<&'a [u8], Error> {
            let (start, end) = (at as u64, at as u64 + len);
            if !start.is_multiple_of(SECTION_ALIGN as u64) || start < previous || end > header.file_len as u64 {
                return Err(Error::Section { field, start: at, end: saturate(end) });
            }
            zero(file, previous, start)?;
            previous = end;
            // Within the file, so both fit a usize.
            file.get(in_memory(start)..in_memory(end)).ok_or(Error::Kernel)
        };
        let tensors = take(Field::Tensors, header.tensors_at, header.tensors as u64 * TENSOR as u64)?;
        let ports = header.inputs as u64 + header.outputs as u64;
        let ports = take(Field::Ports, header.ports_at, ports * PORT as u64)?;
        let steps = take(Field::Steps, header.steps_at, header.steps as u64 * STEP as u64)?;
        let consts = take(Field::Constants, header.consts_at, header.consts_len as u64)?;
        let names = take(Field::Names, header.names_at, header.names_len as u64)?;
        let meta = take(Field::Metadata, header.meta_at, header.meta_len as u64)?;
        zero(file, previous, header.file_len as u64)?;
        let (inputs, outputs) = ports.as_chunks().0.split_at_checked(header.inputs as usize).ok_or(Error::Kernel)?;
        let (tensors, steps) = (tensors.as_chunks().0, steps.as_chunks().0);
        Ok(Sections { header, tensors, inputs, outputs, steps, consts, names, meta })
    }

    /// The tensor of that number, from a record that was checked.
    #[inline(always)]
    pub(crate) fn tensor(&self, id: TensorId) -> Option<Tensor> {
        self.tensors.get(id as usize).map(Tensor::read)
    }

    /// `len` bytes of constants, if they are there.
    #[inline(always)]
    pub(crate) fn consts(&self, offset: ConstOffset, len: u64) -> Option<&'a [u8]> {
        let len = usize::try_from(len).ok()?;
        self.consts.get(offset as usize..)?.get(..len)
    }
}

/// Unused bytes are reserved ones.
fn zero(file: &[u8], from: u64, to: u64) -> Result<(), Error> {
    let unused = file.get(in_memory(from)..in_memory(to)).unwrap_or_default();
    match unused.iter().position(|&byte| byte != 0) {
        Some(at) => Err(Error::Reserved { at: saturate(from + at as u64) }),
        None => Ok(()),
    }
}
