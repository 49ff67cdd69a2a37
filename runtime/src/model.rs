//! A model file, checked.

mod check;
mod port;

pub use port::{Port, Ports};

use crate::{
    arena::with_alignment,
    bytes::as_u8,
    error::Error,
    format::{Header, Sections, Tensor},
    frontend::FrontEnd,
    id::TensorId,
    meta::{self, Accuracy, Labels, Tag},
    ops::{Step, Tensors},
};

/// A model file of which everything has been checked that a run relies on. It borrows the file: nothing is copied.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    sections: Sections<'a>,
    /// The first of each, which most models have no more than.
    input: Tensor,
    output: Tensor,
}

impl<'a> Model<'a> {
    /// Checks a whole model file: checksum, sections, tensor ranges, ports, and for each step its shapes, constants,
    /// multipliers, shifts, scratch, that the tensors it needs apart are apart, and that what it reads has been written; then
    /// that the work of all steps is what the header states. Flags, codes and reserved bytes that mean nothing here are
    /// refused. Time is linear in the file's length, plus [`LOOKS_MAX`](crate::LOOKS_MAX) looks at a step.
    ///
    /// # Errors
    /// The first thing wrong, with its place.
    pub fn parse(file: &'a [u8]) -> Result<Model<'a>, Error> {
        let header = Header::parse(file)?;
        check::lengths(&header)?;
        let sections = Sections::parse(file, header)?;
        let [input, output] = check::sections(&sections)?;
        Ok(Model { sections, input, output })
    }

    /// The header.
    pub const fn header(&self) -> &Header {
        &self.sections.header
    }

    pub(crate) const fn sections(&self) -> &Sections<'a> {
        &self.sections
    }

    /// The checksum of the file, which identifies the model.
    pub const fn id(&self) -> u32 {
        self.sections.header.checksum
    }

    /// The tensor of that number.
    pub fn tensor(&self, id: TensorId) -> Option<Tensor> {
        self.sections.tensor(id)
    }

    /// All tensors, by number.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = Tensor> + 'a {
        self.sections.tensors.iter().map(Tensor::read)
    }

    /// The steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = Step> + 'a {
        self.sections.steps.iter().filter_map(Step::read)
    }

    /// The inputs, in order; at least one.
    pub const fn inputs(&self) -> Ports<'a> {
        Ports::inputs(&self.sections)
    }

    /// The outputs, in order; at least one.
    pub const fn outputs(&self) -> Ports<'a> {
        Ports::outputs(&self.sections)
    }

    /// The tensor that takes the first input: the only one in most models.
    pub const fn input(&self) -> Tensor {
        self.input
    }

    /// The tensor that holds the first output.
    pub const fn output(&self) -> Tensor {
        self.output
    }

    /// Whether there is one input and one output, both int8: what [`crate::Session::run`] and programs that read files take.
    pub fn is_simple(&self) -> bool {
        let Header { inputs, outputs, .. } = self.sections.header;
        [inputs, outputs] == [1, 1] && [self.input.dtype, self.output.dtype] == [crate::Dtype::I8; 2]
    }

    /// Bytes that a session needs from its caller: [`Model::arena_len`], and what memory of any alignment may lose at its
    /// start.
    pub const fn buffer_len(&self) -> usize {
        with_alignment(self.arena_len())
    }

    /// As [`Model::buffer_len`], with the scratch of that many workers; 0 counts as one.
    pub const fn buffer_len_for(&self, workers: usize) -> usize {
        let further = self.sections.header.worker_len as usize;
        self.buffer_len().saturating_add(further.saturating_mul(workers.saturating_sub(1)))
    }

    /// Bytes of arena, from a 16-byte boundary on, scratch for one worker included.
    pub const fn arena_len(&self) -> usize {
        self.sections.header.arena_len as usize
    }

    /// Bytes of the arena that are scratch.
    pub const fn scratch_len(&self) -> usize {
        self.sections.header.scratch_len as usize
    }

    /// Bytes of the arena that live from one run to the next.
    pub const fn state_len(&self) -> usize {
        self.sections.header.state_len as usize
    }

    /// Multiply-accumulates of one run.
    pub const fn macs(&self) -> u64 {
        self.sections.header.macs
    }

    /// What one run does, counted in stored values that are read to make others, see [`crate::ops::Cost::work`]; with the
    /// inputs' and the outputs' copies. A run's time follows from it within a small factor, whatever the file says.
    pub const fn work(&self) -> u64 {
        self.sections.header.work
    }

    /// Runs (time steps) in one decision; 1 for a feed-forward network.
    pub const fn sequence(&self) -> u16 {
        self.sections.header.sequence
    }

    /// The content of a metadata entry about that input or output, or 0 where it is about the model.
    pub fn meta(&self, tag: Tag, port: u16) -> Option<&'a [u8]> {
        meta::find(self.sections.meta, tag, port)
    }

    /// One name for each value of the first output, in order; none if the model has none.
    pub fn labels(&self) -> Labels<'a> {
        Labels(self.meta(Tag::Labels, 0).unwrap_or_default())
    }

    /// How raw data become the first input; [`FrontEnd::Raw`] if the model does not say.
    pub fn front_end(&self) -> FrontEnd<'a> {
        self.meta(Tag::FrontEnd, 0).and_then(|content| FrontEnd::parse(content).ok()).unwrap_or(FrontEnd::Raw)
    }

    /// Which columns of a CSV file are the channels of the first input: names, or numbers counted from 1 in files without names;
    /// none if all are, as they stand.
    pub fn columns(&self) -> Labels<'a> {
        Labels(self.meta(Tag::Columns, 0).unwrap_or_default())
    }

    /// What the values of the first output are.
    pub fn meaning(&self) -> crate::Meaning {
        self.outputs().next().map_or(crate::Meaning::Plain, |port| port.meaning)
    }

    /// The model's name, if it has one.
    pub fn name(&self) -> Option<&'a str> {
        self.meta(Tag::Name, 0).and_then(|text| core::str::from_utf8(text).ok())
    }

    /// Where the model comes from, if it says so.
    pub fn provenance(&self) -> Option<&'a str> {
        self.meta(Tag::Provenance, 0).and_then(|text| core::str::from_utf8(text).ok())
    }

    /// What the conversion cost, if it was measured.
    pub fn accuracy(&self) -> Option<Accuracy> {
        self.meta(Tag::Accuracy, 0).and_then(|content| Accuracy::parse(content).ok())
    }
}

impl Tensors for Model<'_> {
    fn tensor(&self, id: TensorId) -> Option<Tensor> {
        Model::tensor(self, id)
    }
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
