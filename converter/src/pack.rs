//! Plan -> bytes, through the runtime's own `emit` functions: sections 64-byte aligned, checksum last.

use escarp_runtime::{
    Meaning, Model,
    format::{HEADER, Header, PORT, PortRecord, SECTION_ALIGN, STEP, TENSOR, seal},
    meta::{self, Accuracy, Tag},
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
    let outputs: usize = plan.graph.tensors[plan.graph.outputs[0].tensor].shape.iter().product();
    let labels = &about.metadata.labels;
    if !labels.is_empty() && labels.len() != outputs {
        return Err(Error::Labels(format!("{} labels; the network has {outputs} outputs", labels.len())));
    }
    let (ports, names) = ports(plan)?;
    let meta = metadata(about)?;
    let header = header(plan, names.len(), meta.len())?;
    let mut file = header.emit().to_vec();
    let mut section = |at: u32, bytes: &mut dyn Iterator<Item = u8>| {
        file.resize(at as usize, 0);
        file.extend(bytes);
    };
    section(header.tensors_at, &mut plan.tensors.iter().flat_map(|t| t.emit()));
    section(header.ports_at, &mut ports.iter().flat_map(|p| p.emit()));
    section(header.steps_at, &mut plan.steps.iter().flat_map(|s| s.emit()));
    section(header.consts_at, &mut plan.constants.bytes.iter().copied());
    section(header.names_at, &mut names.bytes());
    section(header.meta_at, &mut meta.iter().copied());
    seal(&mut file);
    Model::parse(&file).map_err(|e| Error::Pack(format!("the runtime refuses the file: {e}")))?;
    Ok(file)
}

/// The records of inputs and outputs, and their names, one after the other.
fn ports(plan: &Plan) -> Result<(Vec<PortRecord>, String), Error> {
    let graph = &plan.graph;
    let inputs = graph.inputs.iter().map(|&id| (graph.tensors[id].name.as_str(), Meaning::Plain));
    let outputs = graph.outputs.iter().map(|o| (o.name.as_str(), o.meaning));
    let ids = plan.inputs.iter().chain(&plan.outputs);
    let (mut ports, mut names) = (vec![], String::new());
    for (&tensor, (name, meaning)) in ids.zip(inputs.chain(outputs)) {
        let name_len = u16::try_from(name.len()).map_err(|_| {
            let (len, short) = (name.len(), short(name));
            Error::Pack(format!("an input or output has a name of {len} bytes, `{short}...`; allowed: 65535"))
        })?;
        ports.push(PortRecord { tensor, meaning, name: small(names.len())?, name_len });
        names.push_str(name);
    }
    Ok((ports, names))
}

/// The header of a plan's file with so many bytes of names and of metadata.
fn header(plan: &Plan, names_len: usize, meta_len: usize) -> Result<Header, Error> {
    let Plan { tensors, steps, inputs, outputs, constants, totals, .. } = plan;
    let after = |at: usize, len: usize| (at + len).next_multiple_of(SECTION_ALIGN);
    let tensors_at = HEADER;
    let ports_at = after(tensors_at, tensors.len() * TENSOR);
    let steps_at = after(ports_at, (inputs.len() + outputs.len()) * PORT);
    let consts_at = after(steps_at, steps.len() * STEP);
    let names_at = after(consts_at, constants.bytes.len());
    let meta_at = after(names_at, names_len);
    Ok(Header {
        checksum: 0,
        file_len: small(meta_at + meta_len)?,
        extensions: 0,
        arena_len: small(plan.arena_len)?,
        scratch_len: small(totals.scratch)?,
        worker_len: small(totals.worker_scratch)?,
        state_len: small(plan.state_len)?,
        sequence: few("time steps", plan.graph.steps)?,
        inputs: few("inputs", inputs.len())?,
        outputs: few("outputs", outputs.len())?,
        tensors: few("tensors", tensors.len())?,
        steps: few("steps", steps.len())?,
        macs: totals.macs,
        work: totals.work,
        tensors_at: small(tensors_at)?,
        ports_at: small(ports_at)?,
        steps_at: small(steps_at)?,
        consts_at: small(consts_at)?,
        consts_len: small(constants.bytes.len())?,
        names_at: small(names_at)?,
        names_len: small(names_len)?,
        meta_at: small(meta_at)?,
        meta_len: small(meta_len)?,
    })
}

/// The start of a long name.
fn short(name: &str) -> String {
    name.chars().take(20).collect()
}

fn small<T: TryInto<u32> + Copy + std::fmt::Display>(n: T) -> Result<u32, Error> {
    n.try_into().map_err(|_| Error::Pack(format!("a file or an arena of {n} bytes; allowed: 4 GiB")))
}

fn few(what: &str, n: usize) -> Result<u16, Error> {
    u16::try_from(n).map_err(|_| Error::Pack(format!("{n} {what}; allowed: 65535")))
}

fn metadata(about: &About) -> Result<Vec<u8>, Error> {
    let mut section = vec![];
    let mut labels = vec![];
    about.metadata.labels.iter().for_each(|label| meta::emit_label(&mut labels, label));
    if !labels.is_empty() {
        meta::emit_entry(&mut section, Tag::Labels, 0, &labels);
    }
    let front_end = front_end::of(&about.metadata.front_end);
    let mut record = vec![0; front_end.emitted_len()];
    front_end.emit(&mut record).map_err(|e| Error::Pack(format!("front end: {e}")))?;
    meta::emit_entry(&mut section, Tag::FrontEnd, 0, &record);
    let mut columns = vec![];
    front_end::columns(&about.metadata.front_end).iter().for_each(|name| meta::emit_label(&mut columns, name));
    if !columns.is_empty() {
        meta::emit_entry(&mut section, Tag::Columns, 0, &columns);
    }
    if !about.name.is_empty() {
        meta::emit_entry(&mut section, Tag::Name, 0, about.name.as_bytes());
    }
    let facts: Vec<String> = about.metadata.provenance.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    if !facts.is_empty() {
        meta::emit_entry(&mut section, Tag::Provenance, 0, facts.join("\n").as_bytes());
    }
    if let Some(accuracy) = about.accuracy {
        meta::emit_entry(&mut section, Tag::Accuracy, 0, &accuracy.emit());
    }
    Ok(section)
}
