//! The steps of a model: fixed-size records that say what runs, on which tensors, with which constants.
//! Each operator is one file: record (parse, emit), sizes, checks, run. To add one: its file, and a line for each match here.

mod add;
mod check;
mod conv;
mod gru;
mod linear;
mod pool;

pub use add::AddStep;
pub use conv::ConvStep;
pub use gru::GruStep;
pub use linear::LinearStep;
pub use pool::PoolStep;

pub(crate) use check::Check;

use crate::Model;
use crate::arena::Memory;
use crate::bytes::{put, u8_at};
use crate::error::{Error, StepError};
use crate::format::{ARENA_ALIGN, STEP, Tensor};
use crate::kernels::Kernels;

/// Index of a tensor record.
pub type TensorId = u16;

/// Where constants start, from the start of their section; their length follows from the step.
pub type ConstOffset = u32;

/// Largest Q12 multiplier of a residual or an add: a ratio of scales of 512.
pub const RATIO_MAX: i32 = 1 << 21;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// 2-D convolution, any kernel, stride, dilation and padding, group 1.
    Conv(ConvStep),
    /// Matrix times vector.
    Linear(LinearStep),
    /// Element-wise sum.
    Add(AddStep),
    /// Maximum or average over windows.
    Pool(PoolStep),
    /// One time step of a GRU.
    Gru(GruStep),
}

/// The feature bits that this runtime knows, see [`Step::feature`].
pub const FEATURES: u32 = 0b1_1111;

/// Shapes by number: a slice of tensors, or a [`Model`].
pub trait Tensors {
    /// The tensor, if there is one of that number.
    fn tensor(&self, id: TensorId) -> Option<Tensor>;
}

impl Tensors for [Tensor] {
    fn tensor(&self, id: TensorId) -> Option<Tensor> {
        self.get(id as usize).copied()
    }
}

impl Step {
    /// Reads a record. Only the operator's code can be wrong here; [`Model::parse`] checks the rest against the model.
    ///
    /// # Errors
    /// [`StepError::Kind`].
    pub fn parse(record: &[u8; STEP]) -> Result<Step, StepError> {
        match u8_at(record, 0) {
            0 => Ok(Step::Conv(ConvStep::parse(record))),
            1 => Ok(Step::Linear(LinearStep::parse(record))),
            2 => Ok(Step::Add(AddStep::parse(record))),
            3 => Ok(Step::Pool(PoolStep::parse(record))),
            4 => Ok(Step::Gru(GruStep::parse(record))),
            found => Err(StepError::Kind { found }),
        }
    }

    /// The record's bytes; reserved ones are zero.
    pub fn emit(&self) -> [u8; STEP] {
        let mut record = [0; STEP];
        put(&mut record, 0, [self.kind()]);
        match self {
            Step::Conv(step) => step.emit(&mut record),
            Step::Linear(step) => step.emit(&mut record),
            Step::Add(step) => step.emit(&mut record),
            Step::Pool(step) => step.emit(&mut record),
            Step::Gru(step) => step.emit(&mut record),
        }
        record
    }

    /// The operator's code in the file.
    pub const fn kind(&self) -> u8 {
        match self {
            Step::Conv(_) => 0,
            Step::Linear(_) => 1,
            Step::Add(_) => 2,
            Step::Pool(_) => 3,
            Step::Gru(_) => 4,
        }
    }

    /// The bit that the header must set if the model has such a step, so that an older runtime refuses the model at once.
    pub const fn feature(&self) -> u32 {
        1 << self.kind()
    }

    /// The operator's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Step::Conv(_) => "conv",
            Step::Linear(_) => "linear",
            Step::Add(_) => "add",
            Step::Pool(_) => "pool",
            Step::Gru(_) => "gru",
        }
    }

    /// The tensor that the step leaves for others.
    pub const fn output(&self) -> TensorId {
        match self {
            Step::Conv(step) => step.output,
            Step::Linear(step) => step.output,
            Step::Add(step) => step.output,
            Step::Pool(step) => step.output,
            Step::Gru(step) => step.output,
        }
    }

    /// Bytes of scratch that the step needs, a multiple of 16: the one formula for planner, loader and session.
    /// `None` if a tensor does not exist.
    pub fn scratch_len(&self, tensors: &(impl Tensors + ?Sized)) -> Option<u64> {
        let len = match self {
            Step::Conv(step) => step.scratch_len(&tensors.tensor(step.input)?, &tensors.tensor(step.output)?),
            Step::Linear(step) => step.scratch_len(&tensors.tensor(step.output)?),
            Step::Gru(step) => step.scratch_len(),
            Step::Add(_) | Step::Pool(_) => 0,
        };
        Some(len.next_multiple_of(ARENA_ALIGN as u64))
    }

    /// Multiply-accumulates of the step, without padding channels. `None` if a tensor does not exist.
    pub fn macs(&self, tensors: &(impl Tensors + ?Sized)) -> Option<u64> {
        Some(match self {
            Step::Conv(step) => step.macs(&tensors.tensor(step.input)?, &tensors.tensor(step.output)?),
            Step::Linear(step) => step.macs(&tensors.tensor(step.input)?, &tensors.tensor(step.output)?),
            Step::Gru(step) => step.macs(&tensors.tensor(step.input)?),
            Step::Add(_) | Step::Pool(_) => 0,
        })
    }

    /// Stored values that the step reads to make others: the measure of its time, which no file can hide. Products with
    /// padding channels and windows' taps outside the image count. `None` if a tensor does not exist.
    pub fn work(&self, tensors: &(impl Tensors + ?Sized)) -> Option<u64> {
        Some(match self {
            Step::Conv(step) => step.work(&tensors.tensor(step.input)?, &tensors.tensor(step.output)?),
            Step::Linear(step) => step.weights_len(&tensors.tensor(step.input)?, &tensors.tensor(step.output)?),
            Step::Add(step) => step.work(&tensors.tensor(step.a)?, &tensors.tensor(step.output)?),
            Step::Pool(step) => step.work(&tensors.tensor(step.output)?),
            Step::Gru(step) => step.work(&tensors.tensor(step.input)?),
        })
    }

    /// Tensors that the step reads and names as its inputs; states, which always hold something, are not among them.
    pub const fn inputs(&self) -> [Option<TensorId>; 2] {
        match self {
            Step::Conv(step) => [Some(step.input), None],
            Step::Linear(step) => [Some(step.input), None],
            Step::Add(step) => [Some(step.a), Some(step.b)],
            Step::Pool(step) => [Some(step.input), None],
            Step::Gru(step) => [Some(step.input), None],
        }
    }

    /// Whether the step reads what lies at its output's place before it writes there: a residual operand.
    pub const fn reads_output(&self) -> bool {
        matches!(self, Step::Conv(ConvStep { residual: Some(_), .. }))
    }

    /// Everything that [`Step::run`] relies on.
    pub(crate) fn check(&self, check: &mut Check) -> Result<(), StepError> {
        match self {
            Step::Conv(step) => step.check(check),
            Step::Linear(step) => step.check(check),
            Step::Add(step) => step.check(check),
            Step::Pool(step) => step.check(check),
            Step::Gru(step) => step.check(check),
        }
    }

    pub(crate) fn run(&self, run: &mut Run) -> Result<(), Error> {
        match self {
            Step::Conv(step) => step.run(run),
            Step::Linear(step) => step.run(run),
            Step::Add(step) => step.run(run),
            Step::Pool(step) => step.run(run),
            Step::Gru(step) => step.run(run),
        }
    }
}

impl From<ConvStep> for Step {
    fn from(step: ConvStep) -> Step {
        Step::Conv(step)
    }
}

impl From<LinearStep> for Step {
    fn from(step: LinearStep) -> Step {
        Step::Linear(step)
    }
}

impl From<AddStep> for Step {
    fn from(step: AddStep) -> Step {
        Step::Add(step)
    }
}

impl From<PoolStep> for Step {
    fn from(step: PoolStep) -> Step {
        Step::Pool(step)
    }
}

impl From<GruStep> for Step {
    fn from(step: GruStep) -> Step {
        Step::Gru(step)
    }
}

/// What one run does: the totals that a header states and the loader compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Multiply-accumulates, see [`Step::macs`].
    pub macs: u64,
    /// See [`Step::work`]; the copies of input and output come first.
    pub work: u64,
}

impl Totals {
    /// Of a model without steps.
    pub const fn new(input: &Tensor, output: &Tensor) -> Totals {
        Totals { macs: 0, work: input.padded_elements().saturating_add(output.padded_elements()) }
    }

    /// With one step more. What it needs of a tensor that does not exist counts nothing.
    #[must_use]
    pub fn and(self, step: &Step, tensors: &(impl Tensors + ?Sized)) -> Totals {
        Totals {
            macs: self.macs.saturating_add(step.macs(tensors).unwrap_or(0)),
            work: self.work.saturating_add(step.work(tensors).unwrap_or(0)),
        }
    }
}

/// What a step runs on. Its methods return [`Error::Kernel`] where a checked model cannot get.
pub(crate) struct Run<'r, 'm> {
    pub model: &'r Model<'m>,
    pub kernels: &'static Kernels,
    pub memory: Memory<'r>,
}

impl<'m> Run<'_, 'm> {
    fn tensor(&self, id: TensorId) -> Result<Tensor, Error> {
        self.model.tensor(id).ok_or(Error::Kernel)
    }

    fn consts(&self, offset: ConstOffset, len: u64) -> Result<&'m [u8], Error> {
        self.model.consts(offset, len).ok_or(Error::Kernel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every field has a value of its own, so that a mixed-up offset shows.
    const SAMPLES: [Step; 7] = [
        Step::Conv(ConvStep {
            input: 0x0102,
            output: 0x0304,
            kernel: [5, 6],
            stride: [7, 8],
            dilation: [9, 10],
            pad: [11, 12],
            weights: 0x0d0e_0f10,
            params: 0x1112_1314,
            min: -21,
            max: 22,
            residual: Some((-23, 0x0018_191a)),
        }),
        Step::Conv(ConvStep {
            input: 1,
            output: 2,
            kernel: [3, 3],
            stride: [1, 1],
            dilation: [1, 1],
            pad: [0, 0],
            weights: 64,
            params: 128,
            min: -128,
            max: 127,
            residual: None,
        }),
        Step::Linear(LinearStep { input: 0x0102, output: 0x0304, weights: 0x0506_0708, params: 9, min: -10, max: 11 }),
        Step::Add(AddStep { a: 1, b: 2, output: 3, multipliers: [4, 0x0020_0000], min: -5, max: 6 }),
        Step::Pool(PoolStep {
            input: 1,
            output: 2,
            kernel: [0x0304, 0x0506],
            stride: [7, 8],
            pad: [9, 10],
            average: Some((0x4b0c_0d0e, 62)),
            min: -15,
            max: 16,
        }),
        Step::Pool(PoolStep {
            input: 1,
            output: 2,
            kernel: [3, 4],
            stride: [5, 6],
            pad: [1, 2],
            average: None,
            min: -7,
            max: 8,
        }),
        Step::Gru(GruStep {
            input: 1,
            output: 2,
            state: 3,
            hidden: 0x0405,
            reset_after: true,
            input_weights: 0x0607_0809,
            input_params: 10,
            state_weights: 11,
            state_params: 12,
        }),
    ];

    #[test]
    fn records_round_trip() {
        for step in SAMPLES {
            assert_eq!(Step::parse(&step.emit()), Ok(step));
        }
        let conv =
            [0, 1, 2, 1, 4, 3, 235, 22, 5, 6, 7, 8, 9, 10, 11, 12, 16, 15, 14, 13, 20, 19, 18, 17, 26, 25, 24, 0, 233];
        assert_eq!(SAMPLES[0].emit()[..29], conv);
        assert_eq!(SAMPLES[0].emit()[29..], [0; 35]);
        let gru = [4, 1, 1, 0, 2, 0, 0, 0, 3, 0, 5, 4, 9, 8, 7, 6, 10, 0, 0, 0, 11, 0, 0, 0, 12, 0, 0, 0];
        assert_eq!(SAMPLES[6].emit()[..28], gru);
    }

    #[test]
    fn sizes_by_hand() {
        let shape = |height, width, channels| Tensor {
            offset: 0,
            height,
            width,
            channels,
            scale: 1.0,
            zero_point: 0,
            dtype: crate::Dtype::I8,
            state: false,
        };
        // The first layer of ResNet-8: a strip of 108 pixels, 9 offsets of 4 bytes for each, 8 zero points.
        let tensors = [shape(32, 32, 3), shape(32, 32, 16), shape(1, 1, 10), shape(1, 1, 1000)];
        let Step::Conv(conv) = SAMPLES[1] else { panic!("a convolution") };
        let first = ConvStep { input: 0, output: 1, ..conv };
        assert_eq!(Step::Conv(first).scratch_len(&tensors[..]), Some(108 * 36 + 16), "8, rounded up");
        assert_eq!(Step::Conv(first).macs(&tensors[..]), Some(32 * 32 * 16 * 27));
        assert_eq!(first.weights_len(&tensors[0], &tensors[1]), 9 * 8 * 16);
        assert_eq!(first.params_len(&tensors[1]), 2 * 72);
        let Step::Linear(linear) = SAMPLES[2] else { panic!("a linear step") };
        let head = LinearStep { input: 2, output: 3, ..linear };
        assert_eq!(Step::Linear(head).scratch_len(&tensors[..]), Some(64 * 8 * 4));
        assert_eq!(head.weights_len(&tensors[2], &tensors[3]), 16 * 1000);
        let Step::Gru(gru) = SAMPLES[6] else { panic!("a GRU step") };
        let layer = GruStep { input: 2, hidden: 20, reset_after: false, ..gru };
        assert_eq!(Step::Gru(layer).scratch_len(&tensors[..]), Some((2u64 * 3 * 24 * 4 + 24).next_multiple_of(16)));
        assert_eq!(Step::Gru(layer).macs(&tensors[..]), Some(3 * 20 * (10 + 20)));
        assert_eq!(layer.input_weights_len(&tensors[2]), 72 * 16);
        assert_eq!(layer.state_weights_len(), 72 * 24);
        assert_eq!(Step::Linear(linear).scratch_len(&tensors[..]), None, "no tensor 0x304");
    }

    #[test]
    fn kinds_are_their_features() {
        let mut features = 0;
        for kind in 0..=u8::MAX {
            let mut record = [0; STEP];
            record[0] = kind;
            match Step::parse(&record) {
                Ok(step) => {
                    assert_eq!(step.kind(), kind);
                    assert_eq!(features & step.feature(), 0, "{} shares its bit", step.name());
                    features |= step.feature();
                }
                Err(error) => assert_eq!(error, StepError::Kind { found: kind }),
            }
        }
        assert_eq!(features, FEATURES);
    }
}
