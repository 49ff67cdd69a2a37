//! Nested loops over the elements of two tensors, without recursion.

use super::{LOOPS_MAX, value};
use crate::{
    bytes::Slot,
    error::{Error, Field, StepError},
};

/// Bytes of a loop's record.
pub(super) const LOOP: usize = 16;

/// Where its numbers stand.
mod field {
    use super::Slot;

    pub const COUNT: Slot<u32> = Slot::at(0);
    pub const FROM: Slot<i32> = Slot::at(4);
    pub const TO: Slot<i32> = Slot::at(8);
    pub const ZERO: Slot<u32> = Slot::at(12);
}

/// A loop of a [`super::CopyStep`]: how often it goes round, and how far one round leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loop {
    /// Rounds, at least 1.
    pub count: u32,
    /// Elements of the input from one round to the next.
    pub from: i32,
    /// Elements of the output from one round to the next.
    pub to: i32,
}

impl Loop {
    /// The record's bytes.
    pub fn emit(&self) -> [u8; LOOP] {
        let mut record = [0; LOOP];
        field::COUNT.write(&mut record, self.count);
        field::FROM.write(&mut record, self.from);
        field::TO.write(&mut record, self.to);
        record
    }

    pub(super) fn parse(record: &[u8; LOOP]) -> Result<Loop, StepError> {
        value(Field::Count, field::COUNT.read(record), 1..=u32::MAX as i64)?;
        value(Field::Loops, field::ZERO.read(record), 0..=0)?;
        Ok(Loop::read(record))
    }

    fn read(record: &[u8; LOOP]) -> Loop {
        Loop { count: field::COUNT.read(record), from: field::FROM.read(record), to: field::TO.read(record) }
    }

    /// A position after as many rounds; modulo 2^32, where positions that the loader has checked lie.
    fn back([from, to]: [u32; 2], Loop { count, from: from_stride, to: to_stride }: Loop) -> [u32; 2] {
        let way = |stride: i32| count.wrapping_mul(stride.cast_unsigned());
        [from.wrapping_sub(way(from_stride)), to.wrapping_sub(way(to_stride))]
    }
}

/// The loops that go round more than once, so that a value takes two steps of counting at most, however many loops there are.
pub(super) struct Walk {
    /// The innermost one; one round if there is none.
    pub(super) inner: Loop,
    /// The others, outermost first, as far as [`Walk::depth`].
    outer: [Loop; LOOPS_MAX as usize],
    depth: usize,
}

impl Walk {
    pub(super) fn new(loops: &[[u8; LOOP]]) -> Walk {
        let once = Loop { count: 1, from: 1, to: 1 };
        let mut walk = Walk { inner: once, outer: [once; LOOPS_MAX as usize], depth: 0 };
        for next in loops.iter().map(Loop::read).filter(|next| next.count > 1) {
            if walk.inner.count > 1
                && let Some(place) = walk.outer.get_mut(walk.depth)
            {
                (*place, walk.depth) = (walk.inner, walk.depth + 1);
            }
            walk.inner = next;
        }
        walk
    }

    /// Gives every pair of places where the innermost loop starts.
    pub(super) fn each(
        &self,
        mut from: u32,
        mut to: u32,
        mut run: impl FnMut(u32, u32) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let outer = self.outer.get(..self.depth).unwrap_or_default();
        let mut rounds = [0u32; LOOPS_MAX as usize];
        'next: loop {
            run(from, to)?;
            for (round, axis) in rounds.iter_mut().zip(outer).rev() {
                *round = round.wrapping_add(1);
                (from, to) = (from.wrapping_add_signed(axis.from), to.wrapping_add_signed(axis.to));
                if *round < axis.count {
                    continue 'next;
                }
                *round = 0;
                [from, to] = Loop::back([from, to], *axis);
            }
            return Ok(());
        }
    }
}
