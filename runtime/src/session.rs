//! A model at work.

mod access;

pub use access::{AccessError, Key};

use crate::{
    Cpu,
    arena::{Memory, aligned},
    element::{Dtype, Element},
    error::{Error, Field},
    format::{PortRecord, Tensor, in_memory, number, saturate},
    kernels::Kernels,
    model::{Model, State},
    ops::{Run, Step},
};

/// A model, the memory it works in and the kernels it works with.
///
/// A model of one input and one output, both int8, is [`Session::run`]. Others are set, run and read:
///
/// ```no_run
/// # use escarp_runtime::{AccessError, Session};
/// # fn detect(session: &mut Session, pixels: &[i8], threshold: &[i16]) -> Result<(), AccessError> {
/// session.set_input("image", pixels)?; // by name
/// session.set_input(1, threshold)?; //    or by place
/// session.infer()?;
/// let boxes: &[i16] = session.output("boxes")?;
/// let scores: &[i8] = session.output("scores")?;
/// # let _ = (boxes, scores);
/// # Ok(())
/// # }
/// ```
pub struct Session<'m, 'a> {
    model: Model<'m>,
    arena: &'a mut [i8],
    kernels: &'static Kernels,
    /// A bit for each input that was set since the last inference.
    set: u32,
    /// Whether the outputs are those of the last inference.
    done: bool,
}

impl<'m, 'a> Session<'m, 'a> {
    /// A session with zero state. `arena` may hold anything; [`crate::Arena`] is aligned, other memory is used from its first
    /// 16-byte boundary on: [`Model::buffer_len`] bytes of any memory are enough.
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
        let kernels = Kernels::for_cpu(cpu);
        let mut session = Session { model: *model, arena, kernels, set: 0, done: false };
        session.reset();
        Ok(session)
    }

    /// The model.
    pub const fn model(&self) -> &Model<'m> {
        &self.model
    }

    /// One inference, or one time step of a recurrent model, of one input and one output. `input`: the values of
    /// [`Model::input`] in NHWC order, without padding, `height * width * channels` of them. Returns the values of
    /// [`Model::output`] in the same order; they stay until the next run.
    ///
    /// # Errors
    /// [`Error::Input`] if the length is wrong; nothing has changed then. [`Error::Several`] and [`Error::Element`] for a
    /// model that [`Session::set_input`] is for.
    pub fn run(&mut self, input: &[i8]) -> Result<&[i8], Error> {
        self.trace(input, |_, _, _| {})
    }

    /// Like [`Session::run`]; calls `after` when a step is done, with its index, the step and its output as stored (channels
    /// padded to a multiple of 8): for timing and for comparing layers.
    ///
    /// # Errors
    /// As for [`Session::run`].
    pub fn trace(&mut self, input: &[i8], after: impl FnMut(usize, &Step, &[i8])) -> Result<&[i8], Error> {
        let header = self.model.header();
        if [header.inputs, header.outputs] != [1, 1] {
            return Err(Error::Several { inputs: header.inputs, outputs: header.outputs });
        }
        let output = self.model.output();
        if output.dtype != Dtype::I8 {
            return Err(Error::Element { field: Field::Output, index: 0, has: output.dtype, asked: Dtype::I8 });
        }
        self.fill(0, &self.model.input(), input)?;
        self.infer_traced(after)?;
        self.read(&output)
    }

    /// Takes the values of an input, by its place or its name, in NHWC order without padding. They hold for one inference:
    /// its steps may use their memory.
    ///
    /// # Errors
    /// [`AccessError`] with the names there are, or with [`Error::Input`] or [`Error::Element`] if number or type of the
    /// values is wrong; nothing has changed then.
    pub fn set_input<'k, T: Element>(&mut self, input: impl Into<Key<'k>>, values: &[T]) -> Result<(), AccessError> {
        let (index, tensor) = access::find(self.model.inputs(), input.into())?;
        Ok(self.fill(index, &tensor, values)?)
    }

    /// One inference, or one time step of a recurrent model, on the inputs that were set.
    ///
    /// # Errors
    /// [`Error::Unset`] if an input was not; nothing has changed then.
    pub fn infer(&mut self) -> Result<(), Error> {
        self.infer_traced(|_, _, _| {})
    }

    /// Like [`Session::infer`], with what [`Session::trace`] shows.
    ///
    /// # Errors
    /// As for [`Session::infer`].
    pub fn infer_traced(&mut self, mut after: impl FnMut(usize, &Step, &[i8])) -> Result<(), Error> {
        let unset = self.set.trailing_ones();
        if unset < self.model.header().inputs.into() {
            return Err(Error::Unset { index: number(unset as usize) });
        }
        (self.set, self.done) = (0, false);
        let sections = self.model.sections();
        let memory = Memory::new(self.arena, self.model.arena_len(), self.model.scratch_len())?;
        let mut run = Run { sections, kernels: self.kernels, memory };
        for (index, record) in sections.steps.iter().enumerate() {
            // From the file itself: the copy is made only where somebody looks at it.
            Step::run_record(record, &mut run)?;
            let step = Step::read(record).ok_or(Error::Kernel)?;
            let output = sections.tensor(step.output()).ok_or(Error::Kernel)?;
            let ([output], _) = run.memory.tensors([&output])?;
            after(index, &step, output);
        }
        for record in sections.outputs {
            let output = sections.tensor(PortRecord::read(record).tensor).ok_or(Error::Kernel)?;
            let stored = self.arena.get_mut(output.range()).ok_or(Error::Kernel)?;
            match output.dtype {
                Dtype::I8 => pack::<i8>(&output, stored),
                Dtype::I16 => pack::<i16>(&output, stored),
                Dtype::I32 => pack::<i32>(&output, stored),
            }
        }
        self.done = true;
        Ok(())
    }

    /// The values of an output after an inference, by its place or its name, in NHWC order without padding.
    ///
    /// # Errors
    /// [`AccessError`] with the names there are, or with [`Error::Element`] if the type is wrong, [`Error::NoResult`] if
    /// inputs or the state have changed since the last inference.
    pub fn output<'k, T: Element>(&self, output: impl Into<Key<'k>>) -> Result<&[T], AccessError> {
        let (index, tensor) = access::find(self.model.outputs(), output.into())?;
        if tensor.dtype != T::DTYPE {
            let (has, asked) = (tensor.dtype, T::DTYPE);
            return Err(Error::Element { field: Field::Output, index: number(index), has, asked }.into());
        }
        Ok(self.read(&tensor)?)
    }

    /// Puts an input's values where its tensor lies.
    fn fill<T: Element>(&mut self, index: usize, tensor: &Tensor, values: &[T]) -> Result<(), Error> {
        if tensor.dtype != T::DTYPE {
            let (has, asked) = (tensor.dtype, T::DTYPE);
            return Err(Error::Element { field: Field::Input, index: number(index), has, asked });
        }
        let needed = tensor.elements();
        if values.len() as u64 != needed {
            let (index, got) = (number(index), saturate(values.len() as u64));
            return Err(Error::Input { index, needed: saturate(needed), got });
        }
        let target = self.arena.get_mut(tensor.range()).ok_or(Error::Kernel)?;
        self.done = false;
        pad(values, tensor, T::of_mut(target));
        self.set |= 1u32.checked_shl(saturate(index as u64)).unwrap_or(0);
        Ok(())
    }

    /// An output's values, which have been packed.
    fn read<T: Element>(&self, tensor: &Tensor) -> Result<&[T], Error> {
        if !self.done {
            return Err(Error::NoResult);
        }
        let stored = self.arena.get(tensor.range()).ok_or(Error::Kernel)?;
        T::of(stored).get(..in_memory(tensor.elements())).ok_or(Error::Kernel)
    }

    /// Forgets: the next run is the first of a sequence.
    pub fn reset(&mut self) {
        self.done = false;
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
        self.done = false;
        for (state, &saved) in state.iter_mut().zip(saved.bytes) {
            *state = saved.cast_signed();
        }
        Ok(())
    }
}

/// Copies pixels into place; padding channels become the zero point.
fn pad<T: Element>(input: &[T], tensor: &Tensor, target: &mut [T]) {
    let (channels, padded) = (tensor.channels.max(1) as usize, tensor.padded_channels());
    if channels == padded {
        target.iter_mut().zip(input).for_each(|(target, &value)| *target = value);
        return;
    }
    let zero = T::from(tensor.zero_point);
    for (target, pixel) in target.chunks_exact_mut(padded).zip(input.chunks_exact(channels)) {
        let (values, filling) = target.split_at_mut_checked(channels).unwrap_or_default();
        values.iter_mut().zip(pixel).for_each(|(target, &value)| *target = value);
        filling.iter_mut().for_each(|target| *target = zero);
    }
}

/// Moves pixels together, leaving padding channels out. Nobody reads the stored form after the last step: every tensor but a
/// state is written anew in each run, and a state that is an output has nothing to move.
fn pack<T: Element>(tensor: &Tensor, stored: &mut [i8]) {
    let (channels, padded) = (tensor.channels as usize, tensor.padded_channels());
    if channels == padded {
        return;
    }
    let stored = T::of_mut(stored);
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
