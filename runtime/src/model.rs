//! A model file, checked.

use crate::bytes::as_u8;
use crate::error::{Error, Field, MetaError, StepError, TensorError};
use crate::format::{
    ARENA_ALIGN, ARENA_MAX, Dtype, Header, STEP, TENSOR, Tensor, in_memory, number, saturate, section,
};
use crate::frontend::FrontEnd;
use crate::meta::{self, Accuracy, Entries, Labels, OutputKind, Tag};
use crate::ops::{Check, ConstOffset, FEATURES, Step, TensorId, Tensors, Totals};
use crate::written::Written;

/// A model file of which everything has been checked that a run relies on. It borrows the file: nothing is copied.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    header: Header,
    tensors: &'a [[u8; TENSOR]],
    steps: &'a [[u8; STEP]],
    consts: &'a [u8],
    meta: &'a [u8],
    input: Tensor,
    output: Tensor,
}

impl<'a> Model<'a> {
    /// Checks a whole model file: checksum, sections, tensor ranges, and for each step its shapes, constants, multipliers,
    /// shifts, scratch, that the tensors it needs apart are apart, and that what it reads has been written; then that the
    /// work of all steps is what the header states. Time is linear in the file's length, plus
    /// [`LOOKS_MAX`](crate::format::LOOKS_MAX) looks at a step.
    ///
    /// # Errors
    /// The first thing wrong, with its place.
    pub fn parse(file: &'a [u8]) -> Result<Model<'a>, Error> {
        let header = Header::parse(file)?;
        let unknown = header.features & !FEATURES;
        if unknown != 0 {
            return Err(Error::Features { unknown });
        }
        check_lengths(&header)?;
        let sections = Sections::parse(file, &header)?;
        check_tensors(&header, sections.tensors)?;
        let (input, output) = (
            port(sections.tensors, Field::Input, header.input)?,
            port(sections.tensors, Field::Output, header.output)?,
        );
        let Sections { tensors, steps, consts, meta } = sections;
        let model = Model { header, tensors, steps, consts, meta, input, output };
        model.check_steps()?;
        model.check_meta()?;
        Ok(model)
    }

    /// Runs each step's checks and adds up the header's totals.
    fn check_steps(&self) -> Result<(), Error> {
        let (mut check, mut written) = (Check::new(self), Written::new(self));
        let mut totals = Totals::new(&self.input, &self.output);
        for (index, record) in self.steps.iter().enumerate() {
            let located = |reason| Error::Step { index: number(index), reason };
            let step = Step::parse(record).map_err(located)?;
            if step.feature() & self.header.features == 0 {
                return Err(located(StepError::Kind { found: step.kind() }));
            }
            step.check(&mut check).map_err(located)?;
            check.scratch(step.scratch_len(self)).map_err(located)?;
            written.step(index, &step).map_err(located)?;
            totals = totals.and(&step, self);
        }
        let Header { macs, work, .. } = self.header;
        for (field, stated, needed) in [(Field::Macs, macs, totals.macs), (Field::Work, work, totals.work)] {
            if stated != needed {
                return Err(Error::Header { field, stated: saturate(stated), needed: saturate(needed) });
            }
        }
        written.output()
    }

    fn check_meta(&self) -> Result<(), Error> {
        let mut seen = 0u64;
        for (at, entry) in Entries::new(self.meta) {
            let located = |reason| Error::Meta { at: saturate(at as u64), reason };
            let (tag, content) = entry.map_err(located)?;
            // Tags from 64 on are unknown here, so their repetition cannot mislead.
            let bit = 1u64.checked_shl(tag.into()).unwrap_or(0);
            if seen & bit != 0 {
                return Err(located(MetaError::Twice { tag }));
            }
            seen |= bit;
            meta::check(tag, content, self.output.elements()).map_err(located)?;
        }
        Ok(())
    }

    /// The header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The checksum of the file, which identifies the model.
    pub const fn id(&self) -> u32 {
        self.header.checksum
    }

    /// The tensor of that number.
    pub fn tensor(&self, id: TensorId) -> Option<Tensor> {
        self.tensors.get(id as usize).and_then(|record| Tensor::parse(record).ok())
    }

    /// All tensors, by number.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = Tensor> + 'a {
        // A checked record parses; the input stands in for the case that cannot be.
        let input = self.input;
        self.tensors.iter().map(move |record| Tensor::parse(record).unwrap_or(input))
    }

    /// The steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = Step> + 'a {
        self.steps.iter().filter_map(|record| Step::parse(record).ok())
    }

    /// The steps before the one of that number, the nearest first.
    pub(crate) fn steps_before(&self, index: usize) -> impl Iterator<Item = Step> + 'a {
        self.steps.get(..index).unwrap_or_default().iter().rev().filter_map(|record| Step::parse(record).ok())
    }

    /// The tensor that takes the input.
    pub const fn input(&self) -> Tensor {
        self.input
    }

    /// The tensor that holds the result.
    pub const fn output(&self) -> Tensor {
        self.output
    }

    /// Bytes of arena that a session needs, scratch included.
    pub const fn arena_len(&self) -> usize {
        self.header.arena_len as usize
    }

    /// Bytes of the arena that are scratch.
    pub const fn scratch_len(&self) -> usize {
        self.header.scratch_len as usize
    }

    /// Bytes of the arena that live from one run to the next.
    pub const fn state_len(&self) -> usize {
        self.header.state_len as usize
    }

    /// Multiply-accumulates of one run.
    pub const fn macs(&self) -> u64 {
        self.header.macs
    }

    /// What one run does, counted in stored values that are read to make others, see [`Step::work`]; with the input's and
    /// the output's copies. A run's time follows from it within a small factor, whatever the file says.
    pub const fn work(&self) -> u64 {
        self.header.work
    }

    /// Runs (time steps) in one decision; 1 for a feed-forward network.
    pub const fn sequence(&self) -> u16 {
        self.header.sequence
    }

    /// The content of a metadata entry.
    pub fn meta(&self, tag: Tag) -> Option<&'a [u8]> {
        meta::find(self.meta, tag)
    }

    /// One name for each output, in order; none if the model has none.
    pub fn labels(&self) -> Labels<'a> {
        Labels(self.meta(Tag::Labels).unwrap_or_default())
    }

    /// How raw data become the input; [`FrontEnd::Raw`] if the model does not say.
    pub fn front_end(&self) -> FrontEnd<'a> {
        self.meta(Tag::FrontEnd).and_then(|content| FrontEnd::parse(content).ok()).unwrap_or(FrontEnd::Raw)
    }

    /// Which columns of a CSV file are the channels of a sensor: names, or numbers counted from 1 in files without names;
    /// none if all are, as they stand.
    pub fn columns(&self) -> Labels<'a> {
        Labels(self.meta(Tag::Columns).unwrap_or_default())
    }

    /// The model's name, if it has one.
    pub fn name(&self) -> Option<&'a str> {
        self.meta(Tag::Name).and_then(|text| core::str::from_utf8(text).ok())
    }

    /// Where the model comes from, if it says so.
    pub fn provenance(&self) -> Option<&'a str> {
        self.meta(Tag::Provenance).and_then(|text| core::str::from_utf8(text).ok())
    }

    /// What the conversion cost, if it was measured.
    pub fn accuracy(&self) -> Option<Accuracy> {
        self.meta(Tag::Accuracy).and_then(|content| Accuracy::parse(content).ok())
    }

    /// What the outputs are.
    pub fn output_kind(&self) -> OutputKind {
        self.meta(Tag::OutputKind).and_then(|content| OutputKind::parse(content).ok()).unwrap_or_default()
    }

    /// `len` bytes of constants, if they are there.
    pub(crate) fn consts(&self, offset: ConstOffset, len: u64) -> Option<&'a [u8]> {
        let len = usize::try_from(len).ok()?;
        self.consts.get(offset as usize..)?.get(..len)
    }
}

impl Tensors for Model<'_> {
    fn tensor(&self, id: TensorId) -> Option<Tensor> {
        Model::tensor(self, id)
    }
}

/// The file's parts.
struct Sections<'a> {
    tensors: &'a [[u8; TENSOR]],
    steps: &'a [[u8; STEP]],
    consts: &'a [u8],
    meta: &'a [u8],
}

impl<'a> Sections<'a> {
    fn parse(file: &'a [u8], header: &Header) -> Result<Sections<'a>, Error> {
        let mut previous = crate::format::HEADER as u64;
        let mut take = |field, at: u32, len: u64| -> Result<&'a [u8], Error> {
            previous = section(field, at, len, previous, header.file_len)?;
            // Within the file, so both fit a usize.
            file.get(at as usize..in_memory(previous)).ok_or(Error::Kernel)
        };
        let tensors = take(Field::Tensors, header.tensors_at, header.tensors as u64 * TENSOR as u64)?;
        let steps = take(Field::Steps, header.steps_at, header.steps as u64 * STEP as u64)?;
        let consts = take(Field::Constants, header.consts_at, header.consts_len as u64)?;
        let meta = take(Field::Metadata, header.meta_at, header.meta_len as u64)?;
        Ok(Sections { tensors: tensors.as_chunks().0, steps: steps.as_chunks().0, consts, meta })
    }
}

/// Lengths in the header that must fit together.
fn check_lengths(header: &Header) -> Result<(), Error> {
    let &Header { arena_len, scratch_len, state_len, sequence, .. } = header;
    let wrong = |field, stated, needed| Err(Error::Header { field, stated, needed });
    for (field, len) in [(Field::Arena, arena_len), (Field::Scratch, scratch_len), (Field::State, state_len)] {
        let aligned = (len as u64).next_multiple_of(ARENA_ALIGN as u64);
        if aligned != len as u64 {
            return wrong(field, len, saturate(aligned).min(ARENA_MAX));
        }
    }
    if arena_len > ARENA_MAX {
        return wrong(Field::Arena, arena_len, ARENA_MAX);
    }
    let parts = state_len as u64 + scratch_len as u64;
    if parts > arena_len as u64 {
        return wrong(Field::Arena, arena_len, saturate(parts));
    }
    if sequence == 0 {
        return wrong(Field::Sequence, 0, 1);
    }
    Ok(())
}

/// Each tensor lies in its part of the arena; states share no bytes with anything.
fn check_tensors(header: &Header, records: &[[u8; TENSOR]]) -> Result<(), Error> {
    let mut states_end = 0;
    for (index, record) in records.iter().enumerate() {
        let located = |reason| Error::Tensor { index: number(index), reason };
        let tensor = Tensor::parse(record).map_err(located)?;
        let limit = if tensor.state { header.state_len } else { header.arena_len - header.scratch_len };
        if tensor.end() > limit as u64 {
            return Err(located(TensorError::Range { end: saturate(tensor.end()), limit }));
        }
        if tensor.state {
            if tensor.offset < states_end {
                return Err(located(TensorError::StateOverlap { start: tensor.offset, limit: states_end }));
            }
            states_end = saturate(tensor.end());
        } else if tensor.offset < header.state_len {
            return Err(located(TensorError::InState { start: tensor.offset, limit: header.state_len }));
        }
    }
    Ok(())
}

/// The input or output tensor: an int8 activation.
fn port(records: &[[u8; TENSOR]], field: Field, id: TensorId) -> Result<Tensor, Error> {
    records
        .get(id as usize)
        .and_then(|record| Tensor::parse(record).ok())
        .filter(|tensor| tensor.dtype == Dtype::I8 && !tensor.state)
        .ok_or(Error::Port { field, id })
}

/// What a session remembers between runs, with the model it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State<'a> {
    /// [`Model::id`].
    pub model: u32,
    /// [`Model::state_len`] bytes; int16 values in the machine's byte order.
    pub bytes: &'a [u8],
}

impl<'a> State<'a> {
    pub(crate) fn new(model: &Model, bytes: &'a [i8]) -> State<'a> {
        State { model: model.id(), bytes: as_u8(bytes) }
    }
}
