//! Plan -> bytes, through the runtime's own `emit` functions: sections 64-byte aligned, checksum last.

use escarp_runtime::{
    Model,
    format::{HEADER, Header, SECTION_ALIGN, STEP, TENSOR, seal},
    meta::{self, Accuracy, OutputKind, Tag},
    ops::Totals,
};

use crate::{blocks::Constants, error::Error, front_end, metadata::Metadata, plan::Plan};

/// What a file says besides the network.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Name of the model.
    pub name: String,
    /// Labels, front end, provenance.
    pub metadata: Metadata,
    /// What the conversion cost, if it was measured.
    pub accuracy: Option<Accuracy>,
}

/// What a file's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Weights, one byte each.
    pub weights: u64,
    /// Zero weights that fill channels and rows up to eights.
    pub filling: u64,
    /// Bias, multiplier and shift of each row, in blocks of eight; tables.
    pub params: u64,
    /// Records, names, alignment.
    pub rest: u64,
}

/// What the bytes of a file of this plan are, `file_len` of them.
pub fn parts(plan: &Plan, file_len: usize) -> Parts {
    let Constants { weights, filling, others: params, .. } = plan.constants;
    Parts { weights, filling, params, rest: file_len as u64 - weights - filling - params }
}

/// Writes the file, and checks it with the reader.
///
/// # Errors
/// [`Error::Labels`] if there are labels, and not one for each output; [`Error::Pack`] if a section exceeds 4 GiB, a front
/// end setting is outside its range, or the runtime refuses the result, which would be a mistake of ours.
pub fn pack(plan: &Plan, about: &About) -> Result<Vec<u8>, Error> {
    let outputs = plan.graph.tensors[plan.graph.output].shape[2];
    let labels = &about.metadata.labels;
    if !labels.is_empty() && labels.len() != outputs {
        return Err(Error::Labels(format!("{} labels; the network has {outputs} outputs", labels.len())));
    }
    let meta = metadata(about, plan.graph.output_kind)?;
    let header = header(plan, meta.len())?;
    let mut file = header.emit().to_vec();
    let mut section = |at: u32, bytes: &mut dyn Iterator<Item = u8>| {
        file.resize(at as usize, 0);
        file.extend(bytes);
    };
    section(header.tensors_at, &mut plan.tensors.iter().flat_map(|t| t.emit()));
    section(header.steps_at, &mut plan.steps.iter().flat_map(|s| s.emit()));
    section(header.consts_at, &mut plan.constants.bytes.iter().copied());
    section(header.meta_at, &mut meta.iter().copied());
    seal(&mut file);
    Model::parse(&file).map_err(|e| Error::Pack(format!("the runtime refuses the file: {e}")))?;
    Ok(file)
}

/// The header of a plan's file with so many bytes of metadata.
fn header(plan: &Plan, meta_len: usize) -> Result<Header, Error> {
    let Plan { tensors, steps, constants, .. } = plan;
    let (tensors_at, steps_at) = (HEADER, (HEADER + tensors.len() * TENSOR).next_multiple_of(SECTION_ALIGN));
    let consts_at = (steps_at + steps.len() * STEP).next_multiple_of(SECTION_ALIGN);
    let meta_at = (consts_at + constants.bytes.len()).next_multiple_of(SECTION_ALIGN);
    let [input, output] = [plan.input, plan.output].map(|id| &tensors[usize::from(id)]);
    let totals = steps.iter().fold(Totals::new(input, output), |sum, step| sum.and(step, tensors.as_slice()));
    Ok(Header {
        checksum: 0,
        file_len: small(meta_at + meta_len)?,
        features: steps.iter().fold(0, |bits, s| bits | s.feature()),
        arena_len: small(plan.arena_len)?,
        scratch_len: small(plan.scratch_len)?,
        state_len: small(plan.state_len)?,
        sequence: few("time steps", plan.graph.steps)?,
        input: plan.input,
        output: plan.output,
        tensors: few("tensors", tensors.len())?,
        steps: few("steps", steps.len())?,
        macs: totals.macs,
        work: totals.work,
        tensors_at: small(tensors_at)?,
        steps_at: small(steps_at)?,
        consts_at: small(consts_at)?,
        consts_len: small(constants.bytes.len())?,
        meta_at: small(meta_at)?,
        meta_len: small(meta_len)?,
    })
}

fn small<T: TryInto<u32> + Copy + std::fmt::Display>(n: T) -> Result<u32, Error> {
    n.try_into().map_err(|_| Error::Pack(format!("a file or an arena of {n} bytes; allowed: 4 GiB")))
}

fn few(what: &str, n: usize) -> Result<u16, Error> {
    u16::try_from(n).map_err(|_| Error::Pack(format!("{n} {what}; allowed: 65535")))
}

fn metadata(about: &About, kind: OutputKind) -> Result<Vec<u8>, Error> {
    let mut section = vec![];
    let mut labels = vec![];
    about.metadata.labels.iter().for_each(|label| meta::emit_label(&mut labels, label));
    if !labels.is_empty() {
        meta::emit_entry(&mut section, Tag::Labels, &labels);
    }
    let front_end = front_end::of(&about.metadata.front_end);
    let mut record = vec![0; front_end.emitted_len()];
    front_end.emit(&mut record).map_err(|e| Error::Pack(format!("front end: {e}")))?;
    meta::emit_entry(&mut section, Tag::FrontEnd, &record);
    let mut columns = vec![];
    front_end::columns(&about.metadata.front_end).iter().for_each(|name| meta::emit_label(&mut columns, name));
    if !columns.is_empty() {
        meta::emit_entry(&mut section, Tag::Columns, &columns);
    }
    if !about.name.is_empty() {
        meta::emit_entry(&mut section, Tag::Name, about.name.as_bytes());
    }
    let facts: Vec<String> = about.metadata.provenance.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    if !facts.is_empty() {
        meta::emit_entry(&mut section, Tag::Provenance, facts.join("\n").as_bytes());
    }
    if let Some(accuracy) = about.accuracy {
        meta::emit_entry(&mut section, Tag::Accuracy, &accuracy.emit());
    }
    meta::emit_entry(&mut section, Tag::OutputKind, &kind.emit());
    Ok(section)
}
