//! Values moved from place to place: what slices, joins, pads, transposes and shuffles are made of.

mod walk;

pub use walk::Loop;

use super::{
    Cost, Operator, Reads, Record, Run, Tensors,
    check::{Check, shown, value},
    field::{FLAGS, INPUT, OUTPUT},
};
use crate::{
    bytes::as_i8,
    element::{Dtype, Element},
    error::{Error, Field, StepError},
    format::{PARAMS_ALIGN, Tensor},
    id::{ConstOffset, TensorId},
    kernels::Table,
};
use walk::{LOOP, Walk};

/// Where its own numbers stand.
mod field {
    use crate::bytes::Slot;

    pub const FILL: Slot<i8> = Slot::at(8);
    pub const LOOPS: Slot<u16> = Slot::at(10);
    pub const TABLE: Slot<u32> = Slot::at(12);
    pub const LOOPS_AT: Slot<u32> = Slot::at(16);
    pub const FROM: Slot<u32> = Slot::at(20);
    pub const TO: Slot<u32> = Slot::at(24);
    pub const VALUES: Slot<u32> = Slot::at(28);
}

/// The flag of a step that keeps what lies at its output's place.
const ONTO: u16 = 1;
/// The flag of a table.
const TABLE: u16 = 2;

/// Most loops of a step: more than there are axes on both sides.
pub const LOOPS_MAX: u16 = 8;

/// `output[to + sum of i_k * to_k] = input[from + sum of i_k * from_k]` for all `i_k` below the loops' counts, in elements as
/// they are stored: padding channels have places too. Where two values go to the same place, the later one stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyStep {
    /// int8, int16 or int32, no state.
    pub input: TensorId,
    /// Of the same type, and without a table of the same scale and zero point; apart from the input.
    pub output: TensorId,
    /// What every value of the output becomes that nothing is moved to, padding channels included. `None`: what lies there
    /// stays, a tensor of the output's shape and type.
    pub fill: Option<i8>,
    /// 256 bytes, 8-byte aligned: what becomes of each value on its way; int8 only.
    pub table: Option<ConstOffset>,
    /// How many loops, at most [`LOOPS_MAX`]; without any, one value is moved.
    pub loops: u16,
    /// [`Loop`]s, outermost first, 8-byte aligned; 0 without loops.
    pub loops_at: ConstOffset,
    /// The first element of the input.
    pub from: u32,
    /// Where it goes in the output.
    pub to: u32,
    /// How many values are moved: the product of the loops' counts.
    pub values: u32,
}

impl CopyStep {
    /// Bytes of its loops.
    fn loops_len(&self) -> u64 {
        self.loops as u64 * LOOP as u64
    }

    /// All places that the loops reach lie in both tensors, and the product of their counts is what the record states.
    fn check_loops(&self, loops: &[[u8; LOOP]], [input, output]: [&Tensor; 2]) -> Result<(), StepError> {
        let mut values = 1u64;
        // First and last element of either tensor. Sums that saturate lie outside anyway.
        let mut reach = [[self.from as i64; 2], [self.to as i64; 2]];
        for record in loops {
            let next = Loop::parse(record)?;
            values = values.saturating_mul(next.count as u64);
            for ([first, last], stride) in reach.iter_mut().zip([next.from, next.to]) {
                // Below 2^32 * 2^31.
                let way = (next.count as i64 - 1) * stride as i64;
                *first = first.saturating_add(way.min(0));
                *last = last.saturating_add(way.max(0));
            }
        }
        if values != self.values as u64 {
            return Err(StepError::Value { field: Field::Count, found: shown(self.values.into()) });
        }
        for (id, tensor, [first, last]) in [(self.input, input, reach[0]), (self.output, output, reach[1])] {
            let elements = 0..tensor.padded_elements().cast_signed();
            if let Some(at) = [first, last].into_iter().find(|at| !elements.contains(at)) {
                return Err(StepError::Element { id, at: shown(at) });
            }
        }
        Ok(())
    }

    /// Moves the values of a type: runs without gaps are moved together and go through `all`, others one by one through `one`.
    fn moved<T: Element>(
        &self,
        walk: &Walk,
        [source, target]: [&mut [i8]; 2],
        one: impl Fn(T) -> T,
        all: impl Fn(&mut [T]),
    ) -> Result<(), Error> {
        let (source, target) = (T::of(source), T::of_mut(target));
        if let Some(fill) = self.fill {
            target.fill(T::from(fill));
        }
        let Loop { count, from: from_stride, to: to_stride } = walk.inner;
        let together = from_stride == 1 && to_stride == 1;
        walk.each(self.from, self.to, |mut from, mut to| {
            if together {
                let run = |at: u32| at as usize..(at as usize).saturating_add(count as usize);
                let (source, target) = source.get(run(from)).zip(target.get_mut(run(to))).ok_or(Error::Kernel)?;
                target.iter_mut().zip(source).for_each(|(target, &value)| *target = value);
                all(target);
                return Ok(());
            }
            for _ in 0..count {
                let (value, target) =
                    source.get(from as usize).zip(target.get_mut(to as usize)).ok_or(Error::Kernel)?;
                *target = one(*value);
                (from, to) = (from.wrapping_add_signed(from_stride), to.wrapping_add_signed(to_stride));
            }
            Ok(())
        })
    }
}

impl Operator for CopyStep {
    const KIND: u16 = 9;
    const NAME: &'static str = "copy";

    fn parse(record: &Record) -> CopyStep {
        let flags = FLAGS.read(record);
        let loops = field::LOOPS.read(record);
        CopyStep {
            input: INPUT.read(record),
            output: OUTPUT.read(record),
            fill: (flags & ONTO == 0).then(|| field::FILL.read(record)),
            table: (flags & TABLE != 0).then(|| field::TABLE.read(record)),
            loops,
            loops_at: if loops == 0 { 0 } else { field::LOOPS_AT.read(record) },
            from: field::FROM.read(record),
            to: field::TO.read(record),
            values: field::VALUES.read(record),
        }
    }

    fn emit(&self, record: &mut Record) {
        let onto = if self.fill.is_none() { ONTO } else { 0 };
        let table = if self.table.is_some() { TABLE } else { 0 };
        FLAGS.write(record, onto | table);
        INPUT.write(record, self.input);
        OUTPUT.write(record, self.output);
        field::FILL.write(record, self.fill.unwrap_or(0));
        field::TABLE.write(record, self.table.unwrap_or(0));
        field::LOOPS.write(record, self.loops);
        if self.loops != 0 {
            field::LOOPS_AT.write(record, self.loops_at);
        }
        field::FROM.write(record, self.from);
        field::TO.write(record, self.to);
        field::VALUES.write(record, self.values);
    }

    fn reads(&self) -> Reads {
        Reads { output_place: self.fill.is_none(), ..Reads::one(self.input) }
    }

    /// The values that are moved, and those that are filled in before.
    fn cost(&self, tensors: &dyn Tensors) -> Option<Cost> {
        let output = tensors.tensor(self.output)?;
        let filled = if self.fill.is_some() { output.padded_elements() } else { 0 };
        Some(Cost { work: self.values as u64 + filled, ..Cost::default() })
    }

    fn check(&self, check: &mut Check) -> Result<(), StepError> {
        let (input, output) = (check.values(self.input)?, check.values(self.output)?);
        check.apart(self.input, self.output)?;
        if output.dtype != input.dtype {
            return Err(StepError::Dtype { id: self.output });
        }
        match self.table {
            Some(_) if input.dtype != Dtype::I8 => return Err(StepError::Dtype { id: self.input }),
            Some(table) => check.table(table)?,
            None if output.zero_point != input.zero_point || output.scale != input.scale => {
                return Err(StepError::Quantization { id: self.output });
            }
            None => {}
        }
        value(Field::Loops, self.loops, 0..=LOOPS_MAX as i64)?;
        let loops = match self.loops {
            0 => &[],
            _ => check.consts(Field::Loops, self.loops_at, self.loops_len(), PARAMS_ALIGN)?,
        };
        self.check_loops(loops.as_chunks().0, [&input, &output])
    }

    fn run(&self, run: &mut Run) -> Result<(), Error> {
        let (input, output) = (run.tensor(self.input)?, run.tensor(self.output)?);
        let walk = Walk::new(run.consts(self.loops_at, self.loops_len())?.as_chunks().0);
        let table = match self.table {
            Some(at) => Some(as_i8(run.consts(at, size_of::<Table>() as u64)?).first_chunk().ok_or(Error::Kernel)?),
            None => None,
        };
        let (memory, _) = run.memory.tensors([&input, &output])?;
        match (output.dtype, table) {
            (Dtype::I8, Some(table)) => {
                let one = |value: i8| table[usize::from(value.cast_unsigned() ^ 0x80)];
                self.moved(&walk, memory, one, |values| run.kernels.lookup(table, values))
            }
            (Dtype::I8, None) => self.moved::<i8>(&walk, memory, |value| value, |_| ()),
            (Dtype::I16, _) => self.moved::<i16>(&walk, memory, |value| value, |_| ()),
            (Dtype::I32, _) => self.moved::<i32>(&walk, memory, |value| value, |_| ()),
        }
    }
}
