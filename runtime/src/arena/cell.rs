//! An arena as a `static`, given out once.
#![expect(unsafe_code, reason = "the cell of a static: its flag is what makes it sound")]

use core::{
    cell::UnsafeCell,
    sync::atomic::{AtomicBool, Ordering},
};

use super::Arena;

/// An arena for a `static`: `static ARENA: StaticArena<{ arena_len(MODEL) }> = StaticArena::new();`, which costs nothing in
/// the image and is given out once.
pub struct StaticArena<const N: usize> {
    taken: AtomicBool,
    arena: UnsafeCell<Arena<N>>,
}

// SAFETY: the flag lets one caller through, whatever thread that is; only that one reaches the bytes.
unsafe impl<const N: usize> Sync for StaticArena<N> {}

impl<const N: usize> StaticArena<N> {
    /// Zeros, nobody's yet.
    pub const fn new() -> StaticArena<N> {
        StaticArena { taken: AtomicBool::new(false), arena: UnsafeCell::new(Arena::new()) }
    }

    /// The memory, for whoever asks first; `None` for all others.
    #[expect(clippy::mut_from_ref, reason = "the flag lets one caller through")]
    pub fn take(&'static self) -> Option<&'static mut [i8]> {
        if self.taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        // SAFETY: `swap` returns false once, so this is the only reference there ever is, and the cell is a static's.
        let arena: &'static mut Arena<N> = unsafe { &mut *self.arena.get() };
        Some(arena)
    }
}

impl<const N: usize> Default for StaticArena<N> {
    fn default() -> StaticArena<N> {
        StaticArena::new()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn it_is_given_out_once_whoever_asks() {
        static ARENA: StaticArena<64> = StaticArena::new();
        let ask = || std::thread::spawn(|| ARENA.take().map(|arena| arena.len()));
        let askers = [ask(), ask(), ask(), ask()];
        let given: std::vec::Vec<usize> = askers.into_iter().filter_map(|asker| asker.join().unwrap()).collect();
        assert_eq!(given, [64]);
        assert!(ARENA.take().is_none());
    }
}
