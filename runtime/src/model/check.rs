//! What [`super::Model::parse`] checks, part by part.

use crate::{
    error::{Error, Field, PortError, StepError, TensorError},
    format::{ARENA_ALIGN, ARENA_MAX, Header, PORT, PORTS_MAX, PortRecord, Sections, Tensor, number, saturate},
    id::TensorId,
    meta::{Entries, Seen},
    ops::{Check, Step, Totals},
    written::Written,
};

/// All that the sections say; gives the first input's and the first output's tensor.
pub(super) fn sections(sections: &Sections) -> Result<[Tensor; 2], Error> {
    tensors(sections)?;
    let first = [ports(sections, Field::Input, sections.inputs)?, ports(sections, Field::Output, sections.outputs)?];
    steps(sections)?;
    metadata(sections)?;
    Ok(first)
}

/// Lengths in the header that must fit together.
pub(super) fn lengths(header: &Header) -> Result<(), Error> {
    let &Header { arena_len, scratch_len, worker_len, state_len, sequence, .. } = header;
    let wrong = |field, stated, needed| Err(Error::Header { field, stated, needed });
    let parts = [
        (Field::Arena, arena_len),
        (Field::Scratch, scratch_len),
        (Field::WorkerScratch, worker_len),
        (Field::State, state_len),
    ];
    for (field, len) in parts {
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
    for (field, count) in [(Field::Inputs, header.inputs), (Field::Outputs, header.outputs)] {
        if !(1..=PORTS_MAX).contains(&count) {
            return wrong(field, count.into(), count.clamp(1, PORTS_MAX).into());
        }
    }
    Ok(())
}

/// Each tensor lies in its part of the arena; states share no bytes with anything.
fn tensors(sections: &Sections) -> Result<(), Error> {
    let header = &sections.header;
    let mut states_end = 0;
    for (index, record) in sections.tensors.iter().enumerate() {
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

/// All inputs, or all outputs: each has a tensor and a name of its own. Gives the first one's tensor.
fn ports(sections: &Sections, field: Field, records: &[[u8; PORT]]) -> Result<Tensor, Error> {
    let mut first = None;
    for (index, record) in records.iter().enumerate() {
        let located = |reason| Error::Port { field, index: number(index), reason };
        let port = PortRecord::parse(record).map_err(located)?;
        let id = port.tensor;
        let tensor = sections.tensor(id).ok_or(located(PortError::NoTensor { id }))?;
        let name = port.name_in(sections.names).filter(|name| !name.is_empty()).ok_or(located(PortError::Name))?;
        match field {
            Field::Input if tensor.state => return Err(located(PortError::State { id })),
            // An output is moved together where it lies; that of a state would lose what the next run needs.
            Field::Output if tensor.state && tensor.pixels() != 1 && tensor.elements() != tensor.padded_elements() => {
                return Err(located(PortError::Padded { id }));
            }
            _ => {}
        }
        for (earlier, record) in records.iter().enumerate().take(index) {
            let (other, earlier) = (PortRecord::read(record), number(earlier));
            if other.name_bytes(sections.names) == Some(name.as_bytes()) {
                return Err(located(PortError::NameTwice { index: earlier }));
            }
            // Outputs of one place are the same tensor, or one of them is overwritten: `Written` sees that.
            let shared = match field {
                Field::Input => sections.tensor(other.tensor).is_some_and(|other| other.overlaps(&tensor)),
                _ => other.tensor == id,
            };
            if shared {
                return Err(located(PortError::Shared { index: earlier }));
            }
        }
        first = first.or(Some(tensor));
    }
    // `lengths` wants at least one.
    first.ok_or(Error::Kernel)
}

/// The tensors of inputs or outputs.
fn ids<'a>(records: &'a [[u8; PORT]]) -> impl Iterator<Item = TensorId> + 'a {
    records.iter().map(|record| PortRecord::read(record).tensor)
}

/// Each step's own checks, and the header's totals.
fn steps(sections: &Sections) -> Result<(), Error> {
    let (mut check, mut written) = (Check::new(sections), Written::new(sections));
    let ports = ids(sections.inputs).chain(ids(sections.outputs));
    let mut totals = Totals::new(ports.filter_map(|id| sections.tensor(id)));
    for (index, record) in sections.steps.iter().enumerate() {
        let located = |reason| Error::Step { index: number(index), reason };
        let step = Step::parse(record).map_err(located)?;
        step.check(&mut check).map_err(located)?;
        check.scratch(&step.cost(sections).unwrap_or_default()).map_err(located)?;
        written.step(index, &step).map_err(located)?;
        totals = totals.and(&step, sections);
    }
    let Header { macs, work, .. } = sections.header;
    for (field, stated, needed) in [(Field::Macs, macs, totals.macs), (Field::Work, work, totals.work)] {
        if stated != needed {
            return Err(Error::Header { field, stated: saturate(stated), needed: saturate(needed) });
        }
    }
    for (index, id) in ids(sections.outputs).enumerate() {
        output(&mut written, id).map_err(|reason| Error::Port {
            field: Field::Output,
            index: number(index),
            reason,
        })?;
    }
    Ok(())
}

/// An output is there when the last step is done.
fn output(written: &mut Written, id: TensorId) -> Result<(), PortError> {
    written.output(id).map_err(|error| match error {
        StepError::Lifetimes { limit } => PortError::Lifetimes { limit },
        _ => PortError::Unwritten { id },
    })
}

fn metadata(sections: &Sections) -> Result<(), Error> {
    let values = |index: u16| {
        let port = PortRecord::read(sections.outputs.get(index as usize)?);
        sections.tensor(port.tensor).map(|tensor| tensor.elements())
    };
    let mut seen = Seen::new();
    for (at, entry) in Entries::new(sections.meta) {
        let located = |reason| Error::Meta { at: saturate(at as u64), reason };
        seen.check(&entry.map_err(located)?, sections.header.inputs, values).map_err(located)?;
    }
    Ok(())
}
