//! What a step reads and what it takes, told before it runs.

use crate::{
    element::Dtype,
    format::{ARENA_ALIGN, Sections, Tensor},
    id::TensorId,
};

/// Shapes by number.
pub trait Tensors {
    /// The tensor, if there is one of that number.
    fn tensor(&self, id: TensorId) -> Option<Tensor>;
}

impl Tensors for [Tensor] {
    fn tensor(&self, id: TensorId) -> Option<Tensor> {
        self.get(id as usize).copied()
    }
}

impl Tensors for Sections<'_> {
    fn tensor(&self, id: TensorId) -> Option<Tensor> {
        Sections::tensor(self, id)
    }
}

impl<T: Tensors + ?Sized> Tensors for &T {
    fn tensor(&self, id: TensorId) -> Option<Tensor> {
        T::tensor(self, id)
    }
}

/// What a step reads and did not make itself. States, which always hold something, are not among it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Its inputs.
    pub inputs: [Option<TensorId>; 4],
    /// Whether it needs what lies at its output's place before it writes there: a residual operand, what a copy keeps.
    pub output_place: bool,
}

impl Reads {
    /// Of one input.
    pub const fn one(input: TensorId) -> Reads {
        Reads { inputs: [Some(input), None, None, None], output_place: false }
    }

    /// Of two inputs.
    pub const fn two(a: TensorId, b: TensorId) -> Reads {
        Reads { inputs: [Some(a), Some(b), None, None], output_place: false }
    }
}

/// What each step counts in a model's work beside its values: looking up its tensors and constants takes time too.
pub const STEP_WORK: u64 = 256;

/// How many times as long as that of int8 values a product takes, with its share in what becomes of the sum.
pub(super) fn product_work(input: &Tensor, output: &Tensor) -> u64 {
    if input.dtype == Dtype::I8 && output.dtype == Dtype::I8 { 1 } else { 3 }
}

/// What one run of a step takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Multiply-accumulates, without padding channels.
    pub macs: u64,
    /// Stored values that it reads to make others: the measure of its time, which no file can hide. Products with padding
    /// channels and windows' taps outside the image count.
    pub work: u64,
    /// Bytes of scratch for one worker, a multiple of 16.
    pub scratch: u64,
    /// Bytes of scratch for each further worker, a multiple of 16; 0 if the step is not split.
    pub worker_scratch: u64,
}

impl Cost {
    /// With scratch for one worker, rounded up, and as much for each further one.
    #[must_use]
    pub(super) const fn with_scratch(self, bytes: u64) -> Cost {
        let bytes = bytes.next_multiple_of(ARENA_ALIGN as u64);
        Cost { scratch: bytes, worker_scratch: bytes, ..self }
    }
}
