//! The memory that a session works in: states, then activations, then scratch.

mod cell;

pub use cell::StaticArena;

use core::ops::{Deref, DerefMut};

use crate::{
    error::Error,
    format::{ARENA_ALIGN, Tensor},
};

/// `N` bytes, aligned to cache lines. Its contents at the start do not matter.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct Arena<const N: usize>([i8; N]);

impl<const N: usize> Arena<N> {
    /// Zeros, so that a `static` one costs nothing in the image.
    pub const fn new() -> Arena<N> {
        Arena([0; N])
    }
}

impl<const N: usize> Default for Arena<N> {
    fn default() -> Arena<N> {
        Arena::new()
    }
}

impl<const N: usize> Deref for Arena<N> {
    type Target = [i8];

    fn deref(&self) -> &[i8] {
        &self.0
    }
}

impl<const N: usize> DerefMut for Arena<N> {
    fn deref_mut(&mut self) -> &mut [i8] {
        &mut self.0
    }
}

/// A value at the start of a cache line; [`crate::include_model`] wraps files in it.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Aligned<T: ?Sized>(pub T);

/// Bytes that memory of any alignment must have so that `len` are left from its first boundary on.
pub(crate) const fn with_alignment(len: usize) -> usize {
    len + ARENA_ALIGN - 1
}

/// The part of `bytes` from the first aligned byte on.
pub(crate) fn aligned(bytes: &mut [i8]) -> &mut [i8] {
    let skip = bytes.as_ptr().align_offset(ARENA_ALIGN);
    bytes.get_mut(skip..).unwrap_or_default()
}

/// An arena in use: tensors (states and activations), and the scratch of the step that runs.
pub(crate) struct Memory<'a> {
    tensors: &'a mut [i8],
    scratch: &'a mut [i8],
}

impl<'a> Memory<'a> {
    /// Splits an aligned arena; the last `scratch_len` of its `arena_len` bytes are scratch.
    pub(crate) fn new(arena: &'a mut [i8], arena_len: usize, scratch_len: usize) -> Result<Memory<'a>, Error> {
        let (tensors, scratch) = arena
            .get_mut(..arena_len)
            .and_then(|arena| arena.split_at_mut_checked(arena_len.checked_sub(scratch_len)?))
            .ok_or(Error::Kernel)?;
        Ok(Memory { tensors, scratch })
    }

    /// Tensors that share no byte, and all of the scratch. A checked model never gets the error.
    pub(crate) fn tensors<const N: usize>(
        &mut self,
        tensors: [&Tensor; N],
    ) -> Result<([&mut [i8]; N], &mut [i8]), Error> {
        let slices = self.tensors.get_disjoint_mut(tensors.map(Tensor::range)).map_err(|_| Error::Kernel)?;
        Ok((slices, self.scratch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::Dtype;

    fn tensor(offset: u32, channels: u16) -> Tensor {
        Tensor { offset, height: 1, width: 1, channels, scale: 1.0, zero_point: 0, dtype: Dtype::I8, state: false }
    }

    #[test]
    fn aligned_starts_at_a_boundary() {
        let mut arena = Arena::<64>::new();
        assert_eq!(arena.as_ptr().align_offset(64), 0);
        assert_eq!(aligned(&mut arena).len(), 64);
        assert_eq!(aligned(&mut arena[1..]).len(), 48);
        assert_eq!(aligned(&mut arena[60..]).len(), 0);
    }

    #[test]
    fn tensors_are_apart_from_each_other_and_from_scratch() {
        let mut arena = Arena::<64>::new();
        let mut memory = Memory::new(&mut arena, 64, 16).unwrap();
        let ([a, b], scratch) = memory.tensors([&tensor(16, 3), &tensor(0, 16)]).unwrap();
        a.fill(1);
        b.fill(2);
        scratch.fill(3);
        assert_eq!(arena[..24], [[2; 8], [2; 8], [1; 8]].concat_array());
        assert_eq!(arena[24..48], [0; 24]);
        assert_eq!(arena[48..], [3; 16]);
    }

    #[test]
    fn shared_or_foreign_bytes_are_an_error() {
        let mut arena = Arena::<64>::new();
        assert!(Memory::new(&mut arena, 65, 0).is_err());
        assert!(Memory::new(&mut arena, 16, 32).is_err());
        let mut memory = Memory::new(&mut arena, 64, 16).unwrap();
        assert_eq!(memory.tensors([&tensor(0, 16), &tensor(0, 8)]).err(), Some(Error::Kernel));
        assert_eq!(memory.tensors([&tensor(32, 24)]).err(), Some(Error::Kernel), "reaches into the scratch");
    }

    trait ConcatArray {
        fn concat_array(self) -> [i8; 24];
    }

    impl ConcatArray for [[i8; 8]; 3] {
        fn concat_array(self) -> [i8; 24] {
            core::array::from_fn(|i| self[i / 8][i % 8])
        }
    }
}
