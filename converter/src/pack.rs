//! Plan -> bytes, through the runtime's own `emit` functions: layout N8C8, 64-byte aligned, checksum last.

use escarp_runtime::{
    Model,
    format::{HEADER, Header, PARAMS_ALIGN, SECTION_ALIGN, STEP, TENSOR, seal},
    kernels::PARAM_BLOCK,
    meta::{self, Accuracy, OutputKind, Tag},
    ops::{ConstOffset, Step, Totals},
    quant::SHIFT_MIN,
};

use crate::{
    error::Error,
    front_end,
    metadata::Metadata,
    plan::Plan,
    qgraph::{QConv, QGru, QOp, Rows},
};

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
    /// Bias, multiplier and shift of each row, in blocks of eight.
    pub params: u64,
    /// Records, names, alignment.
    pub rest: u64,
}

/// What the bytes of a file of this plan are, `file_len` of them.
pub fn parts(plan: &Plan, file_len: usize) -> Parts {
    let tensor = |id: u16| &plan.tensors[usize::from(id)];
    let (mut packed, mut params, mut weights) = (0, 0, 0);
    for (step, node) in plan.steps.iter().zip(&plan.graph.nodes) {
        let (of_weights, of_params) = match step {
            Step::Conv(s) => (s.weights_len(tensor(s.input), tensor(s.output)), s.params_len(tensor(s.output))),
            Step::Linear(s) => (s.weights_len(tensor(s.input), tensor(s.output)), s.params_len(tensor(s.output))),
            Step::Gru(s) => (s.input_weights_len(tensor(s.input)) + s.state_weights_len(), 2 * s.params_len()),
            _ => (0, 0),
        };
        (packed, params) = (packed + of_weights, params + of_params);
        weights += match &node.op {
            QOp::Conv(conv) => conv.rows.weight.len() as u64,
            QOp::Gru(gru) => (gru.input.weight.len() + gru.state.weight.len()) as u64,
            QOp::Add(_) | QOp::Pool(_) => 0,
        };
    }
    Parts { weights, filling: packed - weights, params, rest: file_len as u64 - packed - params }
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
    let mut consts = Consts::default();
    let mut steps = plan.steps.clone();
    for (step, node) in steps.iter_mut().zip(&plan.graph.nodes) {
        match (step, &node.op) {
            (Step::Conv(step), QOp::Conv(conv)) => (step.weights, step.params) = consts.conv(conv)?,
            (Step::Linear(step), QOp::Conv(conv)) => (step.weights, step.params) = consts.conv(conv)?,
            (Step::Gru(step), QOp::Gru(gru)) => {
                (step.input_weights, step.input_params) = consts.gates(gru, &gru.input, gru.inputs)?;
                (step.state_weights, step.state_params) = consts.gates(gru, &gru.state, gru.hidden)?;
            }
            _ => {}
        }
    }
    let meta = metadata(about, plan.graph.output_kind)?;
    let (tensors_at, steps_at) = (HEADER, (HEADER + plan.tensors.len() * TENSOR).next_multiple_of(SECTION_ALIGN));
    let consts_at = (steps_at + steps.len() * STEP).next_multiple_of(SECTION_ALIGN);
    let meta_at = (consts_at + consts.bytes.len()).next_multiple_of(SECTION_ALIGN);
    let [input, output] = [plan.input, plan.output].map(|id| &plan.tensors[usize::from(id)]);
    let totals = steps.iter().fold(Totals::new(input, output), |sum, step| sum.and(step, plan.tensors.as_slice()));
    let header = Header {
        checksum: 0,
        file_len: small(meta_at + meta.len())?,
        features: steps.iter().fold(0, |bits, s| bits | s.feature()),
        arena_len: small(plan.arena_len)?,
        scratch_len: small(plan.scratch_len)?,
        state_len: small(plan.state_len)?,
        sequence: few("time steps", plan.graph.steps)?,
        input: plan.input,
        output: plan.output,
        tensors: few("tensors", plan.tensors.len())?,
        steps: few("steps", steps.len())?,
        macs: totals.macs,
        work: totals.work,
        tensors_at: small(tensors_at)?,
        steps_at: small(steps_at)?,
        consts_at: small(consts_at)?,
        consts_len: small(consts.bytes.len())?,
        meta_at: small(meta_at)?,
        meta_len: small(meta.len())?,
    };
    let mut file = header.emit().to_vec();
    file.extend(plan.tensors.iter().flat_map(|t| t.emit()));
    file.resize(steps_at, 0);
    file.extend(steps.iter().flat_map(|s| s.emit()));
    file.resize(consts_at, 0);
    file.extend(&consts.bytes);
    file.resize(meta_at, 0);
    file.extend(&meta);
    seal(&mut file);
    Model::parse(&file).map_err(|e| Error::Pack(format!("the runtime refuses the file: {e}")))?;
    Ok(file)
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

/// The constants section, in the order of the steps, as the loader wants it.
#[derive(Default)]
struct Consts {
    bytes: Vec<u8>,
}

impl Consts {
    fn start(&mut self, alignment: usize) -> Result<ConstOffset, Error> {
        self.bytes.resize(self.bytes.len().next_multiple_of(alignment), 0);
        small(self.bytes.len())
    }

    fn conv(&mut self, conv: &QConv) -> Result<(ConstOffset, ConstOffset), Error> {
        let taps = conv.geometry.kernel[0] * conv.geometry.kernel[1];
        let rows: Vec<Option<usize>> = (0..conv.rows.bias.len()).map(Some).collect();
        self.rows(&conv.rows, &rows, taps, conv.inputs)
    }

    /// The rows of three gates, each padded to whole blocks.
    fn gates(&mut self, gru: &QGru, rows: &Rows, inputs: usize) -> Result<(ConstOffset, ConstOffset), Error> {
        let gate = |g: usize| {
            let padded = gru.hidden.next_multiple_of(8);
            (0..padded).map(move |i| (i < gru.hidden).then_some(g * gru.hidden + i))
        };
        let order: Vec<Option<usize>> = (0..3).flat_map(gate).collect();
        self.rows(rows, &order, 1, inputs)
    }

    /// `W[block][tap][group][8 rows][8 inputs]`, then 72 bytes of parameters a block. `order` names the rows; `None` and
    /// rows beyond the end are padding: zero weights, factor 0.
    fn rows(
        &mut self,
        rows: &Rows,
        order: &[Option<usize>],
        taps: usize,
        inputs: usize,
    ) -> Result<(ConstOffset, ConstOffset), Error> {
        let weights = self.start(SECTION_ALIGN)?;
        let groups = inputs.div_ceil(8);
        for block in order.chunks(8) {
            for (tap, group) in (0..taps).flat_map(|t| (0..groups).map(move |g| (t, g))) {
                for lane in 0..8 {
                    let row = block.get(lane).copied().flatten();
                    let weight = |k: usize| {
                        let row = row.filter(|_| k < inputs)?;
                        rows.weight.get((row * taps + tap) * inputs + k).copied()
                    };
                    self.bytes.extend((8 * group..8 * group + 8).map(|k| weight(k).unwrap_or(0).cast_unsigned()));
                }
            }
        }
        let params = self.start(PARAMS_ALIGN)?;
        for block in order.chunks(8) {
            let lane = |i: usize| block.get(i).copied().flatten();
            let at = self.bytes.len();
            self.bytes.extend((0..8).flat_map(|i| lane(i).map_or(0, |r| rows.bias[r]).to_le_bytes()));
            self.bytes.extend((0..8).flat_map(|i| lane(i).map_or(0, |r| rows.multiplier[r]).to_le_bytes()));
            self.bytes.extend((0..8).map(|i| lane(i).map_or(SHIFT_MIN, |r| rows.shift[r])));
            debug_assert_eq!(self.bytes.len() - at, PARAM_BLOCK);
        }
        Ok((weights, params))
    }
}
