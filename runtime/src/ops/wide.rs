//! Element-wise operators where a tensor is int16: pieces of the operands go through buffers of int16, so that one kernel
//! serves every combination of types, in place or apart.

use super::Run;
use crate::{
    arena::Memory,
    bytes::Views,
    element::{Dtype, Value},
    error::Error,
    format::{Tensor, in_memory},
};

/// Values worked on at a time: two buffers of so many lie on the stack.
const PIECE: usize = 256;

/// Products of a convolution that take as long as one value: it is read, put in a buffer, multiplied in 64 bits and written.
pub(super) const VALUE_WORK: u64 = 8;

/// Whether one of the tensors is int16.
pub(super) fn any(tensors: &[Tensor]) -> bool {
    tensors.iter().any(|tensor| tensor.dtype == Dtype::I16)
}

/// `output = kernel(a, b)`, with `b` as often as it fits into `a`, or ones for none. Operands are without their zero points.
pub(super) fn each(
    run: &mut Run,
    [a, output]: [&Tensor; 2],
    b: Option<&Tensor>,
    kernel: impl Fn(&mut [i16], &[i16]) -> Result<(), Error>,
) -> Result<(), Error> {
    let (mut left, mut right) = ([0; PIECE], [1; PIECE]);
    let values = in_memory(a.padded_elements());
    let period = b.map_or(PIECE, |b| in_memory(b.padded_elements()).max(1));
    // Whole repetitions of a short operand, or parts of a long one.
    let (piece, whole) = (if period <= PIECE { PIECE / period * period } else { PIECE }, period <= PIECE);
    if let (Some(b), true) = (b, whole) {
        for repetition in right.chunks_exact_mut(period) {
            read(&mut run.memory, b, 0, repetition)?;
        }
    }
    let mut at = 0;
    while at < values {
        let phase = if whole { 0 } else { at % period };
        let len = piece.min(values - at).min(if whole { PIECE } else { period - phase });
        let (left, right) = (left.get_mut(..len).ok_or(Error::Kernel)?, right.get_mut(..len).ok_or(Error::Kernel)?);
        read(&mut run.memory, a, at, left)?;
        if let (Some(b), false) = (b, whole) {
            read(&mut run.memory, b, phase, right)?;
        }
        kernel(left, right)?;
        write(&mut run.memory, output, at, left)?;
        at += len;
    }
    Ok(())
}

/// A tensor's values from `at` on, less its zero point.
fn read(memory: &mut Memory, tensor: &Tensor, at: usize, into: &mut [i16]) -> Result<(), Error> {
    let ([bytes], _) = memory.tensors([tensor])?;
    let zero_point = tensor.zero_point as i16;
    match tensor.dtype {
        Dtype::I8 => copy(bytes.get(at..), Some(into), |x: i8| x as i16 - zero_point),
        _ => copy(i16::of(bytes).get(at..), Some(into), |x| x),
    }
}

/// Results to a tensor from `at` on, whose type holds them.
fn write(memory: &mut Memory, tensor: &Tensor, at: usize, from: &[i16]) -> Result<(), Error> {
    let ([bytes], _) = memory.tensors([tensor])?;
    match tensor.dtype {
        Dtype::I8 => copy(Some(from), bytes.get_mut(at..), |y| i8::saturated(y.into())),
        _ => copy(Some(from), i16::of_mut(bytes).get_mut(at..), |y: i16| y),
    }
}

/// As many values as the shorter one has: the other is the rest of a tensor.
fn copy<X: Copy, Y>(from: Option<&[X]>, into: Option<&mut [Y]>, value: impl Fn(X) -> Y) -> Result<(), Error> {
    let (from, into) = (from.ok_or(Error::Kernel)?, into.ok_or(Error::Kernel)?);
    for (into, &from) in into.iter_mut().zip(from) {
        *into = value(from);
    }
    Ok(())
}
