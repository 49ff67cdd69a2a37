//! A model at work.

use crate::arena::{Memory, aligned};
use crate::format::{Tensor, in_memory, saturate};
use crate::kernels::Kernels;
use crate::model::{Model, State};
use crate::ops::{Run, Step};
use crate::{Cpu, Error};

/// A model, the memory it works in and the kernels it works with.
pub struct Session<'m, 'a> {
    model: Model<'m>,
    arena: &'a mut [i8],
    kernels: &'static Kernels,
}

impl<'m, 'a> Session<'m, 'a> {
    /// A session with zero state. `arena` may hold anything; [`crate::Arena`] is aligned, other memory is used from its first
    /// 16-byte boundary on.
    ///
    /// # Errors
    /// [`Error::Arena`] if fewer than [`Model::arena_len`] bytes are left there.
    pub fn new(model: &Model<'m>, arena: &'a mut [i8], cpu: Cpu) -> Result<Session<'m, 'a>, Error> {
        let arena = aligned(arena);
        let (needed, got) = (saturate(model.arena_len() as u64), saturate(arena.len() as u64));
        if got < needed {
            return Err(Error::Arena { needed, got });
        }
        log::debug!("model {:#010x}: {} kernels", model.id(), cpu.isa().name());
        let mut session = Session { model: *model, arena, kernels: Kernels::for_cpu(cpu) };
        session.reset();
        Ok(session)
    }

    /// The model.
    pub const fn model(&self) -> &Model<'m> {
        &self.model
    }

    /// One inference, or one time step of a recurrent model. `input`: the values of [`Model::input`] in NHWC order, without
    /// padding, `height * width * channels` of them. Returns the values of [`Model::output`] in the same order; they stay
    /// until the next run.
    ///
    /// # Errors
    /// [`Error::Input`] if the length is wrong; nothing has changed then.
    pub fn run(&mut self, input: &[i8]) -> Result<&[i8], Error> {
        self.trace(input, |_, _, _| {})
    }

    /// Like [`Session::run`]; calls `after` when a step is done, with its index, the step and its output as stored (channels
    /// padded to a multiple of 8): for timing and for comparing layers.
    ///
    /// # Errors
    /// As for [`Session::run`].
    pub fn trace(&mut self, input: &[i8], mut after: impl FnMut(usize, &Step, &[i8])) -> Result<&[i8], Error> {
        let needed = self.model.input().elements();
        if input.len() as u64 != needed {
            return Err(Error::Input { needed: saturate(needed), got: saturate(input.len() as u64) });
        }
        let memory = Memory::new(self.arena, self.model.arena_len(), self.model.scratch_len())?;
        let mut run = Run { model: &self.model, kernels: self.kernels, memory };
        let ([target], _) = run.memory.tensors([&self.model.input()])?;
        pad(input, &self.model.input(), target);
        for (index, step) in self.model.steps().enumerate() {
            step.run(&mut run)?;
            let output = self.model.tensor(step.output()).ok_or(Error::Kernel)?;
            let ([output], _) = run.memory.tensors([&output])?;
            after(index, &step, output);
        }
        let output = self.model.output();
        let stored = self.arena.get_mut(output.range()).ok_or(Error::Kernel)?;
        pack(&output, stored);
        stored.get(..in_memory(output.elements())).ok_or(Error::Kernel)
    }

    /// Forgets: the next run is the first of a sequence.
    pub fn reset(&mut self) {
        if let Some(state) = self.arena.get_mut(..self.model.state_len()) {
            state.fill(0);
        }
    }

    /// What the session remembers between runs; empty for a feed-forward network.
    pub fn state(&self) -> State<'_> {
        State::new(&self.model, self.arena.get(..self.model.state_len()).unwrap_or_default())
    }

    /// Goes on from a saved state.
    ///
    /// # Errors
    /// [`Error::StateModel`] if another model saved it, [`Error::StateLength`] if it is not all there; nothing has changed
    /// then.
    pub fn restore(&mut self, saved: State<'_>) -> Result<(), Error> {
        if saved.model != self.model.id() {
            return Err(Error::StateModel { model: self.model.id(), saved: saved.model });
        }
        let (needed, got) = (self.model.state_len(), saved.bytes.len());
        let state = self.arena.get_mut(..needed).filter(|_| needed == got);
        let Some(state) = state else {
            return Err(Error::StateLength { needed: saturate(needed as u64), got: saturate(got as u64) });
        };
        for (state, &saved) in state.iter_mut().zip(saved.bytes) {
            *state = saved.cast_signed();
        }
        Ok(())
    }
}

/// Copies pixels into place; padding channels become the zero point.
fn pad(input: &[i8], tensor: &Tensor, target: &mut [i8]) {
    let channels = tensor.channels.max(1) as usize;
    for (target, pixel) in target.chunks_exact_mut(tensor.padded_channels()).zip(input.chunks_exact(channels)) {
        for (target, &value) in target.iter_mut().zip(pixel.iter().chain(core::iter::repeat(&tensor.zero_point))) {
            *target = value;
        }
    }
}

/// Moves pixels together, leaving padding channels out. Nobody reads the stored form after the last step: every tensor but a
/// state is written anew in each run.
fn pack(tensor: &Tensor, stored: &mut [i8]) {
    let (channels, padded) = (tensor.channels as usize, tensor.padded_channels());
    if channels == padded {
        return;
    }
    for pixel in 1..in_memory(tensor.pixels()) {
        let stored = stored.get_mut(pixel * channels..pixel * padded + channels).unwrap_or_default();
        // Forward, value by value: the two ranges may overlap, and `copy_within` could panic.
        for channel in 0..channels {
            if let Some(&value) = stored.get(pixel * (padded - channels) + channel)
                && let Some(target) = stored.get_mut(channel)
            {
                *target = value;
            }
        }
    }
}
