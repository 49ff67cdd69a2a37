//! The steps of a model: fixed-size records that say what runs, on which tensors, with which constants.
//!
//! An operator is one file: its record (parse, emit), what it reads and costs, its checks, its run. They stand in one table,
//! [`OPERATORS`], a row for each kind; a [`Step`] is a record and its row. To add one: its file, its `mod`, its row.

mod add;
mod argmax;
mod check;
mod conv;
mod copy;
mod cost;
mod depthwise;
mod gru;
mod interpolate;
mod limits;
mod linear;
mod lookup;
mod mul;
mod pool;
mod resize;
mod scale;
mod softmax;
mod step;
mod wide;
mod windows;

pub use crate::kernels::{Combine, Groups, Runs};
pub use add::AddStep;
pub use argmax::ArgmaxStep;
pub use conv::ConvStep;
pub use copy::{CopyStep, LOOPS_MAX, Loop};
pub use cost::{Cost, Reads, STEP_WORK, Tensors};
pub use depthwise::DepthwiseStep;
pub use gru::GruStep;
pub use interpolate::{Between, InterpolateStep, WEIGHT_ONE};
pub use linear::LinearStep;
pub use lookup::LookupStep;
pub use mul::MulStep;
pub use pool::{Divisor, PoolStep};
pub use resize::ResizeStep;
pub use scale::ScaleStep;
pub use softmax::{EXPONENTIAL_MAX, SOFTMAX_SCALE, SoftmaxStep};
pub use step::{Record, Step, Totals};

pub(crate) use check::Check;
pub(crate) use step::Run;

use core::fmt;

use crate::error::{Error, StepError};
use step::Entry;

/// Every operator, at the place of its kind.
pub static OPERATORS: &[Entry] = &[
    Entry::of::<ConvStep>(),
    Entry::of::<LinearStep>(),
    Entry::of::<AddStep>(),
    Entry::of::<PoolStep>(),
    Entry::of::<GruStep>(),
    Entry::of::<LookupStep>(),
    Entry::of::<MulStep>(),
    Entry::of::<ResizeStep>(),
    Entry::of::<DepthwiseStep>(),
    Entry::of::<CopyStep>(),
    Entry::of::<SoftmaxStep>(),
    Entry::of::<InterpolateStep>(),
    Entry::of::<ArgmaxStep>(),
    Entry::of::<ScaleStep>(),
];

const _: () = {
    let mut kind = 0;
    while kind < OPERATORS.len() {
        assert!(OPERATORS[kind].kind() as usize == kind, "a row stands at the place of its kind");
        kind += 1;
    }
};

/// What an operator is. Implemented by the records of this module only: nobody else can name what their checks and runs take.
pub trait Operator: Copy + fmt::Debug + 'static {
    /// Its code in the file, and its place in [`OPERATORS`].
    const KIND: u16;
    /// Its name in reports.
    const NAME: &'static str;

    /// Reads its record, whose kind is right. What of the record this does not look at must be zero: see [`Step::parse`].
    fn parse(record: &Record) -> Self;

    /// Writes its record, but for the kind; all that it leaves alone is zero.
    fn emit(&self, record: &mut Record);

    /// What must have been written before it runs.
    fn reads(&self) -> Reads;

    /// What one run of it takes. `None` if a tensor does not exist.
    fn cost(&self, tensors: &dyn Tensors) -> Option<Cost>;

    /// Everything that [`Operator::run`] relies on.
    ///
    /// # Errors
    /// The first thing wrong.
    fn check(&self, check: &mut Check) -> Result<(), StepError>;

    /// Does it.
    ///
    /// # Errors
    /// [`Error::Kernel`], where a checked model cannot get.
    fn run(&self, run: &mut Run) -> Result<(), Error>;
}

/// Where the numbers stand that most records have.
mod field {
    use crate::bytes::Slot;

    pub const KIND: Slot<u16> = Slot::at(0);
    pub const FLAGS: Slot<u16> = Slot::at(2);
    pub const INPUT: Slot<u16> = Slot::at(4);
    pub const OUTPUT: Slot<u16> = Slot::at(6);
    pub const MIN: Slot<i8> = Slot::at(8);
    pub const MAX: Slot<i8> = Slot::at(9);
    /// Weights and parameters of convolutions.
    pub const WEIGHTS: Slot<u32> = Slot::at(20);
    pub const PARAMS: Slot<u32> = Slot::at(24);
}

/// Largest Q20 multiplier of an add where a tensor is int16: a ratio of scales of 1024.
pub const WIDE_RATIO_MAX: i32 = 1 << 30;
/// Largest Q12 multiplier of a residual or an add: a ratio of scales of 512.
pub const RATIO_MAX: i32 = 1 << 21;

#[cfg(test)]
mod tests;
